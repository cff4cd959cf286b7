#include "engine/worker/authorise.h"

#include <stdlib.h>

#include "base/fail.h"
#include "base/printable.h"
#include "engine/queue/reply.h"
#include "engine/worker/replay_guard.h"

/* Turns a failure into one of the protocol, and logs for the operator what it was. */
static lk_status report(const lk_worker *worker, lk_status status, const char *what, lk_error *error) {
  if (status < LK_EINVAL) return status;
  lk_printable_line(worker->options->log, "likeness: no result is %s: %s", what, error->text);
  if (status == LK_EIO) lk_fail(error, LK_EIO, "the audit log cannot be written, so no result is %s", what);
  return LK_EINTERNAL;
}

static void tighten(lk_task *task) {
  task->job.k = task->authorisation->request.k;
  task->job.threshold = task->authorisation->request.threshold;
}

static lk_proof proof_of(const lk_job *job) {
  return (lk_proof){.message = job->signed_message,
                    .size = sizeof job->signed_message,
                    .signature = job->is_signed ? job->signature : NULL,
                    .deployment = &job->deployment};
}

lk_status lk_authorise_decide(const lk_worker *worker, lk_redis *redis, lk_task *task, lk_error *error) {
  uint64_t now_ms = lk_worker_redis_ms(worker);
  if (worker->options->governance == NULL) return LK_OK;
  lk_authorisation *a = task->authorisation = malloc(sizeof *a);
  if (a == NULL) return report(worker, lk_fail_memory(error), "searched", error);
  *a = (lk_authorisation){.governance = worker->options->governance, .request = lk_task_request(task)};
  lk_proof proof = proof_of(&task->job);
  lk_status status = lk_authorisation_authenticate(a, &proof, error);
  lk_once once = lk_replay_guard_name(task);
  bool is_signed = a->request.actor_signed;
  if (is_signed)
    status = lk_replay_guard_check(redis, &worker->keys[task->number], task, &once,
                                   lk_governance_signature_ms(a->governance), now_ms, error);
  if (status == LK_EIO) return status;
  status = lk_authorisation_decide(a, status, is_signed ? &once : NULL, now_ms, error);
  if (status == LK_OK) tighten(task);
  return report(worker, status, "searched", error);
}

/* A reply under a policy may leave only while its decision holds; others at any time. */
static void set_times(lk_task *task) {
  static const uint64_t ever_ms = 1ULL << 53; /* as far as Lua's numbers count */
  const lk_verdict *verdict =
      task->authorisation != NULL && task->status == LK_OK ? &task->authorisation->verdict : NULL;
  uint64_t since_ms = verdict != NULL ? verdict->since_ms : 0;
  uint64_t until_ms = verdict != NULL && verdict->until_ms < ever_ms ? verdict->until_ms : ever_ms;
  snprintf(task->since, sizeof task->since, "%llu", (unsigned long long)since_ms);
  snprintf(task->until, sizeof task->until, "%llu", (unsigned long long)until_ms);
}

static lk_status release(const lk_worker *worker, lk_task *task, const lk_result *result, lk_release *released) {
  uint64_t now_ms = lk_worker_redis_ms(worker);
  lk_proof proof = proof_of(&task->job);
  lk_status status = lk_authorisation_release(task->authorisation, &proof, now_ms, &task->error);
  tighten(task);
  lk_reply_part part = {.result = result, .first = task->first, .k = task->job.k, .threshold = task->job.threshold};
  released->candidates = status == LK_OK ? lk_reply_candidates(&part, lk_job_lists(&task->job)) : 0;
  return lk_authorisation_log_search(task->authorisation, status, released, now_ms, &task->error);
}

void lk_authorise_release(const lk_worker *worker, lk_task *task, const lk_result *result, lk_release *released) {
  if (task->authorisation != NULL && task->status == LK_OK)
    task->status = report(worker, release(worker, task, result, released), "released", &task->error);
  set_times(task);
}

bool lk_authorise_commit(const lk_worker *worker, lk_task *const *tasks, size_t count) {
  lk_governance *governance = worker->options->governance;
  lk_error error;
  lk_status status = governance != NULL ? lk_governance_commit(governance, &error) : LK_OK;
  if (status == LK_OK) return true;
  status = report(worker, status, "released", &error);
  for (size_t i = 0; i < count; i++) {
    if (tasks[i]->authorisation != NULL) tasks[i]->authorisation->verdict.sequence = 0;
    if (tasks[i]->status != LK_OK) continue;
    if (tasks[i]->authorisation != NULL) tasks[i]->authorisation->verdict.permitted = false;
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
    lk_printable_line(options->log, "likeness: the policy was reloaded");
  else
    lk_printable_line(options->log, "likeness: the policy cannot be reloaded; every job is refused: %s", error.text);
}
