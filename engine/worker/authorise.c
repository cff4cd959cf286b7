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

/* The probes of a job that can be searched, and what the search is confined to. */
static lk_evidence evidence_of(const lk_task *task, lk_status fault) {
  lk_evidence evidence = {.fault = fault, .searches = true, .narrowing = lk_task_narrowing(task)};
  if (fault != LK_OK) return evidence;
  evidence.probes = task->prepared;
  evidence.floats = task->job.probes.rows * task->job.probes.dim;
  return evidence;
}

lk_status lk_authorise_decide(const lk_worker *worker, lk_redis *redis, lk_task *task, lk_status fault,
                              lk_error *error) {
  uint64_t now_ms = lk_worker_redis_ms(worker);
  if (worker->options->governance == NULL) {
    lk_status status = lk_gallery_check_binding(task->gallery, error);
    return status == LK_OK ? fault : status;
  }
  lk_authorisation *a = task->authorisation = malloc(sizeof *a);
  if (a == NULL) return report(worker, lk_fail_memory(error), "searched", error);
  *a = (lk_authorisation){.governance = worker->options->governance,
                          .request = lk_task_request(task),
                          .evidence = evidence_of(task, fault)};
  lk_proof proof = proof_of(&task->job);
  lk_status status = lk_authorisation_authenticate(a, &proof, error);
  const lk_keys *keys = &worker->keys[task->number];
  lk_once once = lk_replay_guard_name(keys, task);
  bool is_signed = a->request.actor_signed;
  if (is_signed)
    status = lk_replay_guard_check(redis, keys, task, &once, lk_governance_signature_ms(a->governance), now_ms, error);
  if (status == LK_EIO) return status;
  if (status == LK_OK) status = lk_gallery_check_binding(task->gallery, error);
  status = lk_authorisation_decide(a, status, is_signed ? &once : NULL, now_ms, error);
  if (status == LK_OK) tighten(task);
  return report(worker, status, "searched", error);
}

/* Whether the search found something to tell: lists, or that there is no such subject. */
static bool has_answer(const lk_task *task) { return task->status == LK_OK || task->status == LK_EBADJOB; }

/* Whether the reply tells it. */
static bool is_answer(const lk_task *task) {
  bool permitted = task->authorisation != NULL && task->authorisation->verdict.permitted;
  return permitted && has_answer(task);
}

/* An answer under a policy may leave only while its decision holds; other replies at any time. */
static void set_times(lk_task *task) {
  static const uint64_t ever_ms = 1ULL << 53; /* as far as Lua's numbers count */
  const lk_verdict *verdict = is_answer(task) ? &task->authorisation->verdict : NULL;
  uint64_t since_ms = verdict != NULL ? verdict->since_ms : 0;
  uint64_t until_ms = verdict != NULL && verdict->until_ms < ever_ms ? verdict->until_ms : ever_ms;
  snprintf(task->since, sizeof task->since, "%llu", (unsigned long long)since_ms);
  snprintf(task->until, sizeof task->until, "%llu", (unsigned long long)until_ms);
}

static uint32_t count_in(const void *part, uint32_t list) { return lk_reply_list_candidates(part, list); }

static lk_text subject_in(const void *context, uint32_t list, uint32_t rank) {
  const lk_reply_part *part = context;
  return lk_result_candidate(part->result, part->first + list, rank).found.subject;
}

/* Counts what the task found and describes it, as it is released. */
static lk_status count_answer(const lk_task *task, const lk_result *result, lk_release *released, uint64_t now_ms,
                              lk_error *error) {
  lk_authorisation *a = task->authorisation;
  lk_reply_part part = {.result = result,
                        .first = task->first,
                        .k = task->job.k,
                        .threshold = task->job.threshold,
                        .detail = a->verdict.detail};
  lk_finds finds = {.lists = lk_job_lists(&task->job), .count = count_in, .subject = subject_in, .context = &part};
  lk_status status = lk_authorisation_count_finds(a, &finds, now_ms, error);
  if (status != LK_OK) return status;
  released->candidates = lk_reply_candidates(&part, finds.lists);
  if (lk_governance_has_log(a->governance)) lk_reply_hash(&part, finds.lists, a->verdict.id, released->reply);
  return LK_OK;
}

/* Returns the task's status, or why its answer is withheld. */
static lk_status release(const lk_worker *worker, lk_task *task, const lk_result *result, lk_release *released) {
  lk_authorisation *a = task->authorisation;
  uint64_t now_ms = lk_worker_redis_ms(worker);
  lk_proof proof = proof_of(&task->job);
  lk_status status = lk_authorisation_release(a, &proof, now_ms, &task->error);
  if (status == LK_OK) status = lk_gallery_check_binding(task->gallery, &task->error);
  tighten(task);
  if (status == LK_OK && task->status == LK_OK) status = count_answer(task, result, released, now_ms, &task->error);
  if (status != LK_OK && a->verdict.permitted) lk_verdict_withhold(&a->verdict, status);
  status = lk_authorisation_log_search(a, status, released, now_ms, &task->error);
  if (status == LK_OK) return task->status;
  if (a->verdict.permitted) lk_verdict_withhold(&a->verdict, status);
  return status;
}

/* A job that was permitted and then could not be searched: its reply is no permit, and the log says what became of it.
 */
static lk_status withhold(const lk_worker *worker, lk_task *task, const lk_release *released) {
  lk_verdict_withhold(&task->authorisation->verdict, task->status);
  return lk_authorisation_log_search(task->authorisation, task->status, released, lk_worker_redis_ms(worker),
                                     &task->error);
}

void lk_authorise_release(const lk_worker *worker, lk_task *task, const lk_result *result, lk_release *released) {
  if (task->authorisation == NULL && task->gallery != NULL && has_answer(task)) {
    lk_status status = lk_gallery_check_binding(task->gallery, &task->error);
    if (status != LK_OK) task->status = status;
  }
  if (task->authorisation != NULL && task->authorisation->verdict.permitted) {
    lk_status status = is_answer(task) ? release(worker, task, result, released) : withhold(worker, task, released);
    task->status = report(worker, status, "released", &task->error);
  }
  set_times(task);
}

bool lk_authorise_commit(const lk_worker *worker, lk_task *const *tasks, size_t count) {
  lk_governance *governance = worker->options->governance;
  lk_error error;
  lk_status status = governance != NULL ? lk_governance_commit(governance, &error) : LK_OK;
  if (status == LK_OK) return true;
  status = report(worker, status, "released", &error);
  for (size_t i = 0; i < count; i++) {
    lk_authorisation *a = tasks[i]->authorisation;
    if (a == NULL) continue;
    a->verdict.sequence = 0;
    if (!a->verdict.permitted) continue;
    lk_verdict_withhold(&a->verdict, status);
    tasks[i]->status = status;
    tasks[i]->error = error;
  }
  return false;
}

uint64_t lk_authorise_generation(const lk_worker *worker) {
  return worker->options->governance != NULL ? lk_governance_generation(worker->options->governance) : 0;
}

/* One of the threads tells of a reload, whichever made it. */
static void tell_reload(lk_worker *worker) {
  uint_least64_t told = atomic_load(&worker->told), generation = lk_authorise_generation(worker);
  if (told == generation || !atomic_compare_exchange_strong(&worker->told, &told, generation)) return;
  char text[sizeof(lk_error)];
  bool valid = lk_governance_tell(worker->options->governance, text, sizeof text);
  lk_printable_line(worker->options->log,
                    valid ? "likeness: the policy was reloaded: %s"
                          : "likeness: the policy cannot be reloaded; every job is refused: %s",
                    text);
}

void lk_authorise_reload(lk_worker *worker) {
  const lk_worker_options *options = worker->options;
  if (options->governance == NULL) return;
  lk_error error = {0};
  lk_status status = LK_OK;
  if (atomic_exchange(options->reload, false))
    status = lk_governance_reload(options->governance, &error);
  else
    lk_governance_follow(options->governance);
  if (status != LK_OK) lk_printable_line(options->log, "likeness: the reload cannot be logged: %s", error.text);
  tell_reload(worker);
}
