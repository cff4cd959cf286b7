/* Refuses copies of signed jobs: each signature counts once. */
#ifndef ENGINE_WORKER_REPLAY_GUARD_H
#define ENGINE_WORKER_REPLAY_GUARD_H

#include "engine/worker/task.h"

/* Names the job by the message that was signed, not by the signature: one message can have several valid ones. `keys`
 * are those of its gallery. */
lk_once lk_replay_guard_name(const lk_keys *keys, const lk_task *task);

/* Checks that the signature is at most `valid_ms` old, and that no other entry brought the job, nor this one before it
 * was answered; sets the task's `once`, and `waits` where this entry comes again. All workers of a Redis share what was
 * received and answered, while Redis keeps its data; beyond that the governance remembers what it has decided.
 * LK_EPOLICY: refused. LK_EIO: Redis did not answer. */
lk_status lk_replay_guard_check(lk_redis *redis, const lk_keys *keys, lk_task *task, lk_once *once, uint64_t valid_ms,
                                uint64_t now_ms, lk_error *error);

#endif
