#include "index/evaluation/tally.h"

#include <criterion/criterion.h>
#include <float.h>
#include <math.h>
#include <stdlib.h>

#include "tests/support/random.h"

static lk_tally tally;

static void setup(void) { cr_assert_eq(lk_tally_open(&tally, NULL), LK_OK); }
static void teardown(void) { lk_tally_close(&tally); }

TestSuite(tally, .init = setup, .fini = teardown);

static uint64_t count_from(const float *scores, uint32_t n, float level) {
  uint64_t count = 0;
  for (uint32_t i = 0; i < n; i++) count += scores[i] >= level;
  return count;
}

/* Counts are exact; levels fall, begin above all scores and end at or below the least; what lies between two is few. */
static void check(const float *scores, uint32_t n) {
  for (uint32_t i = 0; i < n; i++) lk_tally_add(&tally, scores[i]);
  lk_calibration_level *levels;
  uint32_t count;
  cr_assert_eq(lk_tally_levels(&tally, &levels, &count, NULL), LK_OK);
  cr_assert(count >= 2 && tally.total == n);
  cr_assert(levels[0].count == 0 && levels[count - 1].count == n);
  for (uint32_t i = 0; i < count; i++) {
    cr_assert_eq(levels[i].count, count_from(scores, n, levels[i].score), "level %.9g", (double)levels[i].score);
    if (i > 0) cr_assert_lt(levels[i].score, levels[i - 1].score);
    if (i > 0) cr_assert_gt(levels[i].count, levels[i - 1].count);
  }
  free(levels);
}

Test(tally, one_score) { check((const float[]){0.25F}, 1); }

Test(tally, signs_and_zero) {
  check((const float[]){0, -0.0F, 1e-30F, -1e-30F, FLT_MIN / 4, -FLT_MIN / 4, -1, 1, -1e20F, 1e20F, 0}, 11);
}

Test(tally, cosines) {
  enum { N = 50000 };
  static float scores[N];
  random_state random = {3};
  for (int i = 0; i < N; i++) scores[i] = (float)(random_normal(&random) * 0.1);
  check(scores, N);
}

/* Squared distances, negative. */
Test(tally, distances) {
  enum { N = 20000 };
  static float scores[N];
  random_state random = {5};
  for (int i = 0; i < N; i++) scores[i] = -(float)random_log_uniform(&random, 1, 1000000);
  check(scores, N);
}

/* Few levels, however many scores; each is within 1/2048 of the least score that it counts. */
Test(tally, levels_are_few_and_near) {
  enum { N = 200000 };
  random_state random = {7};
  float *scores = malloc(N * sizeof *scores);
  for (int i = 0; i < N; i++) lk_tally_add(&tally, scores[i] = 0.25F + 0.5F * (float)random_uniform(&random));
  lk_calibration_level *levels;
  uint32_t count;
  cr_assert_eq(lk_tally_levels(&tally, &levels, &count, NULL), LK_OK);
  cr_assert_lt(count, 1000);
  for (uint32_t i = 1; i < count; i++) {
    uint64_t step = levels[i].count - levels[i - 1].count;
    cr_assert(i + 1 == count || step > levels[i - 1].count / 64);
    float least = INFINITY;
    for (int s = 0; s < N && i % 16 == 1; s++)
      if (scores[s] >= levels[i].score && scores[s] < least) least = scores[s];
    if (i % 16 == 1) cr_assert_leq(least, levels[i].score * (1 + 1.0F / 2048));
  }
  free(levels);
  free(scores);
}
