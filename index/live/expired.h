/* Templates that have expired. Searches do not see them any more, and they give way to new ones with their keys. */
#ifndef INDEX_LIVE_EXPIRED_H
#define INDEX_LIVE_EXPIRED_H

#include "index/live/owner.h"

/* Deletes those that have expired by now or, in a gallery that has a log, by the time of the log's last entry: the next
 * one may have no later time, and is to find what it would find elsewhere. LK_EIO, LK_ENOMEM. */
lk_status lk_expired_delete(lk_owner *owner, lk_error *error);

#endif
