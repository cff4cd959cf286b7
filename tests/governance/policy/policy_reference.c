/* The slow evaluator, from docs/policy.md, "The decision", step by step. */
#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tests/governance/policy/policy_model.h"

static const char *const operation_words[] = {"identify", "verify", "enroll", "delete", "export",
                                              "evaluate", "tag",    "expire", "erase"};

/* What people read: without spaces around it, in lower case, wide letters as others. False: it is not UTF-8. */
static bool read_as(const char *said, char *plain) {
  static const struct {
    const char *written, *read;
  } same[] = {
      {"\xc2\xa0", ""}, {"\xe3\x80\x80", ""}, {"\xe2\x80\x8b", ""}, {"\xef\xbd\x81", "a"}, {"\xef\xbc\xa1", "a"}};
  *plain = '\0';
  while (*said != '\0') {
    int i = 0;
    while (i < 5 && strncmp(said, same[i].written, strlen(same[i].written)) != 0) i++;
    if (i == 5 && (unsigned char)*said > 0x7f) return false;
    if (i < 5) {
      strcat(plain, same[i].read);
      said += strlen(same[i].written);
    } else {
      if (*said != ' ') sprintf(plain + strlen(plain), "%c", tolower(*said));
      said++;
    }
  }
  return true;
}

/* A * stands for any characters or none: every way of it is tried. */
static bool like(const char *pattern, const char *text) {
  if (*pattern == '\0') return *text == '\0';
  if (*pattern == '*') return like(pattern + 1, text) || (*text != '\0' && like(pattern, text + 1));
  return tolower(*pattern) == tolower(*text) && like(pattern + 1, text + 1);
}

/* 'y': all else is so, 'n': something is not, '?': it depends on something unsaid. */
static char covers(const model_scope *scope, const model_request *request) {
  bool unsaid = false, differs = false;
  if (scope->operations.given) {
    bool named = false;
    for (int i = 0; i < scope->operations.count; i++)
      named = named || strcmp(scope->operations.words[i], operation_words[request->operation]) == 0;
    differs = !named;
  }
  for (int s = 0; s < MODEL_SELECTORS; s++) {
    const model_list *list = &scope->selectors[s];
    bool matches = false;
    if (!list->given) continue;
    for (int i = 0; i < list->count; i++) matches = matches || like(list->words[i], request->said[s]);
    if (request->said[s][0] == '\0')
      unsaid = true;
    else if (!matches)
      differs = true;
  }
  return differs ? 'n' : unsaid ? '?' : 'y';
}

static bool applies(const model_rule *rule, const model_request *request, int64_t now_ms) {
  if (rule->from.given && now_ms < model_instant_ms(&rule->from)) return false;
  if (rule->until.given && !(now_ms < model_instant_ms(&rule->until))) return false;
  char scope = covers(&rule->scope, request), except = rule->has_except ? covers(&rule->except, request) : 'n';
  if (rule->forbid) return scope != 'n' && except != 'y';
  return scope == 'y' && except == 'n';
}

static bool binds(const model_request *request) { return request->operation <= 1; }

bool model_calibration(const void *context, lk_text model, double max_fmr, float *threshold) {
  (void)context;
  *threshold = NAN;
  if (model.length == 3) return true;
  if (model.length != 2) return false;
  *threshold = (float)(-log10(max_fmr) / 8 + 0.01 * model.bytes[1]);
  return true;
}

static lk_policy_cause lacks_authorisation(const model_rule *rule, const model_request *request, int64_t now_ms) {
  if (!rule->authorisation && !rule->authorisation_block) return LK_CAUSE_NONE;
  if (request->authorisation[0] == '\0') return LK_CAUSE_AUTHORISATION;
  if (request->granted && request->pending_since_ms == 0) return LK_CAUSE_NONE;
  int64_t grace = rule->authorisation_block && rule->grace_hours > 0 ? rule->grace_hours : 0;
  if (grace == 0) return LK_CAUSE_PENDING;
  if (request->pending_since_ms == 0) return LK_CAUSE_PENDING_UNSAID;
  if (request->pending_since_ms > now_ms) return LK_CAUSE_PENDING_LATER;
  return now_ms - request->pending_since_ms < grace * 3600000 ? LK_CAUSE_NONE : LK_CAUSE_GRACE_OVER;
}

static lk_policy_cause lacks(const model_rule *rule, const model_request *request, int64_t now_ms, bool calibrated) {
  const char *purpose = request->said[0], *actor = request->said[1], *jurisdiction = request->said[2];
  float score;
  if (rule->purpose && !*purpose) return LK_CAUSE_PURPOSE;
  if (rule->actor && !*actor) return LK_CAUSE_ACTOR;
  if (rule->signature && !(*actor && request->actor_signed)) return LK_CAUSE_SIGNATURE;
  if (rule->jurisdiction && !*jurisdiction) return LK_CAUSE_JURISDICTION;
  if (rule->case_id && !*request->case_id) return LK_CAUSE_CASE;
  lk_policy_cause cause = lacks_authorisation(rule, request, now_ms);
  if (cause != LK_CAUSE_NONE || !binds(request)) return cause;
  if (rule->probes_per_case >= 0) {
    if (!*request->case_id) return LK_CAUSE_CASE;
    if (request->case_probes > 1000 || (int)request->case_probes + (int)request->probes > rule->probes_per_case)
      return LK_CAUSE_CASE_PROBES;
  }
  if (request->metric == LK_IP && (rule->has_min_score || rule->has_max_fmr)) return LK_CAUSE_METRIC;
  if (request->metric != LK_COSINE && rule->decimals >= 0) return LK_CAUSE_METRIC;
  if (!rule->has_max_fmr) return LK_CAUSE_NONE;
  lk_text model = {.bytes = request->model, .length = (uint32_t)strlen(request->model)};
  bool known = calibrated && model_calibration(NULL, model, atof(rule->max_fmr), &score) && !isnan(score);
  return known ? LK_CAUSE_NONE : LK_CAUSE_CALIBRATION;
}

static float at_or_above(double decimal) {
  float nearest = (float)decimal;
  return (double)nearest < decimal ? nextafterf(nearest, INFINITY) : nearest;
}

static float least_score(const model_rule *rule, const model_request *request) {
  float least = -INFINITY, score;
  if (rule->has_min_score) least = at_or_above(strtod(rule->min_score, NULL));
  if (!rule->has_max_fmr) return least;
  lk_text model = {.bytes = request->model, .length = (uint32_t)strlen(request->model)};
  model_calibration(NULL, model, atof(rule->max_fmr), &score);
  return score > least ? score : least;
}

static void limit(const model_rule *rule, const model_request *request, model_decision *decision) {
  if (rule->retention_hours >= 0 && (uint32_t)rule->retention_hours < decision->retention_hours)
    decision->retention_hours = (uint32_t)rule->retention_hours;
  if ((rule->authorisation || rule->authorisation_block) && request->pending_since_ms != 0) {
    int64_t end = request->pending_since_ms + (int64_t)rule->grace_hours * 3600000;
    if (end < decision->grace_until_ms) decision->grace_until_ms = end;
  }
  if (!binds(request)) return;
  if (rule->max_candidates >= 0 && (uint32_t)rule->max_candidates < decision->k)
    decision->k = (uint32_t)rule->max_candidates;
  if (rule->subject_probes >= 0 && (uint32_t)rule->subject_probes < decision->subject_probes)
    decision->subject_probes = (uint32_t)rule->subject_probes;
  if (rule->decimals >= 0 && (decision->decimals < 0 || rule->decimals < decision->decimals))
    decision->decimals = rule->decimals;
  decision->decision_only = decision->decision_only || rule->decision_only;
  if (least_score(rule, request) > decision->threshold) decision->threshold = least_score(rule, request);
}

static void refuse(model_decision *decision, lk_policy_cause cause, int rule) {
  decision->cause = cause;
  decision->refused_by = rule;
  decision->threshold = INFINITY;
  decision->permitted = false;
}

/* The caller's threshold, if it is the stricter one. Every step of the last decimal is tried. */
static void tighten(const model_policy *policy, const model_request *request, model_decision *decision) {
  if (request->threshold <= decision->threshold) return;
  if (decision->decision_only) {
    int by = 0;
    while (!decision->decided[by] || !policy->rules[by].decision_only) by++;
    decision->k = decision->subject_probes = decision->retention_hours = 0;
    decision->grace_until_ms = INT64_MAX;
    refuse(decision, LK_CAUSE_THRESHOLD, by);
    return;
  }
  decision->threshold = request->threshold;
  if (decision->decimals < 0) return;
  double steps = pow(10, decision->decimals), step = floor(request->threshold * steps) - 1;
  while (at_or_above(step / steps) < request->threshold) step++;
  decision->threshold = at_or_above(step / steps);
}

static bool names(const model_list *list, const char *said) {
  for (int i = 0; list->given && i < list->count; i++)
    if (like(list->words[i], said)) return true;
  return false;
}

bool model_lists(const model_policy *policy, int s) {
  bool any = false;
  for (int i = 0; i < policy->rules_count; i++)
    any = any || policy->rules[i].scope.selectors[s].given ||
          (policy->rules[i].has_except && policy->rules[i].except.selectors[s].given);
  return any && policy->words[s];
}

/* Whether the request uses only the words that the policy lists, which are those of its rules. */
static bool uses_listed(const model_policy *policy, const model_request *request) {
  for (int s = 0; s < MODEL_SELECTORS; s++) {
    bool named = request->said[s][0] == '\0' || !model_lists(policy, s);
    for (int i = 0; i < policy->rules_count; i++)
      named = named || names(&policy->rules[i].scope.selectors[s], request->said[s]) ||
              (policy->rules[i].has_except && names(&policy->rules[i].except.selectors[s], request->said[s]));
    if (!named) return false;
  }
  return true;
}

static void decide_plain(const model_policy *policy, const model_request *request, int64_t now_ms, bool calibrated,
                         model_decision *decision) {
  int forbids = 0, permits = 0;
  for (int i = policy->rules_count - 1; i >= 0; i--) {
    if (!policy->rules[i].forbid || !applies(&policy->rules[i], request, now_ms)) continue;
    decision->decided[i] = true;
    refuse(decision, LK_CAUSE_FORBIDDEN, i);
    forbids++;
  }
  if (forbids > 0) return;
  for (int i = policy->rules_count - 1; i >= 0; i--) {
    if (policy->rules[i].forbid || !applies(&policy->rules[i], request, now_ms)) continue;
    decision->decided[i] = true;
    lk_policy_cause cause = lacks(&policy->rules[i], request, now_ms, calibrated);
    if (cause != LK_CAUSE_NONE) refuse(decision, cause, i);
    permits++;
  }
  if (permits == 0) refuse(decision, LK_CAUSE_NO_RULE, -1);
  if (decision->cause != LK_CAUSE_NONE) return;
  decision->permitted = true;
  decision->threshold = -INFINITY;
  decision->k = request->k;
  decision->subject_probes = decision->retention_hours = LK_POLICY_NO_LIMIT;
  for (int i = 0; i < policy->rules_count; i++)
    if (decision->decided[i]) limit(&policy->rules[i], request, decision);
  tighten(policy, request, decision);
}

void model_decide(const model_policy *policy, const model_request *request, int64_t now_ms, bool calibrated,
                  model_decision *decision) {
  model_request plain = *request;
  bool readable = true;
  *decision = (model_decision){.grace_until_ms = INT64_MAX, .refused_by = -1, .decimals = -1};
  for (int s = 0; s < MODEL_SELECTORS; s++) readable = read_as(request->said[s], plain.said[s]) && readable;
  if (!readable)
    refuse(decision, LK_CAUSE_WORD_MALFORMED, -1);
  else if (!uses_listed(policy, &plain))
    refuse(decision, LK_CAUSE_WORD_UNKNOWN, -1);
  else
    decide_plain(policy, &plain, now_ms, calibrated, decision);
}
