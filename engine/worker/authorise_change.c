#include "engine/worker/authorise_change.h"

#include "base/fail.h"
#include "base/text.h"
#include "governance/decision_record.h"
#include "index/gallery/unchecked.h"

json_t *lk_authorise_change_decision(const lk_task *task) {
  const lk_verdict *verdicts[LK_JOB_OPERATIONS_MAX];
  for (uint32_t i = 0; i < task->authorisations; i++) verdicts[i] = &task->authorisation[i].verdict;
  return lk_change_record(verdicts, task->authorisations);
}

static lk_policy_request request_of(const lk_gallery *gallery, lk_operation operation, uint64_t probes) {
  lk_gallery_stat stat;
  lk_gallery_stat_get_constant(gallery, &stat);
  return (lk_policy_request){.operation = operation,
                             .gallery = lk_text_of(stat.name),
                             .model = lk_text_of(stat.model),
                             .probes = operation == LK_OPERATION_IDENTIFY ? (uint32_t)probes : 0};
}

static void hash_finding(const lk_finding *finding, uint64_t probes, const char *id, char hex[LK_EVIDENCE_HEX]) {
  lk_answer_hash hash;
  lk_answer_hash_start(&hash, id);
  for (uint64_t probe = 0; probe < probes; probe++) {
    bool found = finding->found && finding->probe == probe;
    lk_answer_hash_list(&hash, found);
    if (found) lk_answer_hash_candidate(&hash, finding->number, finding->score);
  }
  lk_answer_hash_end(&hash, hex);
}

static uint32_t count_found(const void *context, uint32_t probe) {
  const lk_finding *finding = context;
  return finding->found && finding->probe == probe;
}

static lk_text subject_found(const void *context, uint32_t probe, uint32_t rank) {
  (void)probe, (void)rank;
  return lk_text_of(((const lk_finding *)context)->subject);
}

/* Whether a match may be told now. The request is not known any more, but that it was permitted. */
static lk_status release_match(lk_governance *governance, const lk_policy_request *request, lk_verdict *verdict,
                               lk_change_end *end, uint64_t now_ms) {
  lk_finds finds = {
      .lists = (uint32_t)end->probes, .count = count_found, .subject = subject_found, .context = end->finding};
  lk_status status = lk_governance_confirm(governance, verdict, now_ms, &end->error);
  if (status == LK_OK) status = lk_governance_count_finds(governance, request, now_ms, verdict, &finds, &end->error);
  return status;
}

/* Also that there was no match, or why nothing was searched. */
static lk_status log_match(lk_governance *governance, const lk_policy_request *request, lk_verdict *verdict,
                           lk_change_end *end, uint64_t now_ms, lk_error *error) {
  const lk_finding *finding = end->finding;
  lk_status status = finding == NULL ? end->status : LK_OK;
  lk_release release = {0};
  if (finding != NULL && finding->found) status = release_match(governance, request, verdict, end, now_ms);
  if (status != LK_OK) {
    lk_verdict_withhold(verdict, status);
  } else {
    release = (lk_release){
        .epoch = finding->epoch, .searched = finding->searched, .total = finding->total, .candidates = finding->found};
    hash_finding(finding, end->probes, verdict->id, release.reply);
  }
  if (finding != NULL && status != LK_OK) {
    end->status = status;
    end->refusal = lk_decision_record(governance, verdict, request->model, &release);
    if (end->refusal == NULL) return lk_fail_memory(error);
  }
  return lk_governance_log_search(governance, request, now_ms, verdict, &release, error);
}

static lk_status log_operation(lk_governance *governance, const lk_policy_request *request, lk_verdict *verdict,
                               lk_change_end *end, bool replaces, uint64_t now_ms, lk_error *error) {
  if (request->operation == LK_OPERATION_IDENTIFY) return log_match(governance, request, verdict, end, now_ms, error);
  if (end->status != LK_OK) return LK_OK;
  uint64_t templates = replaces ? end->receipt.replaced : end->receipt.templates;
  return lk_governance_log_done(governance, request, now_ms, verdict, end->receipt.epoch, templates, error);
}

static lk_verdict verdict_of(const json_t *decision, uint32_t number, lk_change_end *end) {
  static const lk_verdict none = {.permitted = true,
                                  .subject_probes_per_hour = LK_POLICY_NO_LIMIT,
                                  .until_ms = UINT64_MAX,
                                  .id = "undecided",
                                  .policy = "none"};
  lk_verdict verdict;
  if (lk_change_record_verdict(decision, number, &verdict)) return verdict;
  end->undecided = true;
  return none;
}

lk_status lk_authorise_log_change(lk_governance *governance, const lk_gallery *gallery, const lk_job *job,
                                  const json_t *decision, lk_change_end *end, uint64_t now_ms, lk_error *error) {
  lk_operation needed[LK_JOB_OPERATIONS_MAX];
  uint32_t count = lk_job_operations(job, needed);
  lk_status status = LK_OK;
  for (uint32_t i = 0; status == LK_OK && i < count; i++) {
    lk_verdict verdict = verdict_of(decision, i, end);
    lk_policy_request request = request_of(gallery, needed[i], end->probes);
    bool replaces = i > 0 && needed[i] == LK_OPERATION_DELETE;
    status = log_operation(governance, &request, &verdict, end, replaces, now_ms, error);
  }
  return status;
}
