/* The worker's authorisation of jobs: when they come in, and before their replies leave. Without a governance
 * everything is permitted, until a gallery is bound while the worker serves it: then its jobs are refused. Failures are
 * LK_EPOLICY or LK_EINTERNAL, as the protocol has them. */
#ifndef ENGINE_WORKER_AUTHORISE_H
#define ENGINE_WORKER_AUTHORISE_H

#include "engine/worker/worker.h"

/* Decides a job before anything is done, operation by operation (lk_job_operations) up to the first that is refused,
 * and tightens the limits of a search. A change may be handed on only once lk_authorise_commit has made its decisions
 * durable. `fault` is LK_OK, or why the probes cannot be searched for,
 * with the reason in `error`: only a permitted caller is told. LK_EIO: the connection to Redis broke, so the job is not
 * decided. */
lk_status lk_authorise_decide(const lk_worker *worker, lk_redis *redis, lk_task *task, lk_status fault,
                              lk_error *error);

/* Decides again, tightens the job's limits, and writes to the log what is about to leave, or that nothing does. Sets
 * status and error of a task that is withheld. `released` has everything but the candidates, which this counts and
 * hashes in `result`. */
void lk_authorise_release(const lk_worker *worker, lk_task *task, const lk_result *result, lk_release *released);

/* Commits the log; call it before the replies leave. False: the log failed, and all tasks are withheld. */
bool lk_authorise_commit(const lk_worker *worker, lk_task *const *tasks, size_t count);

/* Reads the rules again if SIGHUP asked for it or their files have changed. Whoever had them read, the log says which
 * file was read, and its hash. */
void lk_authorise_reload(lk_worker *worker);

/* Changes when the rules are read again. Decisions of another generation must be made again. */
uint64_t lk_authorise_generation(const lk_worker *worker);

#endif
