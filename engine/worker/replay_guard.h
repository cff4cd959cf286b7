/* Refuses copies of signed jobs: each signature counts once. */
#ifndef ENGINE_WORKER_REPLAY_GUARD_H
#define ENGINE_WORKER_REPLAY_GUARD_H

#include "engine/worker/task.h"

/* Checks that the job was signed within the last hour and that no other entry has used its signature. All workers of a
 * Redis share what was used. LK_EPOLICY: refused. LK_EIO: Redis did not answer. */
lk_status lk_replay_guard_check(lk_redis *redis, const lk_task *task, uint64_t now_ms, lk_error *error);

#endif
