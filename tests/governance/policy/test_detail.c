#include "governance/policy/detail.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "tests/support/random.h"

static lk_score_detail rounded(uint32_t decimals) { return (lk_score_detail){.rounded = true, .decimals = decimals}; }

Test(detail, what_is_released) {
  cr_assert_eq(lk_score_released(0.6789F, (lk_score_detail){0}), 0.6789F);
  cr_assert(isnan(lk_score_released(0.6789F, (lk_score_detail){.hidden = true, .rounded = true, .decimals = 2})));
  cr_assert_eq(lk_score_released(0.6789F, rounded(2)), 0.67F);
  cr_assert_eq(lk_score_released(0.6789F, rounded(0)), 0);
  cr_assert_eq(lk_score_released(-0.001F, rounded(2)), -0.01F, "down, not to zero");
  cr_assert_eq(lk_score_released(1, rounded(6)), 1);
  cr_assert_eq(lk_score_released(0.7F, rounded(1)), 0.6F, "the float lies below 0.7");
}

/* Scores in one step of the last decimal are released as one, and no threshold tells them apart. */
Test(detail, a_threshold_tells_no_more_than_the_scores) {
  random_state random = {11};
  for (int i = 0; i < 200000; i++) {
    lk_score_detail detail = rounded(random_below(&random, 7));
    float score = (float)(2 * random_uniform(&random) - 1), threshold = (float)(2 * random_uniform(&random) - 1);
    float near = nextafterf(score, random_one_in(&random, 2) ? 2 : -2), coarse = lk_threshold_coarse(threshold, detail);
    cr_assert(coarse >= threshold && lk_threshold_coarse(coarse, detail) == coarse, "%.9g %.9g", (double)threshold,
              (double)coarse);
    cr_assert(coarse - threshold <= pow(10, -(double)detail.decimals) * 1.001 + 1e-7);
    bool one = lk_score_released(score, detail) == lk_score_released(near, detail);
    cr_assert(!one || (score >= coarse) == (near >= coarse), "%.9g %.9g", (double)score, (double)coarse);
  }
  cr_assert_eq(lk_threshold_coarse(-INFINITY, rounded(2)), -INFINITY);
  cr_assert_eq(lk_threshold_coarse(0.5F, (lk_score_detail){0}), 0.5F);
}

Test(detail, the_stricter_of_two) {
  lk_score_detail exact = {0}, hidden = {.hidden = true};
  lk_score_detail both = lk_score_detail_of_both(rounded(3), rounded(1));
  cr_assert(both.rounded && both.decimals == 1 && !both.hidden);
  both = lk_score_detail_of_both(exact, rounded(3));
  cr_assert(both.rounded && both.decimals == 3);
  both = lk_score_detail_of_both(rounded(3), exact);
  cr_assert(both.rounded && both.decimals == 3);
  both = lk_score_detail_of_both(hidden, rounded(0));
  cr_assert(both.hidden && both.rounded && both.decimals == 0);
}

static lk_policy *policy;
static lk_policy_decision decision;

static void permit_with(const char *line) {
  char yaml[512];
  snprintf(yaml, sizeof yaml, "policy: 1\nname: n\nrules:\n- id: r\n  effect: permit\n  text: t\n  %s\n", line);
  lk_policy_close(policy);
  cr_assert_eq(lk_policy_parse("p.yaml", yaml, strlen(yaml), &policy, NULL), LK_OK, "%s", yaml);
}

/* Under ip a probe times 1,000 has scores times 1,000, so it would pass every limit. */
Test(detail, limits_on_scores_need_a_scale) {
  static const char *const lines[] = {"min_score: 0.5", "max_fmr: 0.5", "max_candidates: 5"};
  lk_policy_request request = {.operation = LK_OPERATION_IDENTIFY, .k = 3, .probes = 1, .threshold = 0.9F};
  for (int i = 0; i < 3; i++) {
    lk_error error = {0};
    permit_with(lines[i]);
    request.metric = LK_IP;
    cr_assert_eq(lk_policy_decide(policy, &request, 0, NULL, &decision, &error), i < 2 ? LK_EPOLICY : LK_OK, "%s",
                 lines[i]);
    cr_assert(i == 2 || decision.cause == LK_CAUSE_METRIC, "%s", lines[i]);
    cr_assert(i == 2 || strstr(error.text, "metric gives them no scale") != NULL, "%s", error.text);
    request.metric = LK_L2;
    cr_assert_eq(lk_policy_decide(policy, &request, 0, NULL, &decision, NULL), i == 1 ? LK_EPOLICY : LK_OK, "%s",
                 lines[i]);
  }
  permit_with("score_decimals: 3");
  for (request.metric = LK_COSINE; request.metric <= LK_L2; request.metric++)
    cr_assert_eq(lk_policy_decide(policy, &request, 0, NULL, &decision, NULL),
                 request.metric == LK_COSINE ? LK_OK : LK_EPOLICY, "%d", (int)request.metric);
  lk_policy_close(policy);
}
