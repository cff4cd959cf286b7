#include <math.h>
#include <stdlib.h>

#include <likeness/policy.h>
#include "base/text.h"

static bool score(const void *context, lk_text model, double max_fmr, float *threshold) {
  (void)context, (void)model;
  *threshold = (float)max_fmr;
  return true;
}

static void require(bool holds) {
  if (!holds) abort();
}

static uint32_t count_applying(const lk_policy *policy, const lk_policy_request *request, int64_t now_ms,
                               uint32_t applying[2]) {
  lk_policy_stat stat;
  char why[64];
  lk_policy_stat_get(policy, &stat);
  for (uint32_t i = 0; i < stat.rules; i++)
    if (lk_policy_explain(policy, i, request, now_ms, why, sizeof why))
      applying[lk_policy_rule_get(policy, i).effect]++;
  return applying[LK_FORBID];
}

/* A decision loosens nothing, is as the rules are explained, and is the same again. */
static void check(const lk_policy *policy, const lk_policy_request *request, int64_t now_ms) {
  lk_policy_calibration calibration = {.threshold = score};
  lk_policy_decision decision, again;
  lk_error error = {0};
  uint32_t applying[2] = {0};
  lk_status status = lk_policy_decide(policy, request, now_ms, &calibration, &decision, &error);
  bool forbidden = count_applying(policy, request, now_ms, applying) > 0;
  require(decision.permitted == (status == LK_OK) && decision.permitted == (decision.cause == LK_CAUSE_NONE));
  require(decision.permitted || error.text[0] != '\0');
  require(!decision.permitted || (applying[LK_PERMIT] > 0 && !forbidden));
  bool by_word = decision.cause == LK_CAUSE_WORD_MALFORMED || decision.cause == LK_CAUSE_WORD_UNKNOWN;
  require(decision.rules_count == (by_word ? 0 : applying[forbidden ? LK_FORBID : LK_PERMIT]));
  require(decision.k <= request->k && decision.threshold >= request->threshold);
  lk_policy_decide(policy, request, now_ms, &calibration, &again, NULL);
  require(again.permitted == decision.permitted && again.k == decision.k && again.threshold == decision.threshold);
  if (!decision.permitted) return;
  lk_policy_request released = *request; /* under the limits in effect, it is permitted and has them still */
  released.k = decision.k;
  released.threshold = decision.threshold;
  lk_policy_decide(policy, &released, now_ms, &calibration, &again, NULL);
  require(again.permitted && again.k == decision.k && again.threshold == decision.threshold);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static const int64_t times_ms[] = {INT64_MIN, 0, 1591747200000, 1709251199999, INT64_MAX};
  static const char *const words[] = {"", "police/north", "\xef\xbd\xa1 CH"};
  lk_policy *policy;
  if (lk_policy_parse("fuzz", data, size, &policy, NULL) != LK_OK) return 0;
  for (int i = 0; i < 30; i++) {
    lk_text word = lk_text_of(words[i % 3]);
    lk_policy_request request = {.operation = (lk_operation)(i % LK_OPERATIONS),
                                 .purpose = word,
                                 .actor = word,
                                 .jurisdiction = word,
                                 .gallery = lk_text_of("axb"),
                                 .actor_signed = i % 2 == 0,
                                 .case_id = word,
                                 .authorisation = word,
                                 .authorisation_granted = i % 4 != 1,
                                 .metric = i % 11 == 0   ? LK_IP
                                           : i % 13 == 0 ? LK_L2
                                                         : LK_COSINE,
                                 .k = i % 7 == 0 ? LK_K_ALL : 20,
                                 .threshold = i % 5 == 0 ? -INFINITY : 0.25F,
                                 .probes = 1};
    request.pending_since_ms = times_ms[i % 4];
    check(policy, &request, times_ms[i % 5]);
  }
  lk_policy_close(policy);
  return 0;
}
