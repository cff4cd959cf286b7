/* Pairs of a gallery that is bound to a policy. */
#include <criterion/criterion.h>
#include <likeness/dedupe.h>
#include <likeness/owner.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"
#include "tests/support/files.h"

/* More templates than one batch. Every template of an even number has its copy behind it, of another subject. */
enum { DIM = 16, ROWS = 1200, PAIRS = ROWS / 2, BATCH = 1024 };

static char folder[PATH_MAX], policy[PATH_MAX], audit[PATH_MAX];
static float *rows;
static lk_device *device;
static lk_gallery *gallery;
static lk_result *result;
static lk_claims demo;
static lk_error error;

#define PERMIT "policy: 1\nname: t\nrules:\n  - id: demo\n    effect: permit\n    text: Demos.\n    purposes: demo\n"

static void write_policy(const char *text) {
  files_write(files_path("new.yaml"), text, strlen(text));
  cr_assert_eq(rename(files_path("new.yaml"), policy), 0);
}

static void setup(void) {
  files_setup();
  random_state random = {7};
  rows = files_random(&random, ROWS, DIM);
  for (int r = 1; r < ROWS; r += 2) memcpy(rows + (size_t)r * DIM, rows + (size_t)(r - 1) * DIM, DIM * sizeof *rows);
  strcpy(folder, files_gallery("faces", LK_COSINE, DIM));
  strcpy(policy, files_path("policy.yaml"));
  strcpy(audit, files_path("audit"));
  files_enroll(folder, rows, ROWS, DIM, NULL);
  demo = (lk_claims){.purpose = lk_text_of("demo"), .case_id = lk_text_of("c-1")};
  cr_assert_eq(lk_device_open("cpu", 2, &device, &error), LK_OK);
  cr_assert_eq(lk_result_open(&result, &error), LK_OK);
}

static void teardown(void) {
  lk_gallery_close(gallery);
  lk_result_close(result);
  lk_device_close(device);
  free(rows);
  files_teardown();
}

TestSuite(duplicates_bound, .init = setup, .fini = teardown);

static void bind(const char *text) {
  write_policy(text);
  lk_binding binding = {.policy = policy, .audit = audit};
  cr_assert_eq(lk_gallery_bind(folder, &binding, &error), LK_OK, "%s", error.text);
  gallery = files_open(folder);
  cr_assert_eq(lk_gallery_load(gallery, device, &error), LK_OK, "%s", error.text);
}

typedef struct finds {
  uint32_t count;
  lk_pair last;
  const char *new_policy; /* after the first pair */
} finds;

static finds got;

static lk_status take(void *context, const lk_pair *pair, lk_error *unused) {
  finds *to = context;
  (void)unused;
  to->last = *pair;
  if (to->count++ > 0 || to->new_policy == NULL) return LK_OK;
  write_policy(to->new_policy);
  usleep(1200000); /* until the engine looks again */
  return LK_OK;
}

static lk_status dedupe(float threshold, const lk_claims *claims) {
  lk_dedupe wanted = {.threshold = threshold, .claims = claims, .found = take, .context = &got};
  got.count = 0;
  return lk_gallery_dedupe(gallery, &wanted, result, &error);
}

static uint32_t records_with(const char *words) { return files_lines_with(audit, "audit-000001.log", words); }

static void expect_refused(lk_status status, uint32_t pairs, const char *words) {
  cr_assert_eq(status, LK_EPOLICY, "%s: %s", lk_status_name(status), error.text);
  cr_assert_not_null(strstr(error.text, words), "%s", error.text);
  cr_assert_eq(got.count, pairs, "%u", got.count);
  lk_text decision = lk_result_decision(result);
  cr_assert_not_null(memmem(decision.bytes, decision.length, "\"decision\":\"refuse\"", 19), "%.*s",
                     (int)decision.length, decision.bytes);
}

static void expect_pairs(float threshold) {
  cr_assert_eq(dedupe(threshold, &demo), LK_OK, "%s", error.text);
  cr_assert_eq(got.count, PAIRS);
  lk_text decision = lk_result_decision(result);
  cr_assert_not_null(memmem(decision.bytes, decision.length, "\"decision\":\"permit\"", 19));
}

/* One decision, about as many probes as templates; and a result for each of both searches, with the pairs of both
 * sides. */
Test(duplicates_bound, the_log_has_a_decision_and_what_is_released) {
  bind(PERMIT);
  expect_pairs(0.99F);
  cr_assert_eq(records_with("\"type\":\"decision\""), 1);
  cr_assert_eq(records_with("\"operation\":\"identify\""), 1);
  cr_assert_gt(records_with("\"probes\":1200,"), 0);
  cr_assert_eq(records_with("\"type\":\"result\""), 2);
  cr_assert_eq(records_with("\"candidates\":1024,"), 1);
  cr_assert_eq(records_with("\"candidates\":176,"), 1);
  cr_assert_eq(records_with("\"released\":true"), 2);
}

Test(duplicates_bound, of_who_has_expired_nothing_is_released) {
  lk_owner *owner;
  lk_change change = {.kind = LK_CHANGE_EXPIRE, .key = lk_text_of("0"), .expires_ms = 1};
  cr_assert_eq(lk_owner_open(folder, &owner, &error), LK_OK, "%s", error.text);
  cr_assert_eq(lk_owner_change(owner, &change, 1, NULL, NULL, &error), LK_OK, "%s", error.text);
  lk_owner_close(owner);
  bind(PERMIT);
  cr_assert_eq(dedupe(0.99F, &demo), LK_OK, "%s", error.text);
  cr_assert_eq(got.count, PAIRS - 1);
  cr_assert_eq(records_with("\"candidates\":1023,"), 1);
  cr_assert_eq(records_with("\"candidates\":175,"), 1);
}

/* Of a list that is searched for again only the whole one is released: both searches of the first two levels release
 * nothing. */
Test(duplicates_bound, what_is_released_is_whole) {
  bind(PERMIT);
  cr_assert_eq(dedupe(-1, &demo), LK_OK, "%s", error.text);
  cr_assert_eq(got.count, ROWS * (ROWS - 1) / 2);
  cr_assert_eq(records_with("\"candidates\":0,"), 4);
  cr_assert_eq(records_with("\"candidates\":1227776,"), 1, "1024 lists of all others");
  cr_assert_eq(records_with("\"candidates\":211024,"), 1);
}

Test(duplicates_bound, refused_before_any_work) {
  bind(PERMIT);
  expect_refused(dedupe(0.99F, NULL), 0, "no rule");
  cr_assert_eq(records_with("\"permitted\":false"), 1);
  cr_assert_eq(records_with("\"type\":\"result\""), 0);
}

Test(duplicates_bound, a_number_of_candidates_would_leave_out_pairs) {
  bind(PERMIT "    max_candidates: 4000\n");
  expect_refused(dedupe(0.99F, &demo), 0, "4000 candidates");
  cr_assert_eq(records_with("\"released\":true"), 0);
  cr_assert_eq(records_with("\"released\":false"), 1, "the permit is withheld");
}

Test(duplicates_bound, the_greater_threshold_is_in_effect) {
  bind(PERMIT "    min_score: 0.8\n");
  cr_assert_eq(dedupe(0.5F, &demo), LK_OK, "%s", error.text);
  uint32_t at_policys = got.count;
  cr_assert_eq(dedupe(0.8F, &demo), LK_OK, "%s", error.text);
  cr_assert_eq(got.count, at_policys);
  cr_assert_gt(at_policys, PAIRS, "some are no copies");
  expect_pairs(0.99F);
}

Test(duplicates_bound, each_template_is_a_probe_of_the_case) {
  bind(PERMIT "    probes_per_case: 2000\n");
  expect_pairs(0.99F);
  expect_refused(dedupe(0.99F, &demo), 0, "demo");
}

Test(duplicates_bound, scores_are_rounded) {
  bind(PERMIT "    score_decimals: 1\n");
  expect_pairs(0.9F);
  cr_assert_eq(got.last.score, 1.0F);
  cr_assert_eq(dedupe(0.5F, &demo), LK_OK, "%s", error.text);
  cr_assert_gt(got.count, PAIRS);
  float tenfold = got.last.score * 10;
  cr_assert_float_eq(tenfold, roundf(tenfold), 1e-5, "%.9g", (double)got.last.score);
}

Test(duplicates_bound, decisions_only) {
  bind(PERMIT "    min_score: 0.99\n    decision_only: true\n");
  expect_pairs(0.99F);
  cr_assert(isnan(got.last.score));
}

/* Each subject is found by the template of the other, in whichever batch: twice is too much. */
Test(duplicates_bound, both_subjects_of_a_pair_are_found) {
  bind(PERMIT "    subject_probes_per_hour: 1\n");
  expect_pairs(0.99F);
  lk_vectors probe = files_vectors(rows, 1, DIM);
  lk_query query = {.probes = &probe, .probes_count = 1, .k = 1, .threshold = -INFINITY, .claims = &demo};
  cr_assert_eq(lk_gallery_identify(gallery, &query, result, NULL, &error), LK_EPOLICY, "template 0 was found");
  expect_refused(dedupe(0.99F, &demo), 0, "within an hour");
}

Test(duplicates_bound, subjects_of_the_second_search_are_found) {
  bind(PERMIT "    subject_probes_per_hour: 1\n");
  expect_pairs(0.99F);
  lk_vectors probe = files_vectors(rows + (size_t)(ROWS - 1) * DIM, 1, DIM);
  lk_query query = {.probes = &probe, .probes_count = 1, .k = 1, .threshold = -INFINITY, .claims = &demo};
  cr_assert_eq(lk_gallery_identify(gallery, &query, result, NULL, &error), LK_EPOLICY);
}

Test(duplicates_bound, rules_that_come_meanwhile_stop_it) {
  bind(PERMIT);
  got.new_policy = "policy: 1\nname: t\nrules: []\n";
  expect_refused(dedupe(0.99F, &demo), BATCH / 2, "no rule");
  cr_assert_eq(records_with("\"released\":true"), 1);
  cr_assert_eq(records_with("\"released\":false"), 1);
}

Test(duplicates_bound, limits_that_come_meanwhile_stop_it) {
  bind(PERMIT);
  got.new_policy = PERMIT "    min_score: 0.995\n";
  cr_assert_eq(dedupe(0.99F, &demo), LK_EPOLICY);
  cr_assert_not_null(strstr(error.text, "stricter"), "%s", error.text);
  cr_assert_eq(got.count, BATCH / 2);
}
