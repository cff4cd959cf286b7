/* Keeps the streams going: whoever may add an entry can give it an id far ahead of the clock, or the highest, and Redis
 * numbers later entries from there on (docs/protocol.md). */
#ifndef ENGINE_WORKER_MENDER_H
#define ENGINE_WORKER_MENDER_H

#include "engine/queue/keys.h"
#include "engine/worker/redis_session.h"

typedef struct lk_mender {
  const lk_keys *keys; /* of each gallery */
  uint32_t count;
  uint64_t due_us;       /* when to look at the streams again; 0: now */
  bool refused, refuses; /* Redis refused to mend in the round before, which was logged; in this round */
} lk_mender;

/* Looks at all streams, once a second, and undoes such ids with the function lk_mend_3. LK_EIO: the connection broke.
 * What Redis refuses is logged and tried again. */
lk_status lk_mender_run(lk_mender *mender, lk_redis_session *session, lk_error *error);

#endif
