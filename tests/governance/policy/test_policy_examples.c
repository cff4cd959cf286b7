/* The files in deploy/policies: fixed requests at fixed times, on both sides of each boundary. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include <likeness/policy.h>
#include "base/text.h"
#include "base/timestamp.h"

static lk_policy *policy;
static lk_policy_request request;
static lk_policy_decision decision;
static const lk_policy_calibration *calibration;

static void open_example(const char *name) {
  char path[4096];
  lk_error error = {0};
  snprintf(path, sizeof path, "%s/deploy/policies/%s", LIKENESS_SOURCE, name);
  cr_assert_eq(lk_policy_open(path, &policy, &error), LK_OK, "%s", error.text);
  calibration = NULL;
}

static void teardown(void) { lk_policy_close(policy); }

TestSuite(policy_examples, .fini = teardown);

static void ask(lk_operation operation, const char *purpose, const char *actor, const char *jurisdiction) {
  request = (lk_policy_request){.operation = operation,
                                .purpose = lk_text_of(purpose),
                                .actor = lk_text_of(actor),
                                .jurisdiction = lk_text_of(jurisdiction),
                                .gallery = lk_text_of("faces"),
                                .k = 100,
                                .threshold = 0.1F,
                                .probes = 1};
}

static int64_t instant(const char *at) {
  int64_t ms = 0;
  cr_assert_null(lk_timestamp_parse(lk_text_of(at), &ms));
  return ms;
}

/* `by`: the rules that permit it, with spaces between. */
static void expect_permitted(const char *at, const char *by) {
  lk_error error = {0};
  char rules[256] = "";
  lk_status status = lk_policy_decide(policy, &request, instant(at), calibration, &decision, &error);
  cr_assert_eq(status, LK_OK, "at %s: %s", at, error.text);
  cr_assert(decision.permitted && decision.cause == LK_CAUSE_NONE);
  for (uint32_t i = 0; i < decision.rules_count; i++) {
    lk_text id = lk_policy_rule_get(policy, decision.rules[i]).id;
    snprintf(rules + strlen(rules), sizeof rules - strlen(rules), "%s%.*s", i > 0 ? " " : "", (int)id.length, id.bytes);
  }
  cr_assert_str_eq(rules, by, "at %s", at);
}

static void expect_refused(const char *at, const char *words) {
  lk_error error = {0};
  lk_status status = lk_policy_decide(policy, &request, instant(at), calibration, &decision, &error);
  cr_assert_eq(status, LK_EPOLICY, "at %s", at);
  cr_assert_not_null(strstr(error.text, words), "at %s: '%s' is not in: %s", at, words, error.text);
  cr_assert(!decision.permitted && decision.k == 0 && isinf(decision.threshold) && decision.threshold > 0);
}

Test(policy_examples, moratorium) {
  open_example("moratorium.yaml");
  ask(LK_OPERATION_IDENTIFY, "investigation", "police/north", "US-OR");
  request.case_id = lk_text_of("c");
  expect_permitted("2020-06-09T23:59:59.999Z", "police-before");
  cr_assert(decision.k == 50 && decision.threshold == 0.1F && decision.retention_hours == LK_POLICY_NO_LIMIT);
  expect_refused("2020-06-10T00:00:00Z",
                 "rule 'police-moratorium' forbids it: Use by the police is halted until further notice.");
}

Test(policy_examples, moratorium_by_the_clock_of_elsewhere) {
  open_example("moratorium.yaml");
  ask(LK_OPERATION_IDENTIFY, "investigation", "police/north", "US-OR");
  request.case_id = lk_text_of("c");
  expect_permitted("2020-06-10T01:59:59+02:00", "police-before");
  expect_refused("2020-06-10T02:00:00+02:00", "police-moratorium");
  expect_refused("2020-06-09T17:00:00-07:00", "police-moratorium");
  expect_refused("9999-12-31", "police-moratorium");
  request.purpose = (lk_text){0};
  expect_refused("2024-02-29", "police-moratorium");
}

Test(policy_examples, moratorium_has_an_exception) {
  open_example("moratorium.yaml");
  ask(LK_OPERATION_IDENTIFY, "missing-persons", "police/north", "US-OR");
  expect_refused("2021-01-01", "rule 'missing' requires a case");
  request.case_id = lk_text_of("c");
  expect_refused("2021-01-01", "rule 'missing' requires an authorisation");
  request.authorisation = lk_text_of("w");
  expect_refused("2021-01-01", "says neither that it is granted nor since when it is pending");
  request.authorisation_granted = true;
  expect_permitted("2021-01-01", "missing");
  cr_assert(decision.k == 10 && decision.threshold == 0.6F && decision.retention_hours == 720);
  cr_assert(decision.grace_until_ms == INT64_MAX);
  request.k = 3, request.threshold = 0.9F;
  expect_permitted("2021-01-01", "missing");
  cr_assert(decision.k == 3 && decision.threshold == 0.9F, "the caller tightens");
  request.authorisation_granted = false;
  request.pending_since_ms = instant("2021-01-01");
  expect_permitted("2021-01-02T23:59:59.999Z", "missing");
  cr_assert(decision.grace_until_ms == instant("2021-01-03"));
  expect_refused("2021-01-03", "longer than the grace period");
  expect_refused("2020-12-31", "lies in the future");
  request.authorisation_granted = true;
  request.pending_since_ms = 0;
  request.case_probes = 199;
  expect_permitted("2021-01-03", "missing");
  request.case_probes = 200;
  expect_refused("2021-01-03", "fewer probes per case");
  request.case_probes = 0;
  request.actor = (lk_text){0};
  expect_refused("2021-01-03", "no rule of policy 'moratorium' permits it");
}

Test(policy_examples, moratorium_upkeep) {
  open_example("moratorium.yaml");
  ask(LK_OPERATION_ENROLL, "", "operator", "");
  expect_permitted("2021-01-01", "upkeep");
  request.actor = lk_text_of("police/north");
  expect_refused("2021-01-01", "no rule");
}

Test(policy_examples, city_ban) {
  open_example("city-ban.yaml");
  ask(LK_OPERATION_IDENTIFY, "lost-and-found", "city/water", "US-OR-portland");
  expect_permitted("2020-09-08T23:59:59.999-07:00", "state");
  cr_assert_eq(decision.k, 20);
  expect_refused("2020-09-09T00:00:00-07:00", "rule 'city-bureaus' forbids it");
  expect_refused("2020-09-09T07:00:00Z", "city-bureaus");
  expect_permitted("2020-09-09T06:59:59.999Z", "state");
  ask(LK_OPERATION_IDENTIFY, "public-place", "shop", "US-OR-portland");
  expect_permitted("2021-01-01T07:59:59.999Z", "state");
  expect_refused("2021-01-01T08:00:00Z", "rule 'city-private' forbids it");
  expect_refused("2021-01-01T00:00:00-08:00", "city-private");
  request.jurisdiction = lk_text_of("US-OR-salem");
  expect_permitted("2021-01-01T08:00:00Z", "state");
  request.jurisdiction = (lk_text){0};
  expect_refused("2021-01-01T08:00:00Z", "city-private");
  expect_refused("2020-12-31", "no rule");
}

static bool a_million(const void *context, lk_text model, double max_fmr, float *threshold) {
  (void)context;
  *threshold = 0.8F;
  return max_fmr == 1e-6 && lk_text_equal(model, lk_text_of("m1"));
}

Test(policy_examples, two_jurisdictions) {
  static const lk_policy_calibration known = {.threshold = a_million};
  open_example("two-jurisdictions.yaml");
  ask(LK_OPERATION_IDENTIFY, "investigation", "kapo-zh", "CH-ZH");
  request.case_id = lk_text_of("c");
  request.model = lk_text_of("m1");
  expect_refused("2024-01-01", "rule 'swiss' requires the actor's signature");
  request.actor_signed = true;
  expect_refused("2024-01-01", "no calibration gives this model");
  calibration = &known;
  expect_permitted("2024-01-01", "everywhere swiss");
  cr_assert(decision.k == 10 && decision.threshold == 0.8F && decision.retention_hours == 96);
  expect_permitted("2023-08-31T22:00:00Z", "everywhere swiss");
  expect_refused("2023-08-31T21:59:59.999Z", "rule 'swiss-start' forbids it");
  request.model = lk_text_of("m2");
  expect_refused("2024-01-01", "no calibration gives this model");
  ask(LK_OPERATION_IDENTIFY, "investigation", "shop", "CH");
  expect_refused("2024-01-01", "swiss-others");
  ask(LK_OPERATION_IDENTIFY, "investigation", "shop", "US-OR");
  request.case_id = lk_text_of("c");
  expect_permitted("2020-01-01", "everywhere oregon");
  cr_assert(decision.k == 50 && decision.threshold == 0x1.666668p-1F && decision.retention_hours == 720);
  request.jurisdiction = lk_text_of("US-WA");
  expect_refused("2024-01-01", "no rule");
}

Test(policy_examples, two_jurisdictions_keys) {
  open_example("two-jurisdictions.yaml");
  const uint8_t *first = lk_policy_key(policy, lk_text_of("kapo-zh"), 0),
                *second = lk_policy_key(policy, lk_text_of("kapo-zh"), 1);
  cr_assert(first[0] == 0x3d && first[31] == 0x0c && second[0] == 0xfc && second[31] == 0x25);
  cr_assert_null(lk_policy_key(policy, lk_text_of("kapo-zh"), 2));
  cr_assert_eq(lk_policy_key(policy, lk_text_of("kapo-be"), 0)[0], 0xd7);
  cr_assert_null(lk_policy_key(policy, lk_text_of("kapo"), 0));
}

Test(policy_examples, private) {
  open_example("private.yaml");
  ask(LK_OPERATION_IDENTIFY, "", "", "");
  expect_refused("2026-06-01", "no rule");
  request.gallery = lk_text_of("products-2026");
  expect_permitted("2026-06-01", "catalogue");
  cr_assert(decision.k == 100 && decision.threshold == 0.1F);
  request.operation = LK_OPERATION_EXPORT;
  expect_refused("2026-06-01", "rule 'no-export' forbids it");
  ask(LK_OPERATION_VERIFY, "", "", "");
  request.gallery = lk_text_of("staff");
  expect_permitted("2026-06-01", "door");
  cr_assert_eq(decision.threshold, 0.55F);
  request.operation = LK_OPERATION_IDENTIFY;
  expect_refused("2026-06-01", "no rule");
  request.operation = LK_OPERATION_ENROLL;
  request.actor = lk_text_of("reception");
  expect_refused("2025-12-31T23:59:59.999Z", "no rule");
  expect_permitted("2026-01-01", "badges");
  expect_permitted("2026-12-31T23:59:59.999Z", "badges");
  expect_refused("2027-01-01", "no rule");
}
