/* Drafts a request: checks it against the gallery as it will be after the requests before it in the group, and makes it
 * a batch of the journal's records. */
#ifndef INDEX_LIVE_DRAFT_H
#define INDEX_LIVE_DRAFT_H

#include "index/catalog/group.h"
#include "index/gallery/gallery.h"
#include "index/live/request.h"

typedef struct lk_draft {
  lk_record *records;
  uint32_t count;
  char (*keys)[24]; /* default keys */
  float *vectors;   /* of an enrollment: rows x dim */
} lk_draft;

/* The records point into the request and the draft. A draft without records is no change; that of an entry of the log
 * has one more before the others, which the caller fills. `next_number`: of the next
 * template. `next_free`: where it looks for a default key if a number is somebody's key; it only rises. Counts in the
 * request's receipt what is unchanged. On failure the draft is empty. */
lk_status lk_draft_make(lk_draft *draft, const lk_group *group, lk_request *request, uint64_t next_number,
                        uint64_t *next_free, lk_error *error);
void lk_draft_free(lk_draft *draft);

/* What does not depend on the gallery's templates. LK_EDIM, LK_EBADPROBE, LK_EINVAL, LK_EFORMAT. */
lk_status lk_draft_check(const lk_gallery *gallery, const lk_request *request, lk_error *error);

#endif
