/* Signed jobs count once: a copy of one is no job. */
#ifndef ENGINE_WORKER_REPLAY_GUARD_H
#define ENGINE_WORKER_REPLAY_GUARD_H

#include "engine/worker/task.h"

/* Whether this entry may use its signature: it was signed within the last hour, and no other entry has brought it. All
 * workers of this Redis know of each other's. LK_EPOLICY: it may not. LK_EIO: Redis did not say. */
lk_status lk_replay_guard_check(lk_redis *redis, const lk_task *task, uint64_t now_ms, lk_error *error);

#endif
