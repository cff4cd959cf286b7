/* Templates that have expired. Searches do not see them any more; until they are deleted their keys are taken. */
#ifndef INDEX_LIVE_EXPIRED_H
#define INDEX_LIVE_EXPIRED_H

#include "index/live/owner.h"

/* Deletes those that have expired by now. LK_EIO, LK_ENOMEM. */
lk_status lk_expired_delete(lk_owner *owner, lk_error *error);

#endif
