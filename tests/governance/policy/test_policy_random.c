/* Random policies and requests: the engine decides as a slow evaluator does that was written from docs/policy.md. Times
 * lie on both sides of every instant in the policy and of every end of a grace. LIKENESS_POLICIES says how many
 * policies (100,000), LIKENESS_SEED which; a failure prints the seed that makes it the first. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "tests/governance/policy/policy_model.h"

static uint64_t from_environment(const char *name, uint64_t otherwise) {
  const char *text = getenv(name);
  return text != NULL && *text != '\0' ? strtoull(text, NULL, 0) : otherwise;
}

static lk_policy_request as_request(const model_request *r) {
  return (lk_policy_request){.operation = (lk_operation)r->operation,
                             .purpose = lk_text_of(r->said[0]),
                             .actor = lk_text_of(r->said[1]),
                             .jurisdiction = lk_text_of(r->said[2]),
                             .gallery = lk_text_of(r->said[3]),
                             .model = lk_text_of(r->model),
                             .actor_signed = r->actor_signed,
                             .case_id = lk_text_of(r->case_id),
                             .authorisation = lk_text_of(r->authorisation),
                             .authorisation_granted = r->granted,
                             .pending_since_ms = r->pending_since_ms,
                             .metric = r->metric,
                             .k = r->k,
                             .threshold = r->threshold,
                             .probes = r->probes,
                             .case_probes = r->case_probes};
}

static struct tally { uint64_t decisions, causes[LK_CAUSES], near_boundary, unlike_before; } tally;

static bool same_rules(const lk_policy_decision *found, const model_decision *wanted) {
  uint32_t count = 0;
  for (int i = 0; i < MODEL_RULES; i++) count += wanted->decided[i];
  if (count != found->rules_count) return false;
  for (uint32_t i = 0; i < found->rules_count; i++)
    if (!wanted->decided[found->rules[i]] || (i > 0 && found->rules[i] <= found->rules[i - 1])) return false;
  return true;
}

static bool same(const lk_policy_decision *found, const model_decision *wanted) {
  return found->permitted == wanted->permitted && found->cause == wanted->cause &&
         found->refused_by == wanted->refused_by && found->threshold == wanted->threshold && found->k == wanted->k &&
         (!found->permitted || (found->detail.hidden == wanted->decision_only &&
                                (found->detail.rounded ? (int)found->detail.decimals : -1) == wanted->decimals)) &&
         found->subject_probes_per_hour == wanted->subject_probes &&
         found->retention_hours == wanted->retention_hours && found->grace_until_ms == wanted->grace_until_ms &&
         same_rules(found, wanted);
}

static const lk_policy_calibration calibration = {.threshold = model_calibration};

/* Returns whether it is permitted. */
static bool compare(const lk_policy *policy, const model_policy *model, const model_request *r, int64_t now_ms,
                    bool calibrated, uint64_t seed, const char *yaml) {
  lk_policy_request request = as_request(r);
  lk_policy_decision found;
  model_decision wanted;
  lk_error error = {0};
  lk_status status = lk_policy_decide(policy, &request, now_ms, calibrated ? &calibration : NULL, &found, &error);
  model_decide(model, r, now_ms, calibrated, &wanted);
  cr_assert(same(&found, &wanted) && (status == LK_OK) == wanted.permitted,
            "LIKENESS_SEED=%llu LIKENESS_POLICIES=1: at %lld: permitted %d cause %d by %d threshold %g k %u, "
            "not %d %d %d %g %u; request: %s, '%s' '%s' '%s' '%s', model '%s', case '%s'; %s\n%s",
            (unsigned long long)seed, (long long)now_ms, found.permitted, (int)found.cause, found.refused_by,
            (double)found.threshold, found.k, wanted.permitted, (int)wanted.cause, wanted.refused_by,
            (double)wanted.threshold, wanted.k, lk_operation_name(request.operation), r->said[0], r->said[1],
            r->said[2], r->said[3], r->model, r->case_id, error.text, yaml);
  cr_assert(!found.permitted || (found.threshold >= r->threshold && found.k <= r->k), "a limit was loosened");
  tally.decisions++;
  tally.causes[found.cause]++;
  return found.permitted;
}

/* A millisecond before the boundary, at it, and one after. */
static void compare_around(const lk_policy *policy, const model_policy *model, random_state *random, int64_t boundary,
                           uint64_t seed, const char *yaml) {
  model_request r;
  model_draw_request(random, &r);
  if (!random_one_in(random, 3))
    r.pending_since_ms = boundary - INT64_C(3600000) * ((int64_t)random_below(random, 9) - 2);
  bool before = false, calibrated = !random_one_in(random, 4);
  for (int64_t now_ms = boundary - 1; now_ms <= boundary + 1; now_ms++) {
    bool permitted = compare(policy, model, &r, now_ms, calibrated, seed, yaml);
    if (now_ms == boundary) tally.unlike_before += permitted != before;
    before = permitted;
  }
  tally.near_boundary++;
}

static void check_policy(uint64_t seed) {
  random_state random = random_fork(seed, 0);
  model_policy model;
  model_draw_policy(&random, &model);
  char *yaml;
  size_t size;
  FILE *file = open_memstream(&yaml, &size);
  model_write(&random, &model, file);
  fclose(file);
  lk_policy *policy;
  lk_error error = {0};
  cr_assert_eq(lk_policy_parse("random.yaml", yaml, size, &policy, &error), LK_OK, "LIKENESS_SEED=%llu: %s\n%s",
               (unsigned long long)seed, error.text, yaml);
  for (int i = 0; i < model.rules_count; i++) {
    const model_rule *rule = &model.rules[i];
    if (rule->from.given) compare_around(policy, &model, &random, model_instant_ms(&rule->from), seed, yaml);
    if (rule->until.given) compare_around(policy, &model, &random, model_instant_ms(&rule->until), seed, yaml);
  }
  for (int i = 0; i < 4; i++)
    compare_around(policy, &model, &random, (int64_t)(random_uniform(&random) * 4.1e12), seed, yaml);
  lk_policy_close(policy);
  free(yaml);
}

Test(policy_random, agrees_with_the_slow_evaluator) {
  uint64_t seed = from_environment("LIKENESS_SEED", 1), policies = from_environment("LIKENESS_POLICIES", 100000);
  for (uint64_t i = 0; i < policies; i++) check_policy(seed + i);
  fprintf(stderr, "seeds %llu .. %llu: %llu decisions, %llu boundaries, at %llu of them another decision; by cause:",
          (unsigned long long)seed, (unsigned long long)(seed + policies - 1), (unsigned long long)tally.decisions,
          (unsigned long long)tally.near_boundary, (unsigned long long)tally.unlike_before);
  for (int i = 0; i < LK_CAUSES; i++) fprintf(stderr, " %llu", (unsigned long long)tally.causes[i]);
  fputc('\n', stderr);
  if (policies < 1000) return;
  for (int i = 0; i < LK_CAUSES; i++)
    cr_assert_gt(tally.causes[i], policies / 1000, "cause %d is hardly ever drawn", i);
  cr_assert_gt(tally.unlike_before, policies / 10, "boundaries hardly ever matter");
}
