#include <math.h>
#include <string.h>

#include "base/fail.h"
#include "governance/policy/detail.h"
#include "governance/policy/rule.h"

enum { MS_PER_HOUR = 3600 * 1000 };

/* Limits on scores, candidates and probes bind only the operations that compare probes with templates. */
static bool compares(lk_operation operation) {
  return operation == LK_OPERATION_IDENTIFY || operation == LK_OPERATION_VERIFY;
}

static uint32_t fewer(uint32_t a, uint32_t b) { return a < b ? a : b; }

static void collect(const lk_policy *policy, const lk_policy_request *request, int64_t now_ms, lk_effect effect,
                    lk_policy_decision *decision) {
  for (uint32_t i = 0; i < policy->rules_count; i++)
    if (policy->rules[i].shown.effect == effect && lk_rule_match(&policy->rules[i], request, now_ms).applies)
      decision->rules[decision->rules_count++] = (uint16_t)i;
}

static lk_policy_cause check_claims(const lk_rule *rule, const lk_policy_request *request) {
  uint32_t require = rule->require;
  if (require & LK_REQUIRE_PURPOSE && request->purpose.length == 0) return LK_CAUSE_PURPOSE;
  if (require & LK_REQUIRE_ACTOR && request->actor.length == 0) return LK_CAUSE_ACTOR;
  if (require & LK_REQUIRE_SIGNATURE && (request->actor.length == 0 || !request->actor_signed))
    return LK_CAUSE_SIGNATURE;
  if (require & LK_REQUIRE_JURISDICTION && request->jurisdiction.length == 0) return LK_CAUSE_JURISDICTION;
  if (require & LK_REQUIRE_CASE && request->case_id.length == 0) return LK_CAUSE_CASE;
  return LK_CAUSE_NONE;
}

/* Subtracts the times as unsigned numbers: that cannot overflow, since now_ms >= since_ms there. */
static lk_policy_cause check_authorisation(const lk_rule *rule, const lk_policy_request *request, int64_t now_ms,
                                           lk_policy_decision *decision) {
  if (!(rule->require & LK_REQUIRE_AUTHORISATION)) return LK_CAUSE_NONE;
  if (request->authorisation.length == 0) return LK_CAUSE_AUTHORISATION;
  if (request->authorisation_granted && request->pending_since_ms == 0) return LK_CAUSE_NONE;
  uint64_t grace_ms = (uint64_t)rule->grace_hours * MS_PER_HOUR;
  int64_t since_ms = request->pending_since_ms, end_ms;
  if (grace_ms == 0) return LK_CAUSE_PENDING;
  if (since_ms == 0) return LK_CAUSE_PENDING_UNSAID;
  if (since_ms > now_ms) return LK_CAUSE_PENDING_LATER;
  if ((uint64_t)now_ms - (uint64_t)since_ms >= grace_ms) return LK_CAUSE_GRACE_OVER;
  if (__builtin_add_overflow(since_ms, (int64_t)grace_ms, &end_ms)) end_ms = INT64_MAX;
  if (end_ms < decision->grace_until_ms) decision->grace_until_ms = end_ms;
  return LK_CAUSE_NONE;
}

static lk_policy_cause check_probes(const lk_rule *rule, const lk_policy_request *request) {
  if (rule->probes_per_case == LK_POLICY_NO_LIMIT) return LK_CAUSE_NONE;
  if (request->case_id.length == 0) return LK_CAUSE_CASE;
  bool within =
      request->case_probes <= rule->probes_per_case && request->probes <= rule->probes_per_case - request->case_probes;
  return within ? LK_CAUSE_NONE : LK_CAUSE_CASE_PROBES;
}

/* Under ip a probe times 1,000 has a thousand times its scores, so a limit would mean nothing, and under ip and l2
 * three decimals of such a probe's scores are six of its own. */
static bool has_scale(const lk_rule *rule, lk_metric metric) {
  bool limits = rule->min_score > -INFINITY || rule->max_fmr > 0;
  return !(limits && metric == LK_IP) && !(rule->detail.rounded && metric != LK_COSINE);
}

static lk_policy_cause tighten(const lk_rule *rule, const lk_policy_request *request,
                               const lk_policy_calibration *calibration, lk_policy_decision *decision) {
  lk_policy_cause cause = check_probes(rule, request);
  if (cause != LK_CAUSE_NONE) return cause;
  decision->k = fewer(decision->k, rule->max_candidates);
  decision->threshold = fmaxf(decision->threshold, rule->min_score);
  decision->detail = lk_score_detail_of_both(decision->detail, rule->detail);
  decision->subject_probes_per_hour = fewer(decision->subject_probes_per_hour, rule->subject_probes_per_hour);
  if (!has_scale(rule, request->metric)) return LK_CAUSE_METRIC;
  if (rule->max_fmr == 0) return LK_CAUSE_NONE;
  float score;
  if (calibration == NULL || !calibration->threshold(calibration->context, request->model, rule->max_fmr, &score) ||
      isnan(score))
    return LK_CAUSE_CALIBRATION;
  decision->threshold = fmaxf(decision->threshold, score);
  return LK_CAUSE_NONE;
}

static lk_policy_cause check(const lk_rule *rule, const lk_policy_request *request, int64_t now_ms,
                             const lk_policy_calibration *calibration, lk_policy_decision *decision) {
  lk_policy_cause cause = check_claims(rule, request);
  if (cause == LK_CAUSE_NONE) cause = check_authorisation(rule, request, now_ms, decision);
  if (cause == LK_CAUSE_NONE && compares(request->operation)) cause = tighten(rule, request, calibration, decision);
  decision->retention_hours = fewer(decision->retention_hours, rule->retention_hours);
  return cause;
}

/* A caller that ignores `permitted` still releases nothing under these limits. */
static void close_limits(lk_policy_decision *decision) {
  decision->permitted = false;
  decision->threshold = INFINITY;
  decision->k = 0;
  decision->detail = (lk_score_detail){.hidden = true};
  decision->subject_probes_per_hour = 0;
  decision->retention_hours = 0;
  decision->grace_until_ms = INT64_MAX;
}

static void refuse(lk_policy_decision *decision, lk_policy_cause cause, int32_t rule) {
  close_limits(decision);
  decision->cause = cause;
  decision->refused_by = rule;
}

/* The caller's threshold tightens the rules' and, like released scores, tells nothing beyond their detail. */
static lk_policy_cause take_threshold(float wanted, lk_policy_decision *decision) {
  if (!(wanted > decision->threshold)) return LK_CAUSE_NONE;
  if (decision->detail.hidden) return LK_CAUSE_THRESHOLD;
  decision->threshold = lk_threshold_coarse(wanted, decision->detail);
  return LK_CAUSE_NONE;
}

/* Every permit that applies must be satisfied; the strictest of their limits hold. */
static void permit(const lk_policy *policy, const lk_policy_request *request, int64_t now_ms,
                   const lk_policy_calibration *calibration, lk_policy_decision *decision) {
  decision->permitted = true;
  decision->threshold = -INFINITY;
  decision->k = request->k;
  decision->subject_probes_per_hour = LK_POLICY_NO_LIMIT;
  decision->retention_hours = LK_POLICY_NO_LIMIT;
  for (uint32_t i = 0; i < decision->rules_count; i++) {
    const lk_rule *rule = &policy->rules[decision->rules[i]];
    lk_policy_cause cause = check(rule, request, now_ms, calibration, decision);
    if (cause == LK_CAUSE_NONE) continue;
    refuse(decision, cause, decision->rules[i]);
    return;
  }
  lk_policy_cause cause = take_threshold(request->threshold, decision);
  for (uint32_t i = 0; cause != LK_CAUSE_NONE && i < decision->rules_count; i++)
    if (policy->rules[decision->rules[i]].detail.hidden) {
      refuse(decision, cause, decision->rules[i]);
      return;
    }
}

static void decide_worded(const lk_policy *policy, const lk_policy_request *request, int64_t now_ms,
                          const lk_policy_calibration *calibration, lk_policy_decision *decision) {
  collect(policy, request, now_ms, LK_FORBID, decision);
  if (decision->rules_count > 0) {
    refuse(decision, LK_CAUSE_FORBIDDEN, decision->rules[0]);
    return;
  }
  collect(policy, request, now_ms, LK_PERMIT, decision);
  if (decision->rules_count > 0)
    permit(policy, request, now_ms, calibration, decision);
  else
    refuse(decision, LK_CAUSE_NO_RULE, -1);
}

lk_status lk_policy_decide(const lk_policy *policy, const lk_policy_request *request, int64_t now_ms,
                           const lk_policy_calibration *calibration, lk_policy_decision *decision, lk_error *error) {
  lk_worded worded;
  lk_claim claim;
  *decision = (lk_policy_decision){.refused_by = -1, .grace_until_ms = INT64_MAX};
  memcpy(decision->policy_hash, policy->hash, sizeof decision->policy_hash);
  lk_policy_word(request, &worded);
  if (worded.fault != NULL) {
    refuse(decision, LK_CAUSE_WORD_MALFORMED, -1);
    return lk_fail(error, LK_EPOLICY, "the %s %s", worded.name, worded.fault);
  }
  if (!lk_policy_knows(policy, &worded.request, &claim)) {
    refuse(decision, LK_CAUSE_WORD_UNKNOWN, -1);
    return lk_policy_refuse_word(policy, request, claim, error);
  }
  decide_worded(policy, &worded.request, now_ms, calibration, decision);
  return decision->permitted ? LK_OK : lk_policy_refuse(policy, &worded.request, now_ms, decision, error);
}

void lk_policy_span(const lk_policy *policy, uint64_t now_ms, uint64_t *since_ms, uint64_t *until_ms) {
  *since_ms = 0;
  *until_ms = UINT64_MAX;
  for (uint32_t i = 0; i < policy->rules_count; i++) {
    int64_t edges[] = {policy->rules[i].from_ms, policy->rules[i].until_ms};
    for (int e = 0; e < 2; e++) {
      if (edges[e] <= 0 || edges[e] == INT64_MAX) continue;
      uint64_t edge = (uint64_t)edges[e];
      if (edge <= now_ms && edge > *since_ms) *since_ms = edge;
      if (edge > now_ms && edge < *until_ms) *until_ms = edge;
    }
  }
}
