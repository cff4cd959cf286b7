/* Decides whether a rule applies. A claim that the request does not give is unknown, and an unknown claim never helps
 * the caller: a forbid that selects by it applies, a permit does not; an exception by it does not narrow a forbid, but
 * narrows a permit. */
#include "governance/policy/rule.h"

typedef enum truth { NO, UNKNOWN, YES } truth;

lk_text lk_request_claim(const lk_policy_request *request, lk_claim claim) {
  const lk_text claims[LK_CLAIMS] = {request->purpose, request->actor, request->jurisdiction, request->gallery};
  return claims[claim];
}

const char *lk_claim_name(lk_claim claim) {
  static const char *const names[LK_CLAIMS] = {"purpose", "actor", "jurisdiction", "gallery"};
  return names[claim];
}

/* On a mismatch the last * takes one more byte. Earlier stars need no second try, so the cost is at most the product of
 * the lengths. */
bool lk_pattern_matches(lk_text pattern, lk_text text) {
  uint32_t p = 0, t = 0, after_star = 0, star_to = 0;
  while (t < text.length) {
    if (p < pattern.length && pattern.bytes[p] == '*') {
      after_star = ++p;
      star_to = t;
    } else if (p < pattern.length && pattern.bytes[p] == text.bytes[t]) {
      p++, t++;
    } else if (after_star > 0) {
      p = after_star;
      t = ++star_to;
    } else {
      return false;
    }
  }
  while (p < pattern.length && pattern.bytes[p] == '*') p++;
  return p == pattern.length;
}

static truth selects(const lk_patterns *patterns, lk_text text) {
  if (patterns->count == 0) return YES;
  if (text.length == 0) return UNKNOWN;
  for (uint32_t i = 0; i < patterns->count; i++)
    if (lk_pattern_matches(patterns->of[i], text)) return YES;
  return NO;
}

void lk_policy_word(const lk_policy_request *request, lk_worded *worded) {
  worded->request = *request;
  worded->fault = NULL;
  lk_policy_request *r = &worded->request;
  const struct {
    const char *name;
    lk_text *text;
  } words[LK_CLAIMS + 2] = {{"purpose", &r->purpose}, {"actor", &r->actor},  {"jurisdiction", &r->jurisdiction},
                            {"gallery", &r->gallery}, {"case", &r->case_id}, {"authorisation", &r->authorisation}};
  for (int i = 0; worded->fault == NULL && i < LK_CLAIMS + 2; i++) {
    worded->name = words[i].name;
    worded->fault = lk_word_normalise(*words[i].text, &worded->words[i], words[i].text);
  }
}

bool lk_policy_knows(const lk_policy *policy, const lk_policy_request *request, lk_claim *claim) {
  for (*claim = 0; *claim < LK_CLAIMS; ++*claim)
    if (selects(&policy->known[*claim], lk_request_claim(request, *claim)) == NO) return false;
  return true;
}

/* Names in `match` the first selector that does not match, or else the first claim that the request does not give. */
static truth covers(const lk_scope *scope, const lk_policy_request *request, lk_match *match) {
  truth all = YES;
  if ((unsigned)request->operation >= LK_OPERATIONS ||
      (scope->operations != 0 && (scope->operations >> request->operation & 1) == 0)) {
    match->kind = LK_MATCH_OPERATION;
    return NO;
  }
  for (lk_claim claim = 0; claim < LK_CLAIMS; claim++) {
    truth one = selects(&scope->claims[claim], lk_request_claim(request, claim));
    if (one >= all) continue;
    all = one;
    match->claim = claim;
    match->kind = one == NO ? LK_MATCH_CLAIM : LK_MATCH_UNSAID;
  }
  return all;
}

lk_match lk_rule_match(const lk_rule *rule, const lk_policy_request *request, int64_t now_ms) {
  lk_match match = {.kind = LK_MATCH_ALL};
  bool permits = rule->shown.effect == LK_PERMIT;
  if (now_ms < rule->from_ms) return (lk_match){.kind = LK_MATCH_NOT_YET};
  if (now_ms >= rule->until_ms) return (lk_match){.kind = LK_MATCH_OVER};
  truth covered = covers(&rule->scope, request, &match);
  if (covered == NO || (covered == UNKNOWN && permits)) return match;
  if (rule->has_except) {
    lk_match exception = {0};
    truth excepted = covers(&rule->except, request, &exception);
    if (excepted == YES) return (lk_match){.kind = LK_MATCH_EXCEPTED};
    if (excepted == UNKNOWN && permits) return (lk_match){.kind = LK_MATCH_MAYBE_EXCEPTED, .claim = exception.claim};
  }
  match.applies = true;
  return match;
}
