#include "governance/verdict.h"

#include <math.h>

#include "base/text.h"

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
