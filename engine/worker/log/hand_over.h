/* Hands a job that changes its gallery over to the log: from then on it is the log's, and whoever owns that answers it.
 */
#ifndef ENGINE_WORKER_LOG_HAND_OVER_H
#define ENGINE_WORKER_LOG_HAND_OVER_H

#include "engine/worker/worker.h"

/* Of a job that was permitted, after lk_authorise_commit. LK_OK: it is not this worker's any more. LK_EIO: the
 * connection broke, and nobody knows. LK_ECANCELLED: it came too late for its permit or its deadline, stays in the
 * queue and is to be decided again. Else it is to be answered with this: LK_EBUSY: nobody can take it now. LK_EBADJOB,
 * LK_EINTERNAL. */
lk_status lk_hand_over(lk_worker *worker, lk_redis *redis, const lk_task *task, lk_error *error);

#endif
