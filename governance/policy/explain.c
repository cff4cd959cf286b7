/* Decisions and matches in words. */
#include <stdio.h>

#include "base/fail.h"
#include "base/text.h"
#include "base/timestamp.h"
#include "governance/policy/rule.h"

#define TEXT(text) (int)(text).length, (text).bytes

static const char *const cause_words[LK_CAUSES] = {
    [LK_CAUSE_NONE] = "permits it",
    [LK_CAUSE_FORBIDDEN] = "forbids it",
    [LK_CAUSE_NO_RULE] = "",
    [LK_CAUSE_PURPOSE] = "requires a purpose",
    [LK_CAUSE_ACTOR] = "requires an actor",
    [LK_CAUSE_SIGNATURE] = "requires the actor's signature",
    [LK_CAUSE_JURISDICTION] = "requires a jurisdiction",
    [LK_CAUSE_CASE] = "requires a case",
    [LK_CAUSE_AUTHORISATION] = "requires an authorisation",
    [LK_CAUSE_PENDING] = "requires an authorisation, which is pending, and gives no grace",
    [LK_CAUSE_PENDING_LATER] = "requires an authorisation, which is pending since a time that is yet to come",
    [LK_CAUSE_GRACE_OVER] = "requires an authorisation, which has been pending for longer than its grace",
    [LK_CAUSE_CASE_PROBES] = "permits fewer probes for one case",
    [LK_CAUSE_CALIBRATION] = "limits the false match rate, and no calibration of this model says at which score",
};

lk_status lk_policy_refuse(const lk_policy *policy, const lk_policy_decision *decision, lk_error *error) {
  if (decision->refused_by < 0)
    return lk_fail(error, LK_EPOLICY, "no rule of policy '%.*s' permits it", TEXT(policy->name));
  const lk_policy_rule *rule = &policy->rules[decision->refused_by].shown;
  return lk_fail(error, LK_EPOLICY, "rule '%.*s' %s: %.*s", TEXT(rule->id), cause_words[decision->cause],
                 TEXT(rule->text));
}

static int explain_instant(char *why, size_t size, const char *words, int64_t ms) {
  char instant[LK_TIMESTAMP_SIZE];
  lk_timestamp_format(ms, instant);
  return snprintf(why, size, "%s %s", words, instant);
}

bool lk_policy_explain(const lk_policy *policy, uint32_t rule, const lk_policy_request *request, int64_t now_ms,
                       char *why, size_t size) {
  const lk_rule *r = &policy->rules[rule];
  lk_match match = lk_rule_match(r, request, now_ms);
  const char *claim = lk_claim_name(match.claim);
  lk_text said = lk_request_claim(request, match.claim);
  switch (match.kind) {
    case LK_MATCH_ALL:
      snprintf(why, size, "all that it selects by is so");
      break;
    case LK_MATCH_UNSAID:
      snprintf(why, size, "the request says no %s, and the rule selects by it", claim);
      break;
    case LK_MATCH_NOT_YET:
      explain_instant(why, size, "it begins at", r->from_ms);
      break;
    case LK_MATCH_OVER:
      explain_instant(why, size, "it ended at", r->until_ms);
      break;
    case LK_MATCH_OPERATION:
      snprintf(why, size, "it is not about %s", lk_operation_name(request->operation));
      break;
    case LK_MATCH_CLAIM:
      snprintf(why, size, "it is not for the %s '%.*s'", claim, TEXT(said));
      break;
    case LK_MATCH_EXCEPTED:
      snprintf(why, size, "its exception holds");
      break;
    case LK_MATCH_MAYBE_EXCEPTED:
      snprintf(why, size, "the request says no %s, and the rule has an exception by it", claim);
      break;
  }
  return match.applies;
}
