/* What Redis refuses, sorted by what can be done. */
#ifndef ENGINE_QUEUE_LINK_REFUSAL_H
#define ENGINE_QUEUE_LINK_REFUSAL_H

#include "engine/queue/link/wire.h"

/* Whether a refused command is worth another try. LK_EIO: it is (Redis loads its data, or a failover is under way).
 * LK_EPOLICY: it is not, or not before somebody gives other rights. */
lk_status lk_redis_reply_refusal(const lk_redis_reply *reply);

#endif
