/* Impostor scores: those of probes with templates of other subjects. All of them, exactly. */
#ifndef INDEX_EVALUATION_IMPOSTOR_SCORES_H
#define INDEX_EVALUATION_IMPOSTOR_SCORES_H

#include <likeness/label_file.h>
#include <likeness/likeness.h>
#include "index/evaluation/tally.h"

/* Adds to `tally` the score of every probe with every template of another subject. The gallery need not be loaded.
 * `threads` 0: one per processor of this process. `control` and `progress` may be NULL. LK_EDIM,
 * LK_EBADPROBE. LK_ECANCELLED. */
lk_status lk_impostor_scores_tally(const lk_gallery *gallery, const lk_vectors *probes, const lk_label_file *labels,
                                   uint32_t threads, lk_search_control *control, lk_progress *progress, void *context,
                                   lk_tally *tally, lk_error *error);

#endif
