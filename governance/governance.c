#include "governance/governance.h"

#include <math.h>
#include <pthread.h>
#include <sodium.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/stamp.h"
#include "base/text.h"
#include "governance/calibration.h"
#include "governance/cases.h"
#include "governance/found.h"
#include "governance/kept_log.h"
#include "governance/policy/rule.h"
#include "governance/seen.h"

struct lk_governance {
  lk_governance_options options;
  atomic_uint_least64_t generation;
  atomic_uint_least64_t looked_us; /* when the files were last looked at */
  pthread_mutex_t lock;            /* protects all members below */
  lk_policy *policy;               /* NULL: no policy is configured, or it is broken */
  lk_error broken;                 /* why every request is refused; "": the files are valid */
  lk_calibration calibration;
  lk_stamp policy_read, calibration_read; /* the files as they were read */
  bool is_calibrated;
  lk_audit *audit;
  lk_cases cases;
  lk_seen seen;
  lk_found found;
};

/* The file that was read last, and its faulty line; and how the files were before they were read. */
typedef struct last_read {
  const char *file;
  uint32_t line; /* 0: no fault, or no line is at fault */
  lk_stamp policy, calibration;
} last_read;

static lk_status read_rules(const lk_governance_options *options, lk_policy **policy, lk_calibration *calibration,
                            last_read *last, lk_error *error) {
  *policy = NULL;
  *calibration = (lk_calibration){0};
  *last = (last_read){.file = options->policy,
                      .policy = lk_stamp_of(options->policy),
                      .calibration = lk_stamp_of(options->calibration)};
  lk_status status = options->policy != NULL ? lk_policy_open_at(options->policy, policy, &last->line, error) : LK_OK;
  if (status == LK_OK && options->calibration != NULL) {
    last->file = options->calibration;
    status = lk_calibration_open(options->calibration, calibration, &last->line, error);
  }
  if (status != LK_OK) {
    lk_policy_close(*policy);
    *policy = NULL;
  }
  return status;
}

static void name_policy(const lk_governance *g, char name[LK_VERDICT_POLICY]) {
  lk_policy_stat stat;
  if (g->policy == NULL) {
    strcpy(name, g->options.policy == NULL ? "none" : "broken");
    return;
  }
  lk_policy_stat_get(g->policy, &stat);
  sodium_bin2hex(name, LK_VERDICT_POLICY, stat.hash, sizeof stat.hash);
}

static lk_status log_policy(lk_governance *g, const last_read *last, lk_error *error) {
  if (g->audit == NULL || g->options.policy == NULL) return LK_OK;
  char hash[LK_VERDICT_POLICY];
  name_policy(g, hash);
  lk_audit_record record = {.type = LK_AUDIT_POLICY_REFUSED, .file = lk_text_of(last->file), .threshold = -INFINITY};
  if (g->policy != NULL) {
    record.type = LK_AUDIT_POLICY_LOADED;
    record.file = lk_text_of(g->options.policy);
    record.policy = lk_text_of(hash);
  } else {
    record.line = last->line;
  }
  lk_status status = lk_audit_append(g->audit, &record, NULL, error);
  return status == LK_OK ? lk_audit_commit(g->audit, error) : status;
}

/* A broken policy authenticates nobody. */
static uint64_t signature_ms(const lk_governance *g) {
  return g->policy != NULL ? g->policy->signature_minutes * UINT64_C(60000) : 0;
}

static lk_status open_log(lk_governance *g, lk_error *error) {
  if (g->options.audit == NULL) return LK_OK;
  lk_kept_log log = {.folder = g->options.audit,
                     .key = g->options.audit_key,
                     .keepers = g->options.keepers,
                     .keepers_count = g->options.keepers_count,
                     .lost = g->options.lost_log};
  return lk_kept_log_open(&log, signature_ms(g), &g->cases, &g->seen, &g->audit, error);
}

lk_status lk_governance_join(lk_governance *governance, const char *keeper, lk_error *error) {
  if (governance->audit == NULL) return LK_OK;
  return lk_kept_log_join(governance->audit, governance->options.audit, keeper, error);
}

lk_status lk_governance_open(const lk_governance_options *options, lk_governance **governance, lk_error *error) {
  if (sodium_init() < 0) return lk_fail(error, LK_EINTERNAL, "libsodium cannot start");
  lk_governance *g = calloc(1, sizeof *g);
  if (g == NULL) return lk_fail_memory(error);
  g->options = *options;
  pthread_mutex_init(&g->lock, NULL);
  last_read last;
  lk_status status = read_rules(options, &g->policy, &g->calibration, &last, error);
  g->is_calibrated = options->calibration != NULL;
  g->policy_read = last.policy;
  g->calibration_read = last.calibration;
  lk_stamp_is_due(&g->looked_us); /* they were looked at now */
  if (status == LK_OK) status = open_log(g, error);
  if (status == LK_OK) status = log_policy(g, &last, error);
  if (status != LK_OK) {
    lk_governance_close(g, NULL);
    return status;
  }
  *governance = g;
  return LK_OK;
}

lk_status lk_governance_close(lk_governance *governance, lk_error *error) {
  if (governance == NULL) return LK_OK;
  lk_status status = governance->audit != NULL ? lk_audit_close(governance->audit, error) : LK_OK;
  lk_policy_close(governance->policy);
  lk_calibration_close(&governance->calibration);
  lk_cases_free(&governance->cases);
  lk_seen_free(&governance->seen);
  lk_found_free(&governance->found);
  pthread_mutex_destroy(&governance->lock);
  free(governance);
  return status;
}

lk_status lk_governance_reload(lk_governance *governance, lk_error *error) {
  lk_policy *policy;
  lk_calibration calibration;
  last_read last;
  error->text[0] = '\0';
  read_rules(&governance->options, &policy, &calibration, &last, error);
  pthread_mutex_lock(&governance->lock);
  lk_policy_close(governance->policy);
  lk_calibration_close(&governance->calibration);
  governance->policy = policy;
  governance->calibration = calibration;
  governance->policy_read = last.policy;
  governance->calibration_read = last.calibration;
  governance->broken = *error;
  atomic_fetch_add(&governance->generation, 1);
  lk_error log_error;
  lk_status status = log_policy(governance, &last, &log_error);
  pthread_mutex_unlock(&governance->lock);
  if (status != LK_OK) *error = log_error;
  return status;
}

static bool has_changed(lk_governance *g) {
  lk_stamp policy = lk_stamp_of(g->options.policy), calibration = lk_stamp_of(g->options.calibration);
  pthread_mutex_lock(&g->lock);
  bool changed = !lk_stamp_equal(&policy, &g->policy_read) || !lk_stamp_equal(&calibration, &g->calibration_read);
  pthread_mutex_unlock(&g->lock);
  return changed;
}

void lk_governance_follow(lk_governance *governance) {
  lk_error told; /* lk_governance_tell has it too; a log that failed fails what comes after */
  if (lk_stamp_is_due(&governance->looked_us) && has_changed(governance)) lk_governance_reload(governance, &told);
}

bool lk_governance_tell(lk_governance *governance, char *text, size_t size) {
  char hash[LK_VERDICT_POLICY];
  pthread_mutex_lock(&governance->lock);
  bool valid = governance->broken.text[0] == '\0';
  name_policy(governance, hash);
  if (!valid)
    snprintf(text, size, "%s", governance->broken.text);
  else if (governance->options.policy == NULL)
    snprintf(text, size, "none");
  else
    snprintf(text, size, "%s, sha256 %s", governance->options.policy, hash);
  pthread_mutex_unlock(&governance->lock);
  return valid;
}

uint64_t lk_governance_generation(const lk_governance *governance) { return atomic_load(&governance->generation); }

/* Decides by the policy of now; sets all of the verdict except its id, sequence and case_probes. */
static lk_status ask(lk_governance *g, const lk_policy_request *request, uint64_t now_ms, lk_verdict *verdict,
                     lk_error *error) {
  verdict->permitted = true;
  verdict->reason = LK_OK;
  verdict->is_calibrated = g->is_calibrated && lk_calibration_fits(&g->calibration, request->model, request->metric);
  verdict->threshold = request->threshold;
  verdict->k = request->k;
  verdict->detail = (lk_score_detail){0};
  verdict->subject_probes_per_hour = LK_POLICY_NO_LIMIT;
  verdict->since_ms = 0;
  verdict->until_ms = UINT64_MAX;
  verdict->retention_hours = LK_POLICY_NO_LIMIT;
  verdict->rules_count = 0;
  name_policy(g, verdict->policy);
  if (g->options.policy == NULL) return LK_OK;
  if (g->policy == NULL) {
    lk_verdict_withhold(verdict, LK_EPOLICY);
    return lk_fail(error, LK_EPOLICY, "refused: the policy is broken: %s", g->broken.text);
  }
  lk_policy_decision decision;
  lk_policy_calibration calibration = {.threshold = lk_calibration_threshold, .context = &g->calibration};
  lk_status status = lk_policy_decide(g->policy, request, (int64_t)now_ms, verdict->is_calibrated ? &calibration : NULL,
                                      &decision, error);
  verdict->permitted = decision.permitted;
  verdict->reason = status;
  verdict->threshold = decision.threshold;
  verdict->k = decision.k;
  verdict->detail = decision.detail;
  verdict->subject_probes_per_hour = decision.subject_probes_per_hour;
  verdict->retention_hours = decision.retention_hours;
  lk_verdict_take(verdict, g->policy, request, &decision, now_ms);
  return status;
}

static lk_status log_decision(lk_governance *g, const lk_policy_request *request, const lk_evidence_text *evidence,
                              uint64_t now_ms, lk_verdict *verdict, lk_error *error) {
  if (g->audit == NULL) return LK_OK;
  lk_audit_record record = {.type = LK_AUDIT_DECISION,
                            .time_ms = now_ms,
                            .id = lk_text_of(verdict->id),
                            .operation = lk_text_of(lk_operation_name(request->operation)),
                            .purpose = request->purpose,
                            .actor = request->actor,
                            .jurisdiction = request->jurisdiction,
                            .case_id = request->case_id,
                            .authorisation = request->authorisation,
                            .gallery = request->gallery,
                            .model = request->model,
                            .policy = lk_text_of(verdict->policy),
                            .signed_hash = lk_text_of(verdict->once.hash),
                            .entry = lk_text_of(verdict->once.entry),
                            .narrowing = lk_text_of(evidence->narrowing),
                            .probes_hash = lk_text_of(evidence->probes),
                            .filter_hash = lk_text_of(evidence->filter),
                            .reason = lk_verdict_reason(verdict),
                            .authenticated = request->actor_signed,
                            .permitted = verdict->permitted,
                            .threshold = verdict->permitted ? verdict->threshold : -INFINITY,
                            .cap = verdict->k,
                            .probes = request->probes};
  lk_verdict_name_rules(verdict, &record);
  return lk_audit_append(g->audit, &record, &verdict->sequence, error);
}

/* A request on its way to its decision. */
typedef struct inquiry {
  const lk_policy_request *request;
  lk_seen_slot *seen; /* the signed job; NULL: it is not signed */
  lk_status fault;
  lk_evidence_text evidence;
  uint64_t now_ms;
} inquiry;

/* Whether the case's probes have those of this job already, which was decided before. */
static bool is_counted(const inquiry *a) {
  return a->seen != NULL && a->seen->counted && a->request->case_id.length > 0;
}

/* The policy comes first: only a caller that it permits is told of the request's fault. */
static lk_status judge(lk_governance *g, const inquiry *a, lk_verdict *verdict, lk_error *error) {
  lk_policy_request request = *a->request;
  request.case_probes = lk_cases_probes(&g->cases, request.case_id);
  if (is_counted(a)) request.case_probes -= request.probes;
  verdict->case_probes = request.case_probes;
  lk_status status = ask(g, &request, a->now_ms, verdict, error);
  if (status != LK_OK) return status;
  if (a->fault != LK_OK)
    status = a->fault;
  else if (!lk_cases_add(&g->cases, request.case_id, 0))
    status = lk_fail_memory(error);
  if (status != LK_OK) lk_verdict_withhold(verdict, status);
  return status;
}

/* Writes the decision down. `status` is that of the verdict; a decision that is not in the log is none. */
static lk_status note(lk_governance *g, const inquiry *a, lk_status status, lk_verdict *verdict, lk_error *error) {
  lk_error log_error;
  lk_status logged = log_decision(g, a->request, &a->evidence, a->now_ms, verdict, &log_error);
  if (logged == LK_OK) return status;
  lk_verdict_withhold(verdict, logged);
  *error = log_error;
  return logged;
}

static lk_status decide(lk_governance *g, const inquiry *a, lk_verdict *verdict, lk_error *error) {
  lk_status status = note(g, a, judge(g, a, verdict, error), verdict, error);
  if (status == LK_OK && !is_counted(a))
    lk_cases_add(&g->cases, a->request->case_id, a->request->probes); /* cannot fail: the slot is reserved */
  if (a->seen != NULL) lk_seen_decide(a->seen, status == LK_OK);
  return status;
}

static lk_status refuse(lk_governance *g, const inquiry *a, lk_status reason, lk_verdict *verdict, lk_error *error) {
  lk_verdict_withhold(verdict, reason);
  name_policy(g, verdict->policy);
  return note(g, a, reason, verdict, error);
}

/* Hashes outside the lock, for probes may be many. */
static inquiry start(const lk_governance *g, const lk_policy_request *request, const lk_evidence *evidence,
                     uint64_t now_ms, lk_verdict *verdict) {
  unsigned char random[(LK_VERDICT_ID - 1) / 2];
  inquiry a = {.request = request, .fault = evidence->fault, .now_ms = now_ms};
  *verdict = (lk_verdict){0};
  randombytes_buf(random, sizeof random);
  sodium_bin2hex(verdict->id, sizeof verdict->id, random, sizeof random);
  if (g->audit != NULL) lk_evidence_write(evidence, verdict->id, &a.evidence);
  return a;
}

/* Takes a signed job, which counts once. */
static lk_status take_once(lk_governance *g, const lk_once *once, inquiry *a, lk_verdict *verdict, lk_error *error) {
  if (once == NULL) return LK_OK;
  if (lk_seen_refuses(&g->seen, once))
    return lk_fail(error, LK_EPOLICY, "refused: this signed job was received and decided before");
  a->seen = lk_seen_take(&g->seen, once, a->now_ms, signature_ms(g));
  if (a->seen == NULL) return lk_fail_memory(error);
  verdict->once = *once;
  return LK_OK;
}

lk_status lk_governance_decide(lk_governance *governance, const lk_policy_request *request, const lk_evidence *evidence,
                               const lk_once *once, uint64_t now_ms, lk_verdict *verdict, lk_error *error) {
  inquiry a = start(governance, request, evidence, now_ms, verdict);
  lk_governance_follow(governance);
  pthread_mutex_lock(&governance->lock);
  lk_status status = take_once(governance, once, &a, verdict, error);
  if (status == LK_OK)
    status = decide(governance, &a, verdict, error);
  else
    status = refuse(governance, &a, status, verdict, error);
  pthread_mutex_unlock(&governance->lock);
  return status;
}

lk_status lk_governance_refuse(lk_governance *governance, const lk_policy_request *request, const lk_evidence *evidence,
                               uint64_t now_ms, lk_verdict *verdict, lk_error *error) {
  inquiry a = start(governance, request, evidence, now_ms, verdict);
  pthread_mutex_lock(&governance->lock);
  lk_status status = refuse(governance, &a, LK_EPOLICY, verdict, error);
  pthread_mutex_unlock(&governance->lock);
  return status;
}

bool lk_governance_has_log(const lk_governance *governance) { return governance->audit != NULL; }

uint64_t lk_governance_signature_ms(lk_governance *governance) {
  pthread_mutex_lock(&governance->lock);
  uint64_t ms = signature_ms(governance);
  pthread_mutex_unlock(&governance->lock);
  return ms;
}

lk_status lk_governance_authenticate(lk_governance *governance, lk_text actor, const lk_proof *proof,
                                     bool *authenticated, lk_error *error) {
  lk_governance_follow(governance);
  pthread_mutex_lock(&governance->lock);
  const lk_policy *policy = governance->policy;
  lk_status status = policy != NULL ? lk_proof_check(proof, policy, actor, error) : LK_OK;
  *authenticated = policy != NULL && status == LK_OK;
  pthread_mutex_unlock(&governance->lock);
  return status;
}

lk_status lk_governance_release(lk_governance *governance, const lk_policy_request *request, uint64_t now_ms,
                                lk_verdict *verdict, lk_error *error) {
  lk_verdict before = *verdict;
  lk_policy_request asked = *request;
  asked.case_probes = verdict->case_probes;
  lk_governance_follow(governance);
  pthread_mutex_lock(&governance->lock);
  lk_status status = ask(governance, &asked, now_ms, verdict, error);
  pthread_mutex_unlock(&governance->lock);
  verdict->threshold = fmaxf(verdict->threshold, before.threshold);
  verdict->k = verdict->k < before.k ? verdict->k : before.k;
  return status;
}

lk_status lk_governance_confirm(lk_governance *governance, const lk_verdict *verdict, uint64_t now_ms,
                                lk_error *error) {
  char policy[LK_VERDICT_POLICY];
  lk_governance_follow(governance);
  pthread_mutex_lock(&governance->lock);
  name_policy(governance, policy);
  pthread_mutex_unlock(&governance->lock);
  if (strcmp(policy, verdict->policy) != 0)
    return lk_fail(error, LK_EPOLICY, "refused: the rules are not those that permitted it");
  if (now_ms >= verdict->since_ms && now_ms < verdict->until_ms) return LK_OK;
  return lk_fail(error, LK_EPOLICY, "refused: it was permitted for another time");
}

lk_status lk_governance_count_finds(lk_governance *governance, const lk_policy_request *request, uint64_t now_ms,
                                    lk_verdict *verdict, const lk_finds *finds, lk_error *error) {
  if (verdict->subject_probes_per_hour == LK_POLICY_NO_LIMIT) return LK_OK;
  pthread_mutex_lock(&governance->lock);
  uint64_t most = lk_found_count(&governance->found, request->gallery, finds, now_ms);
  pthread_mutex_unlock(&governance->lock);
  if (most <= verdict->subject_probes_per_hour) return LK_OK;
  lk_verdict_withhold(verdict, LK_EPOLICY);
  return lk_fail(
      error, LK_EPOLICY,
      "refused: more than %u probes found one of these subjects within an hour, which the rules do not permit",
      verdict->subject_probes_per_hour);
}

static void note_answer(lk_governance *g, const lk_once *once) {
  if (once->hash[0] == '\0') return;
  pthread_mutex_lock(&g->lock);
  lk_seen_answer(&g->seen, once);
  pthread_mutex_unlock(&g->lock);
}

lk_status lk_governance_log_search(lk_governance *governance, const lk_policy_request *request, uint64_t now_ms,
                                   const lk_verdict *verdict, const lk_release *release, lk_error *error) {
  note_answer(governance, &verdict->once);
  if (governance->audit == NULL) return LK_OK;
  lk_audit_record record = {.type = LK_AUDIT_RESULT,
                            .time_ms = now_ms,
                            .id = lk_text_of(verdict->id),
                            .gallery = request->gallery,
                            .policy = lk_text_of(verdict->policy),
                            .threshold = -INFINITY,
                            .reason = lk_verdict_reason(verdict),
                            .signed_hash = lk_text_of(verdict->once.hash),
                            .reply_hash = lk_text_of(verdict->permitted ? release->reply : ""),
                            .released = verdict->permitted,
                            .probes = request->probes,
                            .epoch = release->epoch,
                            .searched = release->searched,
                            .total = release->total,
                            .candidates = verdict->permitted ? release->candidates : 0};
  lk_verdict_name_rules(verdict, &record);
  return lk_audit_append(governance->audit, &record, NULL, error);
}

lk_status lk_governance_log_done(lk_governance *governance, const lk_policy_request *request, uint64_t now_ms,
                                 const lk_verdict *verdict, uint64_t epoch, uint64_t templates, lk_error *error) {
  static const lk_audit_type types[LK_OPERATIONS] = {
      [LK_OPERATION_ENROLL] = LK_AUDIT_ENROLL, [LK_OPERATION_DELETE] = LK_AUDIT_DELETE,
      [LK_OPERATION_EXPORT] = LK_AUDIT_EXPORT, [LK_OPERATION_EVALUATE] = LK_AUDIT_EVALUATE,
      [LK_OPERATION_TAG] = LK_AUDIT_TAG,       [LK_OPERATION_EXPIRE] = LK_AUDIT_EXPIRE,
      [LK_OPERATION_ERASE] = LK_AUDIT_ERASE};
  note_answer(governance, &verdict->once);
  if (governance->audit == NULL) return LK_OK;
  lk_audit_record record = {.type = types[request->operation],
                            .time_ms = now_ms,
                            .id = lk_text_of(verdict->id),
                            .gallery = request->gallery,
                            .model = request->model,
                            .threshold = -INFINITY,
                            .probes = request->probes,
                            .epoch = epoch,
                            .templates = templates};
  return lk_audit_append(governance->audit, &record, NULL, error);
}

lk_status lk_governance_commit(lk_governance *governance, lk_error *error) {
  return governance->audit != NULL ? lk_audit_commit(governance->audit, error) : LK_OK;
}

lk_status lk_governance_head(lk_governance *governance, bool now, char head[LK_AUDIT_HEAD_MAX], uint64_t *sequence,
                             lk_error *error) {
  *sequence = 0;
  if (governance->audit == NULL) return LK_OK;
  lk_status status = now ? lk_audit_head(governance->audit, head, error) : lk_audit_commit(governance->audit, error);
  if (status == LK_OK) *sequence = lk_audit_latest_head(governance->audit, head);
  return status;
}

bool lk_governance_expected_false(lk_governance *g, const lk_verdict *verdict, lk_text model, uint64_t searched,
                                  double *expected) {
  pthread_mutex_lock(&g->lock);
  bool known = verdict->is_calibrated && verdict->permitted && lk_text_equal(model, lk_text_of(g->calibration.model));
  if (known) *expected = lk_calibration_fmr(&g->calibration, verdict->threshold) * (double)searched;
  pthread_mutex_unlock(&g->lock);
  return known;
}
