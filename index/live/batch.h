/* Makes a draft a batch: of the journal, and of the group that will be applied. */
#ifndef INDEX_LIVE_BATCH_H
#define INDEX_LIVE_BATCH_H

#include "index/live/draft.h"
#include "index/live/owner.h"

/* `sequence` receives the number of the batch's last record. Fills the receipt. LK_EINVAL: the batch is too large.
 * LK_EIO, LK_ENOMEM. */
lk_status lk_batch_add(lk_owner *owner, lk_group *group, const lk_draft *draft, lk_request *request, uint64_t *sequence,
                       lk_error *error);

/* The same for an entry of the log, with the note of what becomes of it, alone where the request's status is not LK_OK
 * or the batch would be too large. False: nothing was noted, and the request says why; then, or if the owner has
 * failed, no later entry can be noted either. */
bool lk_batch_note(lk_owner *owner, lk_group *group, const lk_draft *draft, lk_request *request, uint64_t *sequence);

#endif
