/* Trials: searches for labelled probes in a gallery. A probe is mated if the gallery has its subject. */
#ifndef INDEX_EVALUATION_TRIALS_H
#define INDEX_EVALUATION_TRIALS_H

#include <likeness/label_file.h>
#include <likeness/likeness.h>
#include "index/evaluation/evaluate.h"

/* Makes a trial for each row of the labels, with only its group set. The labels must outlive the trials. `name` names
 * the labels in messages. LK_EFORMAT: a row has no subject, a column is unknown, or there are too many groups. */
lk_status lk_trials_open(const char *name, const lk_label_file *labels, lk_trials *trials, lk_error *error);
void lk_trials_close(lk_trials *trials);

/* Searches for each probe by subject, with `k` candidates, in a loaded gallery. `control` and `progress` may be NULL.
 * LK_EFORMAT: no probe is mated, or none is non-mated. Other errors as lk_gallery_identify_unchecked. */
lk_status lk_trials_search(lk_gallery *gallery, const lk_vectors *probes, const lk_label_file *labels, uint32_t k,
                           lk_search_control *control, lk_progress *progress, void *context, lk_trials *trials,
                           lk_error *error);

#endif
