/* Explains decisions and matches in words. */
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
    [LK_CAUSE_PENDING] = "requires a granted authorisation and allows no grace period",
    [LK_CAUSE_PENDING_UNSAID] =
        "requires a granted authorisation; the request says neither that it is granted nor since when it is pending",
    [LK_CAUSE_PENDING_LATER] = "does not accept an authorisation whose application lies in the future",
    [LK_CAUSE_GRACE_OVER] =
        "requires a granted authorisation; this one has been pending for longer than the grace period",
    [LK_CAUSE_CASE_PROBES] = "permits fewer probes per case",
    [LK_CAUSE_CALIBRATION] = "limits the false match rate, but no calibration gives this model's score for that rate",
    [LK_CAUSE_METRIC] =
        "limits or rounds scores, but the gallery's metric gives them no scale: those of a longer probe are larger",
    [LK_CAUSE_THRESHOLD] = "releases only whether its own limit is reached, so it permits no higher threshold",
};

lk_status lk_policy_refuse_word(const lk_policy *policy, const lk_policy_request *request, lk_claim claim,
                                lk_error *error) {
  const lk_patterns *known = &policy->known[claim];
  char list[256] = "";
  lk_text word = lk_request_claim(request, claim);
  for (size_t i = 0, used = 0; i < known->count; i++)
    used = lk_text_append(list, sizeof list, used, "%s%.*s", i > 0 ? ", " : "", TEXT(known->of[i]));
  return lk_fail(error, LK_EPOLICY, "policy '%.*s' does not list the %s '%.*s'; it lists %s", TEXT(policy->name),
                 lk_claim_name(claim), lk_text_shown(word), word.bytes, list);
}

/* "; no purpose, no actor was given", of what permits select by, or "". A claim is named as a permit first lacks it. */
static void list_unsaid(const lk_policy *policy, const lk_policy_request *request, int64_t now_ms, char *text,
                        size_t size) {
  bool unsaid[LK_CLAIMS] = {false};
  size_t used = 0;
  text[0] = '\0';
  for (uint32_t i = 0; i < policy->rules_count; i++) {
    lk_match match = lk_rule_match(&policy->rules[i], request, now_ms);
    if (policy->rules[i].shown.effect == LK_PERMIT && match.kind == LK_MATCH_UNSAID) unsaid[match.claim] = true;
  }
  for (lk_claim claim = 0; claim < LK_CLAIMS; claim++)
    if (unsaid[claim])
      used = lk_text_append(text, size, used, "%s no %s", used > 0 ? " and" : ";", lk_claim_name(claim));
  if (used > 0) lk_text_append(text, size, used, " was given");
}

lk_status lk_policy_refuse(const lk_policy *policy, const lk_policy_request *request, int64_t now_ms,
                           const lk_policy_decision *decision, lk_error *error) {
  char unsaid[128];
  list_unsaid(policy, request, now_ms, unsaid, sizeof unsaid);
  if (decision->refused_by < 0)
    return lk_fail(error, LK_EPOLICY, "no rule of policy '%.*s' permits it%s", TEXT(policy->name), unsaid);
  const lk_policy_rule *rule = &policy->rules[decision->refused_by].shown;
  return lk_fail(error, LK_EPOLICY, "rule '%.*s' %s: %.*s", TEXT(rule->id), cause_words[decision->cause],
                 TEXT(rule->text));
}

static int explain_time(char *why, size_t size, const char *words, int64_t ms) {
  char time[LK_TIMESTAMP_SIZE];
  lk_timestamp_format(ms, time);
  return snprintf(why, size, "%s %s", words, time);
}

bool lk_policy_explain(const lk_policy *policy, uint32_t rule, const lk_policy_request *request, int64_t now_ms,
                       char *why, size_t size) {
  if (rule >= policy->rules_count) {
    snprintf(why, size, "the policy has no such rule");
    return false;
  }
  lk_worded worded;
  lk_policy_word(request, &worded);
  if (worded.fault != NULL) {
    snprintf(why, size, "the request's %s %s", worded.name, worded.fault);
    return false;
  }
  const lk_rule *r = &policy->rules[rule];
  lk_match match = lk_rule_match(r, &worded.request, now_ms);
  const char *claim = lk_claim_name(match.claim);
  lk_text value = lk_request_claim(request, match.claim);
  switch (match.kind) {
    case LK_MATCH_ALL:
      snprintf(why, size, "every selector matches");
      break;
    case LK_MATCH_UNSAID:
      snprintf(why, size, "the rule selects by %s, and the request gives none", claim);
      break;
    case LK_MATCH_NOT_YET:
      explain_time(why, size, "the rule begins at", r->from_ms);
      break;
    case LK_MATCH_OVER:
      explain_time(why, size, "the rule ended at", r->until_ms);
      break;
    case LK_MATCH_OPERATION:
      snprintf(why, size, "the rule does not cover the operation %s", lk_operation_name(request->operation));
      break;
    case LK_MATCH_CLAIM:
      snprintf(why, size, "the rule does not cover the %s '%.*s'", claim, lk_text_shown(value), value.bytes);
      break;
    case LK_MATCH_EXCEPTED:
      snprintf(why, size, "the rule's exception covers the request");
      break;
    case LK_MATCH_MAYBE_EXCEPTED:
      snprintf(why, size, "the rule has an exception by %s, and the request gives none", claim);
      break;
  }
  return match.applies;
}

bool lk_policy_open_fields(const lk_policy *policy, uint32_t rule, char *text, size_t size) {
  const lk_rule *r = rule < policy->rules_count ? &policy->rules[rule] : NULL;
  size_t used = 0;
  text[0] = '\0';
  if (r == NULL || r->shown.effect == LK_FORBID) return false;
  if (r->scope.operations == 0) used = lk_text_append(text, size, used, "any operation");
  for (lk_claim claim = 0; claim < LK_CLAIMS; claim++)
    if (r->scope.claims[claim].count == 0)
      used = lk_text_append(text, size, used, "%sany %s", used > 0 ? ", " : "", lk_claim_name(claim));
  if (!r->says_until) used = lk_text_append(text, size, used, "%swithout an end", used > 0 ? ", " : "");
  return used > 0;
}
