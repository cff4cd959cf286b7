/* Trials: labelled probes, searched for in a gallery. A probe is mated where the gallery has its subject. */
#ifndef INDEX_EVALUATION_TRIALS_H
#define INDEX_EVALUATION_TRIALS_H

#include <likeness/label_csv.h>
#include <likeness/likeness.h>
#include "index/evaluation/evaluate.h"

/* A trial for each row of the labels, which must outlive them, with nothing but its group. `name`: of the labels, for
 * messages. LK_EFORMAT: a row has no subject, a column is none of the labels', or there are too many groups. */
lk_status lk_trials_open(const char *name, const lk_label_csv *labels, lk_trials *trials, lk_error *error);
void lk_trials_close(lk_trials *trials);

/* Searches for each probe, by subject, `k` candidates deep. The gallery is loaded. `progress` may be NULL. LK_EFORMAT:
 * there is no mated probe, or no non-mated one. Else as lk_gallery_identify_unchecked. */
lk_status lk_trials_search(lk_gallery *gallery, const lk_vectors *probes, const lk_label_csv *labels, uint32_t k,
                           lk_progress *progress, void *context, lk_trials *trials, lk_error *error);

#endif
