/* Where the worker asks its governance: on each job's way in, and on its reply's way out. Without a governance all
 * passes. What fails here is the protocol's EPOLICY or EINTERNAL. */
#ifndef ENGINE_WORKER_AUTHORISE_H
#define ENGINE_WORKER_AUTHORISE_H

#include "engine/worker/worker.h"

/* Before any compute: a refused job costs a decision. Tightens the job's limits. LK_EIO: it cannot be decided, as the
 * connection to Redis broke. */
lk_status lk_authorise_decide(const lk_worker *worker, lk_redis *redis, lk_task *task, lk_error *error);

/* Asks again, tightens the job's limits, and has the log keep what is about to leave. A task that is withheld has its
 * status and error set. `released` has all but the candidates, which are counted in `result` and set. */
void lk_authorise_release(const lk_worker *worker, lk_task *task, const lk_result *result, lk_release *released);

/* Nothing leaves before the log has it. False where it cannot: then none of the tasks is released. */
bool lk_authorise_commit(const lk_worker *worker, lk_task *const *tasks, size_t count);

/* Reads the rules again if the process was told to. */
void lk_authorise_reload(const lk_worker *worker);

/* Another number once the rules were read again: what was decided before is to be decided again. */
uint64_t lk_authorise_generation(const lk_worker *worker);

#endif
