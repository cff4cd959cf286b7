/* Enrollment that can be stopped. */
#ifndef INDEX_LIVE_ENROLL_H
#define INDEX_LIVE_ENROLL_H

#include <likeness/likeness.h>

#define LK_NEW_ROWS UINT64_MAX

/* As lk_gallery_enroll. `enrolled_before`: LK_NEW_ROWS, or where no row has a key, all rows are there already and no
 * policy is asked, the number of the first of them. LK_ECANCELLED: the control was cancelled; nothing was added. */
lk_status lk_gallery_enroll_under(lk_search_control *control, const char *folder, const lk_vectors *vectors,
                                  const lk_label *labels, const lk_claims *claims, lk_progress *progress, void *context,
                                  uint64_t *numbered_from, uint64_t *enrolled_before, lk_error *error);

#endif
