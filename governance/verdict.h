/* A decision, as it accompanies its operation. */
#ifndef GOVERNANCE_VERDICT_H
#define GOVERNANCE_VERDICT_H

#include <likeness/audit.h>
#include <likeness/policy.h>
#include "governance/seen.h"

enum { LK_VERDICT_ID = 33, LK_VERDICT_POLICY = 65, LK_VERDICT_RULES = 32, LK_VERDICT_RULE = 65 };

typedef struct lk_verdict {
  bool permitted;
  lk_status reason;   /* why it is refused or withheld; LK_OK: it is permitted */
  bool is_calibrated; /* the calibration is of the request's model and metric */
  float threshold;    /* in effect */
  uint32_t k;
  lk_score_detail detail;
  uint32_t subject_probes_per_hour; /* LK_POLICY_NO_LIMIT: no limit */
  uint64_t since_ms, until_ms;      /* it holds from since_ms to before until_ms */
  uint64_t sequence;                /* of its record in the audit log; 0: no log */
  uint64_t case_probes;             /* the case's probes before this request */
  uint32_t retention_hours;         /* LK_POLICY_NO_LIMIT: no limit */
  char id[LK_VERDICT_ID];
  char policy[LK_VERDICT_POLICY]; /* the policy's hash in hex, "none" or "broken" */
  char rules[LK_VERDICT_RULES][LK_VERDICT_RULE];
  uint32_t rules_count;
  lk_once once; /* the signed job that was decided; none: no hash */
} lk_verdict;

/* Takes from a decision of the policy its rules, and the span in which it holds, as far as only the clock can end it.
 */
void lk_verdict_take(lk_verdict *verdict, const lk_policy *policy, const lk_policy_request *request,
                     const lk_policy_decision *decision, uint64_t now_ms);

/* Turns a permit into a refusal, since its result cannot be released for this reason. No decision may say permit where
 * nothing was handed out. */
void lk_verdict_withhold(lk_verdict *verdict, lk_status reason);

/* What a record of the log says of it. The texts are the verdict's. */
void lk_verdict_name_rules(const lk_verdict *verdict, lk_audit_record *record);
lk_text lk_verdict_reason(const lk_verdict *verdict);

#endif
