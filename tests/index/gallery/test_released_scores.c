/* What a policy lets out of scores: rounded ones, or none. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "tests/support/files.h"

enum { DIM = 16, ROWS = 300, PROBES = 4, K = 20 };

static char folder[PATH_MAX], policy[PATH_MAX];
static float *rows;
static lk_device *device;
static lk_gallery *gallery;
static lk_result *exact, *result;
static lk_error error;

static void setup(void) {
  files_setup();
  random_state random = {5};
  rows = files_random(&random, ROWS, DIM);
  strcpy(folder, files_gallery("faces", LK_COSINE, DIM));
  strcpy(policy, files_path("policy.yaml"));
  files_enroll(folder, rows, ROWS, DIM, NULL);
  cr_assert_eq(lk_device_open("cpu", 1, &device, &error), LK_OK);
  cr_assert_eq(lk_result_open(&exact, &error), LK_OK);
  cr_assert_eq(lk_result_open(&result, &error), LK_OK);
}

static void teardown(void) {
  lk_gallery_close(gallery);
  lk_result_close(exact);
  lk_result_close(result);
  lk_device_close(device);
  free(rows);
  files_teardown();
}

TestSuite(released_scores, .init = setup, .fini = teardown);

static void open_gallery(void) {
  gallery = files_open(folder);
  cr_assert_eq(lk_gallery_load(gallery, device, &error), LK_OK, "%s", error.text);
}

/* Binds the gallery to one permit with this line. */
static void bind_and_open(const char *line) {
  char text[512];
  int length =
      snprintf(text, sizeof text, "policy: 1\nname: t\nrules:\n- id: r\n  effect: permit\n  text: t\n  %s\n", line);
  files_write(policy, text, (size_t)length);
  lk_binding binding = {.policy = policy};
  cr_assert_eq(lk_gallery_bind(folder, &binding, &error), LK_OK, "%s", error.text);
  lk_gallery_close(gallery);
  open_gallery();
}

static lk_status identify(lk_result *into, float threshold) {
  lk_vectors probes = files_vectors(rows, PROBES, DIM);
  lk_query query = {.probes = &probes, .probes_count = 1, .k = K, .threshold = threshold};
  return lk_gallery_identify(gallery, &query, into, NULL, &error);
}

static float score_of(const lk_result *from, uint32_t probe, uint32_t rank, uint64_t *number) {
  lk_candidate candidate = lk_result_candidate(from, probe, rank);
  *number = candidate.found.number;
  return candidate.score;
}

static void expect_decision(const char *words) {
  char text[2048];
  lk_text decision = lk_result_decision(result);
  snprintf(text, sizeof text, "%.*s", (int)decision.length, decision.bytes);
  cr_assert_not_null(strstr(text, words), "'%s' is not in %s", words, text);
}

/* The same candidates in the same order, whose scores say less. */
Test(released_scores, are_rounded_down) {
  open_gallery();
  cr_assert_eq(identify(exact, -INFINITY), LK_OK);
  uint64_t number;
  float before[PROBES][K];
  uint64_t was[PROBES][K];
  for (uint32_t p = 0; p < PROBES; p++)
    for (uint32_t rank = 0; rank < K; rank++) before[p][rank] = score_of(exact, p, rank, &was[p][rank]);
  bind_and_open("score_decimals: 2");
  cr_assert_eq(identify(result, -INFINITY), LK_OK, "%s", error.text);
  for (uint32_t p = 0; p < PROBES; p++) {
    cr_assert_eq(lk_result_count(result, p), K);
    for (uint32_t rank = 0; rank < K; rank++) {
      float after = score_of(result, p, rank, &number), exactly = before[p][rank];
      cr_assert(number == was[p][rank] && after <= exactly && after > exactly - 0.0101F, "%.9g %.9g", (double)exactly,
                (double)after);
      cr_assert_float_eq(after * 100, roundf(after * 100), 1e-4);
    }
  }
  expect_decision("\"score_decimals\":2,\"decision_only\":false");
  lk_vectors probe = files_vectors(rows, 1, DIM);
  cr_assert_eq(lk_gallery_verify(gallery, &probe, lk_text_of("9"), NULL, result, &error), LK_OK);
  float verified = lk_result_candidate(result, 0, 0).score;
  cr_assert_float_eq(verified * 100, roundf(verified * 100), 1e-4);
}

/* Otherwise a bisection by thresholds would find what was rounded away. */
Test(released_scores, thresholds_are_rounded_up) {
  bind_and_open("score_decimals: 1");
  cr_assert_eq(identify(result, 0.301F), LK_OK);
  expect_decision("\"threshold\":0.400000006");
  for (uint32_t i = 0; i < lk_result_count(result, 0); i++)
    cr_assert_geq(lk_result_candidate(result, 0, i).score, 0.4F);
}

Test(released_scores, only_the_decision) {
  bind_and_open("min_score: 0.3\n  decision_only: true");
  cr_assert_eq(identify(result, -INFINITY), LK_OK, "%s", error.text);
  cr_assert_gt(lk_result_count(result, 0), 1);
  uint64_t numbers[K];
  float scores[K];
  lk_result_list(result, 0, numbers, scores);
  for (uint32_t i = 0; i < lk_result_count(result, 0); i++) cr_assert(isnan(scores[i]));
  cr_assert_eq(numbers[0], 0, "itself");
  expect_decision("\"score_decimals\":null,\"decision_only\":true");
  cr_assert_eq(identify(result, 0.2F), LK_OK, "the rule's limit is higher");
  cr_assert_eq(identify(result, 0.31F), LK_EPOLICY);
  cr_assert_not_null(strstr(error.text, "permits no higher threshold"), "%s", error.text);
}

/* Each probe whose list has a subject counts once; a result with a subject beyond the limit is withheld as a whole. */
Test(released_scores, probes_that_find_one_subject) {
  bind_and_open("min_score: 0.9\n  subject_probes_per_hour: 3");
  for (int i = 0; i < 3; i++) cr_assert_eq(identify(result, -INFINITY), LK_OK, "%s", error.text);
  cr_assert_eq(identify(result, -INFINITY), LK_EPOLICY);
  cr_assert_not_null(strstr(error.text, "more than 3 probes found one of these subjects within an hour"), "%s",
                     error.text);
  cr_assert_eq(lk_result_count(result, 0), 0);
  expect_decision("\"decision\":\"refuse\"");
  lk_vectors probe = files_vectors(rows + PROBES * DIM, 1, DIM);
  lk_query query = {.probes = &probe, .probes_count = 1, .k = K, .threshold = -INFINITY};
  cr_assert_eq(lk_gallery_identify(gallery, &query, result, NULL, &error), LK_OK, "others may be found: %s",
               error.text);
  for (int i = 0; i < 3; i++)
    cr_assert_eq(lk_gallery_verify(gallery, &probe, lk_text_of("4"), NULL, result, &error), i < 2 ? LK_OK : LK_EPOLICY);
}
