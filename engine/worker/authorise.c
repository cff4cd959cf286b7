#include "engine/worker/authorise.h"

#include <stdlib.h>

#include "base/fail.h"
#include "engine/queue/reply.h"
#include "engine/worker/replay_guard.h"

/* A failure as the protocol knows it; the operator reads what it was. */
static lk_status say(const lk_worker *worker, lk_status status, const char *what, lk_error *error) {
  if (status < LK_EINVAL) return status;
  fprintf(worker->options->log, "likeness: nothing is %s: %s\n", what, error->text);
  if (status == LK_EIO) lk_fail(error, LK_EIO, "the audit log cannot be written, so nothing is %s", what);
  return LK_EINTERNAL;
}

static void tighten(lk_task *task) {
  task->job.k = task->verdict->k;
  task->job.threshold = task->verdict->threshold;
}

static lk_status authenticate(const lk_worker *worker, const lk_task *task, bool *authenticated, lk_error *error) {
  const lk_job *job = &task->job;
  *authenticated = false;
  if (!job->is_signed) return LK_OK;
  return lk_governance_authenticate(worker->options->governance, job->actor, job->signed_message,
                                    sizeof job->signed_message, job->signature, authenticated, error);
}

lk_status lk_authorise_decide(const lk_worker *worker, lk_redis *redis, lk_task *task, lk_error *error) {
  lk_governance *governance = worker->options->governance;
  uint64_t now_ms = lk_worker_redis_ms(worker);
  if (governance == NULL) return LK_OK;
  task->verdict = malloc(sizeof *task->verdict);
  if (task->verdict == NULL) return say(worker, lk_fail_memory(error), "searched", error);
  lk_policy_request request = lk_task_request(task);
  lk_status status = authenticate(worker, task, &request.actor_signed, error);
  if (request.actor_signed) status = lk_replay_guard_check(redis, task, now_ms, error);
  if (status == LK_EIO) return status;
  status = status == LK_OK ? lk_governance_decide(governance, &request, now_ms, task->verdict, error)
                           : lk_governance_refuse(governance, &request, now_ms, task->verdict, error);
  if (status == LK_OK) tighten(task);
  return say(worker, status, "searched", error);
}

/* A reply may leave at any time, but for those that a policy lets leave only while its decision holds. */
static void set_times(lk_task *task) {
  static const uint64_t ever_ms = 1ULL << 53; /* as far as Lua's numbers count */
  bool bound = task->verdict != NULL && task->status == LK_OK;
  uint64_t since_ms = bound ? task->verdict->since_ms : 0;
  uint64_t until_ms = bound && task->verdict->until_ms < ever_ms ? task->verdict->until_ms : ever_ms;
  snprintf(task->since, sizeof task->since, "%llu", (unsigned long long)since_ms);
  snprintf(task->until, sizeof task->until, "%llu", (unsigned long long)until_ms);
}

static lk_status release(const lk_worker *worker, lk_task *task, const lk_result *result, lk_release *released) {
  lk_governance *governance = worker->options->governance;
  uint64_t now_ms = lk_worker_redis_ms(worker);
  lk_policy_request request = lk_task_request(task);
  lk_error ignored; /* a policy that lists the key no more may still permit the unsigned job */
  authenticate(worker, task, &request.actor_signed, &ignored);
  lk_status status = lk_governance_release(governance, &request, now_ms, task->verdict, &task->error);
  tighten(task);
  lk_reply_part part = {.result = result, .first = task->first, .k = task->job.k, .threshold = task->job.threshold};
  released->candidates = status == LK_OK ? lk_reply_candidates(&part, lk_job_lists(&task->job)) : 0;
  lk_error log_error;
  lk_status kept = lk_governance_keep(governance, &request, now_ms, task->verdict, released, &log_error);
  if (kept == LK_OK) return status;
  task->error = log_error;
  return kept;
}

void lk_authorise_release(const lk_worker *worker, lk_task *task, const lk_result *result, lk_release *released) {
  if (task->verdict != NULL && task->status == LK_OK)
    task->status = say(worker, release(worker, task, result, released), "released", &task->error);
  set_times(task);
}

bool lk_authorise_commit(const lk_worker *worker, lk_task *const *tasks, size_t count) {
  lk_governance *governance = worker->options->governance;
  lk_error error;
  lk_status status = governance != NULL ? lk_governance_commit(governance, &error) : LK_OK;
  if (status == LK_OK) return true;
  status = say(worker, status, "released", &error);
  for (size_t i = 0; i < count; i++) {
    if (tasks[i]->verdict != NULL) tasks[i]->verdict->sequence = 0;
    if (tasks[i]->status != LK_OK) continue;
    if (tasks[i]->verdict != NULL) tasks[i]->verdict->permitted = false;
    tasks[i]->status = status;
    tasks[i]->error = error;
  }
  return false;
}

uint64_t lk_authorise_generation(const lk_worker *worker) {
  return worker->options->governance != NULL ? lk_governance_generation(worker->options->governance) : 0;
}

void lk_authorise_reload(const lk_worker *worker) {
  const lk_worker_options *options = worker->options;
  if (options->governance == NULL || !atomic_exchange(options->reload, false)) return;
  lk_error error;
  lk_status status = lk_governance_reload(options->governance, &error);
  if (status == LK_OK && error.text[0] == '\0')
    fprintf(options->log, "likeness: the policy was read again\n");
  else
    fprintf(options->log, "likeness: everything is refused: %s\n", error.text);
}
