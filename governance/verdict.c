#include "governance/verdict.h"

#include <math.h>
#include <stdio.h>

#include "base/text.h"
#include "governance/policy/rule.h"

static void take_rules(lk_verdict *verdict, const lk_policy *policy, const lk_policy_decision *decision) {
  for (uint32_t i = 0; i < decision->rules_count && i < LK_VERDICT_RULES; i++) {
    lk_text id = lk_policy_rule_get(policy, decision->rules[i]).id;
    snprintf(verdict->rules[i], LK_VERDICT_RULE, "%.*s", (int)id.length, id.bytes);
    verdict->rules_count = i + 1;
  }
}

void lk_verdict_take(lk_verdict *verdict, const lk_policy *policy, const lk_policy_request *request,
                     const lk_policy_decision *decision, uint64_t now_ms) {
  take_rules(verdict, policy, decision);
  lk_policy_span(policy, now_ms, &verdict->since_ms, &verdict->until_ms);
  if (decision->grace_until_ms == INT64_MAX) return;
  if ((uint64_t)decision->grace_until_ms < verdict->until_ms) verdict->until_ms = (uint64_t)decision->grace_until_ms;
  if ((uint64_t)request->pending_since_ms > verdict->since_ms) verdict->since_ms = (uint64_t)request->pending_since_ms;
}

void lk_verdict_withhold(lk_verdict *verdict, lk_status reason) {
  verdict->permitted = false;
  verdict->reason = reason;
  verdict->threshold = INFINITY;
  verdict->detail = (lk_score_detail){.hidden = true};
  verdict->k = 0;
  verdict->retention_hours = 0;
  verdict->rules_count = 0;
}

void lk_verdict_name_rules(const lk_verdict *verdict, lk_audit_record *record) {
  record->rules_count = verdict->rules_count;
  for (uint32_t i = 0; i < verdict->rules_count; i++) record->rules[i] = lk_text_of(verdict->rules[i]);
}

lk_text lk_verdict_reason(const lk_verdict *verdict) {
  return lk_text_of(verdict->permitted ? "" : lk_status_name(verdict->reason));
}
