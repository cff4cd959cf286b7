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

/* A change has no limits of its own. */
static void tighten(lk_task *task) {
  if (lk_op_kind_of(task->job.op) != LK_OP_SEARCHES) return;
  task->job.k = task->authorisation->request.k;
  task->job.threshold = task->authorisation->request.threshold;
}

static lk_proof proof_of(const lk_job *job) {
  return (lk_proof){.message = job->signed_message,
                    .size = sizeof job->signed_message,
                    .signature = job->is_signed ? job->signature : NULL,
                    .deployment = &job->deployment};
}

/* The probes of a job that can be searched, and what the search is confined to: that for matches to nothing. */
static lk_evidence evidence_of(const lk_task *task, const lk_policy_request *request, lk_status fault) {
  lk_evidence evidence = {.fault = fault};
  if (request->probes == 0) return evidence;
  evidence.searches = true;
  if (!task->job.change.unless_match) evidence.narrowing = lk_task_narrowing(task);
  if (fault != LK_OK) return evidence;
  evidence.probes = task->prepared;
  evidence.floats = task->job.probes.rows * task->job.probes.dim;
  return evidence;
}

/* Begins the authorisation of one more operation. */
static lk_authorisation *begin(const lk_worker *worker, lk_task *task, lk_operation operation, lk_status fault) {
  lk_authorisation *a = &task->authorisation[task->authorisations++];
  *a = (lk_authorisation){.governance = worker->options->governance, .request = lk_task_request(task, operation)};
  a->evidence = evidence_of(task, &a->request, fault);
  return a;
}

/* Decides the operation that the job is for. A signed job counts once, whatever else it needs. LK_EIO: it is not
 * decided, as of lk_authorise_decide. */
static lk_status decide_first(const lk_worker *worker, lk_redis *redis, lk_task *task, lk_authorisation *a,
                              lk_error *error) {
  uint64_t now_ms = lk_worker_redis_ms(worker);
  lk_proof proof = proof_of(&task->job);
  lk_status status = lk_authorisation_authenticate(a, &proof, error);
  const lk_keys *keys = &worker->keys[task->number];
  lk_once once = lk_replay_guard_name(keys, task);
  bool is_signed = a->request.actor_signed;
  if (is_signed)
    status = lk_replay_guard_check(redis, keys, task, &once, lk_governance_signature_ms(a->governance), now_ms, error);
  if (status == LK_EIO) return status;
  if (status == LK_OK) status = lk_gallery_check_binding(task->gallery, error);
  return report(worker, lk_authorisation_decide(a, status, is_signed ? &once : NULL, now_ms, error), "searched", error);
}

/* Under a stricter limit the check for matches would pass over some, so nothing is enrolled. */
static lk_status check_match(lk_task *task, lk_authorisation *a, uint64_t now_ms, lk_error *error) {
  static const lk_release nothing;
  float asked = task->job.change.match_threshold, least = a->request.threshold;
  if (a->request.operation != LK_OPERATION_IDENTIFY || !(least > asked)) return LK_OK;
  lk_fail(error, LK_EPOLICY,
          "refused: the policy releases no score below %.9g, so matches from %.9g on would go unseen", (double)least,
          (double)asked);
  lk_verdict_withhold(&a->verdict, LK_EPOLICY);
  return lk_authorisation_log_search(a, LK_EPOLICY, &nothing, now_ms, error);
}

static lk_status decide_further(const lk_worker *worker, lk_task *task, lk_authorisation *a, lk_error *error) {
  uint64_t now_ms = lk_worker_redis_ms(worker);
  lk_proof proof = proof_of(&task->job);
  lk_status status = lk_authorisation_authenticate(a, &proof, error);
  status = lk_authorisation_decide(a, status, NULL, now_ms, error);
  if (status == LK_OK) status = check_match(task, a, now_ms, error);
  return report(worker, status, "searched", error);
}

lk_status lk_authorise_decide(const lk_worker *worker, lk_redis *redis, lk_task *task, lk_status fault,
                              lk_error *error) {
  lk_operation needed[LK_JOB_OPERATIONS_MAX];
  uint32_t count = lk_job_operations(&task->job, needed);
  if (worker->options->governance == NULL) {
    lk_status status = lk_gallery_check_binding(task->gallery, error);
    return status == LK_OK ? fault : status;
  }
  task->authorisation = malloc(count * sizeof *task->authorisation);
  if (task->authorisation == NULL) return report(worker, lk_fail_memory(error), "searched", error);
  lk_status status = decide_first(worker, redis, task, begin(worker, task, needed[0], fault), error);
  if (status == LK_OK) tighten(task);
  for (uint32_t i = 1; status == LK_OK && i < count; i++)
    status = decide_further(worker, task, begin(worker, task, needed[i], LK_OK), error);
  return status;
}

/* Whether there is something to tell: what was found, or that there is no such subject. */
static bool has_answer(const lk_task *task) { return task->status == LK_OK || task->status == LK_EBADJOB; }

/* Whether the reply tells it. */
static bool is_answer(const lk_task *task) {
  const lk_verdict *verdict = lk_task_verdict(task);
  return verdict != NULL && verdict->permitted && has_answer(task);
}

/* An answer under a policy may leave only while its decision holds; other replies at any time. */
static void set_times(lk_task *task) {
  static const uint64_t ever_ms = 1ULL << 53; /* as far as Lua's numbers count */
  const lk_verdict *verdict = is_answer(task) ? lk_task_verdict(task) : NULL;
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
  if (lk_job_lists(&task->job) == 0) return LK_OK;
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

/* What was asked, without a search, is no result. */
static lk_status log_answer(lk_task *task, const lk_release *released, uint64_t now_ms) {
  lk_authorisation *a = task->authorisation;
  const lk_task_answer *answer = &task->answer;
  if (lk_op_kind_of(task->job.op) == LK_OP_SEARCHES)
    return lk_authorisation_log_search(a, LK_OK, released, now_ms, &task->error);
  return lk_governance_log_done(a->governance, &a->request, now_ms, &a->verdict, answer->epoch, answer->templates,
                                &task->error);
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
  status = status == LK_OK ? log_answer(task, released, now_ms)
                           : lk_authorisation_log_search(a, status, released, now_ms, &task->error);
  if (status == LK_OK) return task->status;
  if (a->verdict.permitted) lk_verdict_withhold(&a->verdict, status);
  return status;
}

/* A job that was permitted and then could not be done: its reply is no permit, and the log says what became of each. */
static lk_status withhold(const lk_worker *worker, lk_task *task, const lk_release *released) {
  lk_status status = task->status;
  for (uint32_t i = 0; i < task->authorisations; i++) {
    lk_authorisation *a = &task->authorisation[i];
    if (!a->verdict.permitted) continue;
    lk_verdict_withhold(&a->verdict, task->status);
    lk_status logged = lk_authorisation_log_search(a, LK_OK, released, lk_worker_redis_ms(worker), &task->error);
    if (logged != LK_OK) status = logged;
  }
  return status;
}

static bool is_permitted(const lk_task *task) {
  return task->authorisations > 0 && task->authorisation->verdict.permitted;
}

void lk_authorise_release(const lk_worker *worker, lk_task *task, const lk_result *result, lk_release *released) {
  if (task->authorisation == NULL && task->gallery != NULL && has_answer(task)) {
    lk_status status = lk_gallery_check_binding(task->gallery, &task->error);
    if (status != LK_OK) task->status = status;
  }
  if (is_permitted(task)) {
    lk_status status = is_answer(task) ? release(worker, task, result, released) : withhold(worker, task, released);
    task->status = report(worker, status, "released", &task->error);
  }
  set_times(task);
}

/* What is not in the log is no decision. */
static void take_back(lk_task *task, lk_status status, const lk_error *error) {
  for (uint32_t i = 0; i < task->authorisations; i++) {
    lk_verdict *verdict = &task->authorisation[i].verdict;
    verdict->sequence = 0;
    if (!verdict->permitted) continue;
    lk_verdict_withhold(verdict, status);
    task->status = status;
    task->error = *error;
  }
}

bool lk_authorise_commit(const lk_worker *worker, lk_task *const *tasks, size_t count) {
  lk_governance *governance = worker->options->governance;
  lk_error error;
  lk_status status = governance != NULL ? lk_governance_commit(governance, &error) : LK_OK;
  if (status == LK_OK) return true;
  status = report(worker, status, "released", &error);
  for (size_t i = 0; i < count; i++) take_back(tasks[i], status, &error);
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
