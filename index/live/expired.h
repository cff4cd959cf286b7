/* Templates that have expired. Searches do not see them any more; until they are deleted their keys are taken. */
#ifndef INDEX_LIVE_EXPIRED_H
#define INDEX_LIVE_EXPIRED_H

#include "index/live/owner.h"

/* Deletes those that have expired by now. `dead` receives how many of the rows that the gallery still has are deleted,
 * these and others. LK_EIO, LK_ENOMEM. */
lk_status lk_expired_delete(lk_owner *owner, uint64_t *dead, lk_error *error);

#endif
