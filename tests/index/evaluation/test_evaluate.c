#include "index/evaluation/evaluate.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/random.h"

#define CHECK_RATE(rate, wanted_count, wanted_of)                                                        \
  do {                                                                                                   \
    lk_rate rate_ = (rate);                                                                              \
    cr_assert(rate_.count == (wanted_count) && rate_.of == (wanted_of), "%s is %d/%d, not %d/%d", #rate, \
              (int)rate_.count, (int)rate_.of, (int)(wanted_count), (int)(wanted_of));                   \
  } while (0)

static void check_interval(uint64_t count, uint64_t of, double low, double high) {
  lk_interval i = lk_rate_interval((lk_rate){count, of});
  cr_assert(fabs(i.low - low) < 5e-5 && fabs(i.high - high) < 5e-5, "%d/%d: %g .. %g", (int)count, (int)of, i.low,
            i.high);
}

/* Newcombe 1998, table I, method 3 (the score method without continuity correction). */
Test(evaluate, intervals_as_published) {
  check_interval(81, 263, 0.2553, 0.3662);
  check_interval(15, 148, 0.0624, 0.1605);
  check_interval(0, 20, 0, 0.1611);
  check_interval(1, 29, 0.0061, 0.1718);
}

Test(evaluate, intervals_at_the_ends) {
  cr_assert_eq(lk_rate_interval((lk_rate){0, 7}).low, 0);
  cr_assert_eq(lk_rate_interval((lk_rate){7, 7}).high, 1);
  cr_assert_gt(lk_rate_interval((lk_rate){7, 7}).low, 0.5);
  check_interval(0, 0, 0, 1);
  cr_assert(isnan(lk_rate_value((lk_rate){0, 0})));
  cr_assert_eq(lk_rate_value((lk_rate){1, 4}), 0.25);
}

/* Two groups, a mate at the second rank, one that is not listed, equal scores, a search without candidates. */
static lk_trial by_hand[] = {{true, 0, 1, 0.9F, 0.9F}, {true, 0, 2, 0.5F, 0.6F},    {true, 1, 0, 0, 0.7F},
                             {true, 1, 1, 0.4F, 0.4F}, {false, 0, 0, 0, 0.5F},      {false, 0, 0, 0, 0.5F},
                             {false, 1, 0, 0, 0.3F},   {false, 1, 0, 0, -INFINITY}, {false, LK_GROUP_NONE, 0, 0, 0.8F}};
static const lk_trials hand = {.all = by_hand, .count = sizeof by_hand / sizeof by_hand[0], .groups_count = 2};

Test(evaluate, rates_by_hand) {
  CHECK_RATE(lk_trials_fpir(&hand, LK_GROUP_ALL, 0.5F), 3, 5);
  CHECK_RATE(lk_trials_fpir(&hand, LK_GROUP_ALL, 0.51F), 1, 5);
  CHECK_RATE(lk_trials_fpir(&hand, 0, 0.5F), 2, 2);
  CHECK_RATE(lk_trials_fpir(&hand, 1, 0.3F), 1, 2);
  CHECK_RATE(lk_trials_fpir(&hand, 1, -1.0F), 1, 2);
  CHECK_RATE(lk_trials_fnir(&hand, LK_GROUP_ALL, 0.5F, 1), 3, 4);
  CHECK_RATE(lk_trials_fnir(&hand, LK_GROUP_ALL, 0.5F, 2), 2, 4);
  CHECK_RATE(lk_trials_fnir(&hand, LK_GROUP_ALL, 0.9F, 1), 3, 4);
  CHECK_RATE(lk_trials_fnir(&hand, LK_GROUP_ALL, 0.91F, 1), 4, 4);
  CHECK_RATE(lk_trials_fnir(&hand, 0, -1, 1), 1, 2);
  CHECK_RATE(lk_trials_fnir(&hand, 1, -1, 1), 1, 2);
  CHECK_RATE(lk_trials_identified(&hand, LK_GROUP_ALL, 1), 2, 4);
  CHECK_RATE(lk_trials_identified(&hand, LK_GROUP_ALL, 2), 3, 4);
  CHECK_RATE(lk_trials_identified(&hand, 1, 50), 1, 2);
  cr_assert(lk_trials_mated(&hand, LK_GROUP_ALL) == 4 && lk_trials_non_mated(&hand, LK_GROUP_ALL) == 5);
  cr_assert(lk_trials_mated(&hand, 1) == 2 && lk_trials_non_mated(&hand, 0) == 2);
}

static float threshold_for(const lk_trials *trials, double fpir) {
  float threshold;
  cr_assert_eq(lk_trials_threshold(trials, fpir, &threshold, NULL), LK_OK);
  return threshold;
}

/* Equal scores pass together: 2/5 cannot be had, since 0.5 gives 3/5. */
Test(evaluate, thresholds_by_hand) {
  cr_assert_eq(threshold_for(&hand, 1), 0.3F);
  cr_assert_eq(threshold_for(&hand, 0.8), 0.3F);
  cr_assert_eq(threshold_for(&hand, 0.79), 0.5F);
  cr_assert_eq(threshold_for(&hand, 0.6), 0.5F);
  cr_assert_eq(threshold_for(&hand, 0.59), 0.8F);
  cr_assert_eq(threshold_for(&hand, 0.2), 0.8F);
  cr_assert_eq(threshold_for(&hand, 0.19), nextafterf(0.8F, 1));
  cr_assert_eq(threshold_for(&hand, 0), nextafterf(0.8F, 1));
}

/* 0.29 * 100 is less than 29 in doubles. */
Test(evaluate, a_decimal_rate_is_met_exactly) {
  lk_trial all[100];
  for (int i = 0; i < 100; i++) all[i] = (lk_trial){.group = LK_GROUP_NONE, .top_score = (float)i};
  lk_trials trials = {.all = all, .count = 100};
  for (int m = 1; m <= 100; m++) {
    char decimal[8];
    snprintf(decimal, sizeof decimal, "%d.%02d", m / 100, m % 100);
    cr_assert_eq(threshold_for(&trials, strtod(decimal, NULL)), (float)(100 - m), "%s", decimal);
  }
}

Test(evaluate, no_non_mated_search) {
  lk_trials mated = {.all = by_hand, .count = 4};
  float threshold;
  lk_error error;
  cr_assert_eq(lk_trials_threshold(&mated, 0.5, &threshold, &error), LK_EINVAL);
  cr_assert_not_null(strstr(error.text, "non-mated"));
}

/* Random trials, with few different scores so that many are equal. */
enum { MOST = 120, GROUPS = 4 };

static lk_trials random_trials(random_state *random, lk_trial all[MOST]) {
  lk_trials trials = {.all = all, .count = 1 + random_below(random, MOST), .groups_count = GROUPS};
  uint32_t levels = 1 + random_below(random, 60);
  for (uint32_t i = 0; i < trials.count; i++) {
    lk_trial *t = &all[i];
    *t = (lk_trial){.mated = i > 0 && random_one_in(random, 2), .group = random_below(random, GROUPS + 1)};
    if (t->group == GROUPS) t->group = LK_GROUP_NONE;
    t->top_score = (float)random_below(random, levels) / 8 - 2;
    if (!t->mated) continue;
    t->mate_rank = random_below(random, 5);
    if (t->mate_rank > 0) t->mate_score = t->top_score - (float)(t->mate_rank - 1) / 4;
  }
  return trials;
}

/* The definitions again, one search at a time and each in words of its own. */
static bool is_false_positive(const lk_trial *t, float threshold) { return !(t->top_score < threshold); }

static bool is_false_negative(const lk_trial *t, float threshold, uint32_t rank) {
  if (t->mate_rank == 0) return true;
  if (t->mate_rank > rank) return true;
  return t->mate_score < threshold;
}

static void check_against_slow(const lk_trials *trials, uint32_t group, float threshold, uint32_t rank) {
  uint64_t positives = 0, negatives = 0, hits = 0, mated = 0, non_mated = 0;
  for (uint32_t i = 0; i < trials->count; i++) {
    const lk_trial *t = &trials->all[i];
    if (group != LK_GROUP_ALL && t->group != group) continue;
    if (t->mated) {
      mated++;
      if (is_false_negative(t, threshold, rank)) negatives++;
      if (!is_false_negative(t, -INFINITY, rank)) hits++;
    } else {
      non_mated++;
      if (is_false_positive(t, threshold)) positives++;
    }
  }
  CHECK_RATE(lk_trials_fpir(trials, group, threshold), positives, non_mated);
  CHECK_RATE(lk_trials_fnir(trials, group, threshold, rank), negatives, mated);
  CHECK_RATE(lk_trials_identified(trials, group, rank), hits, mated);
}

Test(evaluate, rates_against_a_slow_count) {
  lk_trial all[MOST];
  for (uint64_t seed = 0; seed < 400; seed++) {
    random_state random = random_fork(41, seed);
    lk_trials trials = random_trials(&random, all);
    for (uint32_t group = 0; group <= GROUPS; group++)
      for (uint32_t rank = 1; rank <= 4; rank++)
        check_against_slow(&trials, group == GROUPS ? LK_GROUP_ALL : group, (float)random_below(&random, 60) / 8 - 2,
                           rank);
  }
}

/* At the threshold FPIR is low enough; at every lower score that a non-mated search has, it is not. */
Test(evaluate, thresholds_are_the_least) {
  lk_trial all[MOST];
  for (uint64_t seed = 0; seed < 1000; seed++) {
    random_state random = random_fork(43, seed);
    lk_trials trials = random_trials(&random, all);
    double wanted = random_uniform(&random);
    float threshold = threshold_for(&trials, wanted), greatest = -INFINITY;
    cr_assert_leq(lk_rate_value(lk_trials_fpir(&trials, LK_GROUP_ALL, threshold)), wanted);
    bool seen = false;
    for (uint32_t i = 0; i < trials.count; i++) {
      if (all[i].mated) continue;
      float score = all[i].top_score;
      seen = seen || score == threshold;
      greatest = fmaxf(greatest, score);
      if (score < threshold) cr_assert_gt(lk_rate_value(lk_trials_fpir(&trials, LK_GROUP_ALL, score)), wanted);
    }
    cr_assert(seen || threshold == nextafterf(greatest, INFINITY), "seed %d", (int)seed);
  }
}

static bool is_event(const lk_trial *t, uint32_t group, uint32_t rank, float score) {
  if (group != LK_GROUP_ALL && t->group != group) return false;
  return t->mated ? t->mate_rank > 0 && t->mate_rank <= rank && t->mate_score == score : t->top_score == score;
}

/* Every point has the rates of its threshold, and no score at which something changes is without a point. */
static void check_det(const lk_trials *trials, uint32_t group, uint32_t rank) {
  lk_det det;
  cr_assert_eq(lk_det_open(trials, group, rank, &det, NULL), LK_OK);
  uint32_t scores = 0, found = 0;
  for (int step = 1000; step >= -1000; step--) {
    float score = (float)step / 8;
    bool any = false;
    for (uint32_t i = 0; i < trials->count; i++) any = any || is_event(&trials->all[i], group, rank, score);
    scores += any;
    if (any && found < det.count && det.points[found].threshold == score) found++;
  }
  cr_assert(scores == det.count && found == scores);
  for (uint32_t i = 0; i < det.count; i++) {
    const lk_det_point *point = &det.points[i];
    lk_rate fpir = lk_trials_fpir(trials, group, point->threshold);
    lk_rate fnir = lk_trials_fnir(trials, group, point->threshold, rank);
    CHECK_RATE(point->fpir, fpir.count, fpir.of);
    CHECK_RATE(point->fnir, fnir.count, fnir.of);
  }
  lk_det_close(&det);
}

Test(evaluate, det_against_the_rates) {
  lk_trial all[MOST];
  for (uint64_t seed = 0; seed < 60; seed++) {
    random_state random = random_fork(47, seed);
    lk_trials trials = random_trials(&random, all);
    check_det(&trials, LK_GROUP_ALL, 1);
    check_det(&trials, LK_GROUP_ALL, 3);
    check_det(&trials, random_below(&random, GROUPS), 2);
  }
}

static bool is_close(uint64_t a, uint64_t b) {
  return (double)(a > b ? a : b) <= 1.05 * (double)(a > b ? b : a) + 1e-9;
}

/* The ends stay; what is left out is within 5 % of the point that is kept before it. */
Test(evaluate, det_is_thinned) {
  enum { TRIALS = 20000 };
  lk_trial *all = malloc(TRIALS * sizeof *all);
  random_state random = {53};
  for (int i = 0; i < TRIALS; i++)
    all[i] = (lk_trial){.mated = i % 2, .mate_rank = 1, .mate_score = (float)random_uniform(&random) + 0.5F * (i % 2)};
  for (int i = 0; i < TRIALS; i++) all[i].top_score = all[i].mate_score;
  lk_trials trials = {.all = all, .count = TRIALS};
  lk_det whole, thin;
  cr_assert_eq(lk_det_open(&trials, LK_GROUP_ALL, 1, &whole, NULL), LK_OK);
  cr_assert_eq(lk_det_open(&trials, LK_GROUP_ALL, 1, &thin, NULL), LK_OK);
  lk_det_thin(&thin);
  cr_assert_lt(thin.count, 500);
  cr_assert_eq(thin.points[0].threshold, whole.points[0].threshold);
  cr_assert_eq(thin.points[thin.count - 1].threshold, whole.points[whole.count - 1].threshold);
  for (uint32_t i = 0, kept = 0; i < whole.count; i++) {
    if (kept + 1 < thin.count && thin.points[kept + 1].threshold == whole.points[i].threshold) kept++;
    const lk_det_point *a = &thin.points[kept], *b = &whole.points[i];
    cr_assert(is_close(a->fpir.count, b->fpir.count) && is_close(a->fnir.count, b->fnir.count), "point %u", i);
  }
  lk_det_close(&whole);
  lk_det_close(&thin);
  lk_det_close(&thin);
  free(all);
}

static bool is_near(double a, double b) { return fabs(a - b) < 1e-12; }

/* 0.1, 0.2, 0.4: geometric mean 0.2; differences 0.1 + 0.3 + 0.2, over 2 x 0.7. */
Test(evaluate, spread_by_hand) {
  const lk_rate rates[] = {{1, 10}, {0, 0}, {20, 100}, {2, 5}};
  lk_spread s = lk_spread_of(rates, 4);
  cr_assert(s.groups == 3 && s.zeros == 0);
  cr_assert(is_near(s.max_min, 4) && is_near(s.max_geomean, 2) && is_near(s.gini, 0.6 / 1.4));
}

Test(evaluate, spread_with_zeros) {
  lk_spread s = lk_spread_of((const lk_rate[]){{0, 10}, {3, 10}}, 2);
  cr_assert(s.groups == 2 && s.zeros == 1 && isnan(s.max_min) && isnan(s.max_geomean) && is_near(s.gini, 1));
  s = lk_spread_of((const lk_rate[]){{0, 10}, {0, 20}}, 2);
  cr_assert(s.zeros == 2 && isnan(s.max_min) && isnan(s.max_geomean) && isnan(s.gini));
}

Test(evaluate, spread_of_equal_and_of_few_groups) {
  lk_spread s = lk_spread_of((const lk_rate[]){{1, 10}, {2, 20}, {3, 30}}, 3);
  cr_assert(is_near(s.max_min, 1) && is_near(s.max_geomean, 1) && is_near(s.gini, 0));
  s = lk_spread_of((const lk_rate[]){{1, 10}, {0, 0}}, 2);
  cr_assert(s.groups == 1 && isnan(s.max_min) && isnan(s.max_geomean) && isnan(s.gini));
  s = lk_spread_of(NULL, 0);
  cr_assert(s.groups == 0 && isnan(s.gini));
}

/* Gini as it is written: all ordered pairs, over twice the square of n and the mean, times n / (n - 1). */
Test(evaluate, spread_against_the_definition) {
  for (uint64_t seed = 0; seed < 200; seed++) {
    random_state random = random_fork(59, seed);
    uint32_t n = 2 + random_below(&random, 30);
    lk_rate rates[32];
    double x[32], mean = 0, pairs = 0, product = 1, most = 0, least = 1;
    for (uint32_t i = 0; i < n; i++) {
      rates[i] = (lk_rate){1 + random_below(&random, 500), 500};
      x[i] = (double)rates[i].count / 500;
      mean += x[i] / n;
      product *= pow(x[i], 1.0 / n);
      most = x[i] > most ? x[i] : most;
      least = x[i] < least ? x[i] : least;
    }
    for (uint32_t i = 0; i < n; i++)
      for (uint32_t j = 0; j < n; j++) pairs += fabs(x[i] - x[j]);
    lk_spread s = lk_spread_of(rates, n);
    cr_assert_float_eq(s.gini, (double)n / (n - 1) * pairs / (2.0 * n * n * mean), 1e-9);
    cr_assert_float_eq(s.max_min, most / least, 1e-9);
    cr_assert_float_eq(s.max_geomean, most / product, 1e-9);
  }
}
