/* The functions of kernels/bound.h, each against its own statement in arithmetic that is wider than its own. The inputs
 * leave one term alone to keep the statement true: in the theorem as a whole (test_codes.c) the larger terms would hide
 * the smaller. */
#include <criterion/criterion.h>
#include <float.h>

#include "kernels/bound.h"
#include "kernels/candidate_lists.h"
#include "kernels/cpu/cpu.h"
#include "kernels/scan_order.h"
#include "tests/support/near_mean.h"
#include "tests/support/random.h"
#include "tests/support/round_hits.h"

typedef long double real;
_Static_assert(LDBL_MANT_DIG >= 64, "wider than double");

static int8_t code[LK_DIM_MAX];
static float zero[LK_DIM_MAX];
static double work[LK_DIM_MAX];

static lk_probe_bound bound_probe(lk_metric metric, const float *q, uint32_t dim, const float *mean) {
  static float rotated[LK_DIM_MAX];
  lk_probe_bound bound;
  lk_codes_probe(metric, q, lk_score_reciprocal(metric, q, dim), dim, mean, LK_CODE_MAX, work, code, rotated, &bound);
  return bound;
}

/* ---- from a score to the product that it needs ---- */

/* Sums that round to the bar, down to the middle between it and the float below. */
Test(bound, a_bar_stands_for_what_rounds_up_to_it) {
  random_state random = {5};
  for (int i = 0; i < 10000; i++) {
    float bar = i < 4 ? (float)(i - 2) : (float)ldexp(random_normal(&random), (int)random_below(&random, 300) - 160);
    double middle = ((double)bar + nextafterf(bar, -INFINITY)) / 2;
    double sums[] = {middle, nextafter(middle, INFINITY), nextafter(middle, -INFINITY), bar};
    for (int s = 0; s < 4; s++)
      for (int metric = LK_COSINE; metric <= LK_L2; metric++)
        if (lk_score_round(sums[s]) >= bar)
          cr_assert_leq(lk_bound_bar((lk_metric)metric, bar), sums[s], "%a under %a", sums[s], (double)bar);
  }
}

/* In each lane a large term absorbs the small ones and is then cancelled: the score is 0, the product far below. The
 * mean is 0, so there is no slack of an offset. */
Test(bound, a_score_that_its_lanes_round_up) {
  enum { DIM = 4096 };
  static float q[DIM], x[DIM];
  real product = 0, q_squares = 0, x_squares = 0;
  for (int i = 0; i < DIM; i++) {
    q[i] = i < LK_LANES ? 0x1.8p26f : i >= DIM - LK_LANES ? -0x1.8p26f : -0.7f;
    x[i] = i < LK_LANES || i >= DIM - LK_LANES ? 0x1p26f : 0.7f;
    product += (real)q[i] * x[i];
    q_squares += (real)q[i] * q[i], x_squares += (real)x[i] * x[i];
  }
  for (lk_metric metric = LK_COSINE; metric <= LK_IP; metric++) {
    double reciprocal = lk_score_reciprocal(metric, x, DIM);
    float score = lk_score(metric, q, x, DIM);
    cr_assert(score == 0 && product < -1900);
    lk_probe_bound probe = bound_probe(metric, q, DIM, zero);
    lk_tile tile;
    lk_row_bound row;
    lk_codes_tile(x, metric == LK_COSINE ? &reciprocal : NULL, 1, DIM, zero, work, code, &tile, &row);
    real true_product = metric == LK_COSINE ? product / sqrtl(q_squares * x_squares) : product;
    cr_assert_leq(lk_bound_product(metric, &probe, tile.norm_min, tile.norm_max, lk_bound_bar(metric, score)),
                  true_product, "metric %d", (int)metric);
  }
}

/* The header rounds its differences; where the probe has no length nothing else is uncertain. Under l2 a row may be
 * shorter than stored, by as much as a sum of squares rounds. */
Test(bound, a_product_is_rounded_down) {
  random_state random = {6};
  for (int i = 0; i < 10000; i++) {
    double bar = (float)random_normal(&random);
    double stored = i % 2 == 0 ? 0 : random_uniform(&random);
    lk_probe_bound probe = {.offset = random_normal(&random) * exp2((int)random_below(&random, 16) - 8)};
    real norm = stored * (1 - (real)LK_SQUARES_ERROR), least = (real)bar - probe.offset;
    cr_assert_leq(lk_bound_product(LK_IP, &probe, stored, stored, bar), least);
    cr_assert_leq(lk_bound_product(LK_L2, &probe, stored, stored, bar), (least + norm * norm) / 2);
  }
}

/* ---- from the product to the threshold ---- */

/* What is needed and what may be lost nearly cancel: their rounding is worth many units. */
Test(bound, a_threshold_is_rounded_down) {
  random_state random = {7};
  for (int i = 0; i < 10000; i++) {
    lk_tile tile = {.scale = (float)(1 + random_uniform(&random)),
                    .residual = (float)(1 + random_uniform(&random)),
                    .norm_max = (float)(1 + random_uniform(&random))};
    lk_probe_bound probe = {.norm = 16,
                            .scale = ldexp(1 + random_uniform(&random), -54),
                            .code_norm = 1 + random_uniform(&random),
                            .residual = 1 + random_uniform(&random)};
    real loss = (real)probe.code_norm * tile.residual + (real)probe.residual * tile.norm_max;
    probe.offset = -(double)(loss * (1 + LK_ARITHMETIC_ERROR) + 0x1p-30L * random_uniform(&random));
    real needed = lk_bound_product(LK_IP, &probe, 0, tile.norm_max, lk_bound_bar(LK_IP, 0));
    real units = (needed - loss) / ((real)probe.scale * tile.scale);
    cr_assert(fabsl(units) < INT32_MAX);
    cr_assert_leq(lk_bound_threshold(LK_IP, &probe, &tile, 0), ceill(units + 0.05L));
  }
}

Test(bound, a_threshold_beyond_int32_saturates) {
  lk_tile tile = {.scale = 1, .norm_max = 1};
  lk_probe_bound probe = {.scale = 0x1p-54, .norm = 4, .offset = -1};
  cr_assert_eq(lk_bound_threshold(LK_IP, &probe, &tile, 0), INT32_MAX);
  probe.offset = 1;
  cr_assert_eq(lk_bound_threshold(LK_IP, &probe, &tile, 0), INT32_MIN);
}

/* A kernel's sums are 128 * (sum of the probe's codes) above the product, and so is their threshold: where that takes
 * it out of int32, every row passes. */
static void check_shifted(const char *name, int limit, float q) {
  lk_error error;
  lk_backend *backend;
  if (lk_cpu_open(name, 1, &backend, &error) == LK_ENODEVICE) return;
  float x = q, mean = 0, residual = (float)(0x1p31 / limit - 64);
  int8_t row_code = LK_CODE_MAX;
  uint64_t number = 0;
  lk_tile tile = {.scale = 1, .residual = residual, .norm_max = residual};
  lk_row_bound bound = {.residual = residual, .norm = residual};
  lk_block block = {
      .rows = 1, .mean = &mean, .exact = &x, .codes = &row_code, .tiles = &tile, .bounds = &bound, .numbers = &number};
  lk_shape shape = {.metric = LK_IP, .dim = 1};
  cr_assert_eq(round_hits(backend, shape, &block, &q, 0, false), 1, "%s, probe %g", name, (double)q);
  backend->ops->close(backend);
}

Test(bound, a_shifted_threshold_saturates) {
  static const char *const names[] = {"cpu:portable", "cpu:avx2", "cpu:avx512vnni", "cpu:amx"};
  for (int i = 0; i < 4; i++)
    for (float q = -1; q <= 1; q += 2) {
      check_shifted(names[i], LK_CODE_MAX, q);
      check_shifted(names[i], 64, q);
    }
}

/* ---- rescreening ---- */

/* Whether a row that needs exactly this product, or just less, passes under the bar 0. */
static bool reaches_with(uint32_t dim, double norm, const lk_row_bound *row, float scale, float dot, double product) {
  lk_probe_bound probe = {.norm = norm, .offset = -product};
  lk_tile tile = {.scale = scale};
  return lk_bound_reaches(LK_IP, dim, &probe, &tile, row, 0, dot);
}

/* The float product of a large term that absorbs thousands and is then cancelled. */
Test(bound, a_float_product_that_absorbs) {
  enum { DIM = 4096 };
  float dot = 0;
  real product = 0, squares = 0;
  for (int i = 0; i < DIM; i++) {
    float p = i == 0 ? 0x1p17f : i == DIM - 1 ? -0x1p17f : 0.0038f;
    dot += p * LK_CODE_MAX;
    product += (real)p * LK_CODE_MAX;
    squares += (real)p * p;
  }
  cr_assert(dot == 0 && product > 1900);
  lk_row_bound row = {.norm = LK_CODE_MAX * 64.0f};
  cr_assert(reaches_with(DIM, (double)sqrtl(squares) * (1 + LK_SQUARES_ERROR), &row, 1, dot, (double)product));
}

/* One element, rounded to float before the product and after it. */
Test(bound, a_float_probe_is_rounded) {
  random_state random = {8};
  for (int i = 0; i < 100000; i++) {
    double p = 1 + random_uniform(&random);
    int c = 1 + (int)random_below(&random, LK_CODE_MAX);
    lk_row_bound row = {.norm = (float)c};
    cr_assert(reaches_with(1, p, &row, 1, (float)p * (float)c, p * c), "%.17g * %d", p, c);
  }
}

Test(bound, a_float_probe_that_is_too_small) {
  double p = 0.9 * 0x1p-150;
  lk_row_bound row = {.norm = LK_CODE_MAX};
  cr_assert_eq((float)p, 0);
  cr_assert(reaches_with(1, p, &row, 1, (float)p * LK_CODE_MAX, p * LK_CODE_MAX));
}

/* The row's length is rounded up to float, so it counts for less. The probe is the mean: its product is 0. */
Test(bound, a_row_may_be_shorter_than_stored) {
  float q = -0x1p-30f, x = 1;
  lk_tile tile;
  lk_row_bound row;
  lk_probe_bound probe = bound_probe(LK_L2, &q, 1, &q);
  lk_codes_tile(&x, NULL, 1, 1, &q, work, code, &tile, &row);
  cr_assert_gt(row.norm, 1);
  cr_assert(lk_bound_reaches(LK_L2, 1, &probe, &tile, &row, lk_score(LK_L2, &q, &x, 1), 0));
}

/* Sets the offset so that a row needs, under the bar 0, the last double that is not more than `most`. */
static void need_at_most(lk_probe_bound *probe, double norm_max, real most) {
  double bar = lk_bound_bar(LK_IP, 0);
  for (int step = 0; step < 5; step++)
    probe->offset -= (double)(most - (real)lk_bound_product(LK_IP, probe, 0, norm_max, bar));
  while (lk_bound_product(LK_IP, probe, 0, norm_max, bar) > most) probe->offset = nextafter(probe->offset, INFINITY);
}

Test(bound, rescreening_rounds_outward) {
  random_state random = {9};
  for (int i = 0; i < 10000; i++) {
    lk_row_bound row = {.residual = (float)random_uniform(&random), .norm = (float)(1 + random_uniform(&random))};
    lk_probe_bound probe = {.norm = 1 + random_uniform(&random)};
    lk_tile tile = {.scale = (float)(0.5 + random_uniform(&random))};
    float dot = (float)random_normal(&random);
    uint32_t dim = random_log_uniform(&random, 1, LK_DIM_MAX);
    real loss = (real)probe.norm * (row.residual + (dim + 8) * 0x1p-24L * ((real)row.norm + row.residual));
    need_at_most(&probe, row.norm, (real)tile.scale * dot + loss + tile.scale * 0x1p-120L);
    cr_assert(lk_bound_reaches(LK_IP, dim, &probe, &tile, &row, 0, dot), "case %d", i);
  }
}

/* The ends of the interval in which a score may lie, rounded as a score is; the offset and the product nearly cancel,
 * or there is no loss. */
Test(bound, a_score_is_held_outward) {
  random_state random = {19};
  for (int i = 0; i < 20000; i++) {
    lk_row_bound row = {.residual = (float)random_uniform(&random), .norm = (float)(1 + random_uniform(&random))};
    lk_probe_bound probe = {.norm = i % 2 == 0 ? 0 : 1 + random_uniform(&random)};
    lk_tile tile = {.scale = (float)(0.5 + random_uniform(&random))};
    float dot = (float)random_normal(&random);
    uint32_t dim = random_log_uniform(&random, 1, LK_DIM_MAX);
    real product = (real)tile.scale * dot;
    real loss = (real)probe.norm * (row.residual + (dim + 8) * 0x1p-24L * ((real)row.norm + row.residual));
    probe.offset = -(double)product + 0x1p-50 * random_normal(&random);
    probe.offset_slack = (float)(0x1p-60 * random_uniform(&random));
    float most = (float)(probe.offset + product + loss);
    float least = (float)((real)probe.offset - probe.offset_slack + product - loss);
    cr_assert(lk_bound_allows(LK_IP, dim, &probe, &tile, &row, most, dot), "case %d: %a", i, (double)most);
    cr_assert(lk_bound_allows(LK_IP, dim, &probe, &tile, &row, least, dot), "case %d: %a", i, (double)least);
    most = (float)(probe.offset + product + loss + (real)LK_COSINE_ERROR);
    least = (float)((real)probe.offset - probe.offset_slack + product - loss - (real)LK_COSINE_ERROR);
    cr_assert(lk_bound_allows(LK_COSINE, dim, &probe, &tile, &row, most, dot), "case %d: %a", i, (double)most);
    cr_assert(lk_bound_allows(LK_COSINE, dim, &probe, &tile, &row, least, dot), "case %d: %a", i, (double)least);
    real shorter = (real)row.norm * (1 - 0x1p-22L) * (1 - (real)LK_SQUARES_ERROR);
    most = (float)(probe.offset + 2 * (product + loss) - shorter * shorter);
    least = (float)((real)probe.offset - probe.offset_slack + 2 * (product - loss) - (real)row.norm * row.norm);
    cr_assert(lk_bound_allows(LK_L2, dim, &probe, &tile, &row, most, dot), "case %d: %a", i, (double)most);
    cr_assert(lk_bound_allows(LK_L2, dim, &probe, &tile, &row, least, dot), "case %d: %a", i, (double)least);
  }
}

/* A probe along the longest row: no product is larger, but this one is attained. */
Test(bound, a_threshold_that_the_longest_row_attains) {
  random_state random = {11};
  for (int i = 0; i < 10000; i++) {
    lk_tile tile = {.scale = 1, .norm_max = (float)(1 + random_uniform(&random))};
    lk_probe_bound probe = {.scale = 1, .norm = 1 + random_uniform(&random)};
    need_at_most(&probe, tile.norm_max, (real)probe.norm * tile.norm_max);
    cr_assert_lt(lk_bound_threshold(LK_IP, &probe, &tile, 0), INT32_MAX);
  }
}

/* ---- the float scan ---- */

/* The same for the float scan. */
static bool passes_in_float(uint32_t terms, double probe_norm, double norm, float product, double exact_product) {
  lk_probe_bound probe = {.norm = probe_norm, .offset = -exact_product};
  return product >= lk_bound_float(LK_IP, terms, &probe, norm, norm, 0);
}

Test(bound, a_float_scan_product_that_absorbs) {
  enum { TERMS = 4096 };
  float product = 0;
  real sum = 0, squares = 0;
  for (int i = 0; i < TERMS; i++) {
    float p = i == 0 ? 0x1p17f : i == TERMS - 1 ? -0x1p17f : 0.0038f;
    product += p * 127;
    sum += (real)p * 127;
    squares += (real)p * p;
  }
  cr_assert(product == 0 && sum > 1900);
  cr_assert(passes_in_float(TERMS, (double)sqrtl(squares) * (1 + LK_SQUARES_ERROR), 127.0 * 64, product, (double)sum));
}

/* An element that loses nearly half its last place to float. */
static double just_below_the_middle(random_state *random, float *lower) {
  *lower = 1 + (float)random_below(random, 4096) * 0x1p-23f;
  return *lower + 0.999 * 0x1p-24;
}

/* Elements are rounded to float, then their product, then the sums of 16 lanes, and of many cases some lose nearly all
 * that they may. */
Test(bound, a_float_scan_product_is_rounded) {
  enum { LANES = 16 };
  random_state random = {12};
  for (int i = 0; i < 100000; i++) {
    float sum[LANES], p, y;
    real product = 0, p_squares = 0, y_squares = 0;
    for (int lane = 0; lane < LANES; lane++) {
      double exact_p = just_below_the_middle(&random, &p), exact_y = just_below_the_middle(&random, &y);
      sum[lane] = p * y;
      product += (real)exact_p * exact_y;
      p_squares += (real)exact_p * exact_p;
      y_squares += (real)exact_y * exact_y;
    }
    for (int width = LANES / 2; width > 0; width /= 2)
      for (int lane = 0; lane < width; lane++) sum[lane] += sum[lane + width];
    cr_assert(passes_in_float(1, (double)sqrtl(p_squares), (double)sqrtl(y_squares), sum[0], (double)product),
              "case %d", i);
  }
}

/* On a device that takes subnormal numbers for zero. */
Test(bound, a_float_scan_product_without_subnormal_numbers) {
  cr_assert(passes_in_float(1, 0x1p-127, 0x1p40, 0, 0x1p-87), "one that goes in");
  cr_assert(passes_in_float(4096 / 16, 0x1p-57, 0x1p-58, 0, 4096 * 0x1p-127), "those that come out");
}

/* A row that does not fit its tile is longer than the tile says, and so is what its float product may lose. */
Test(bound, a_float_scan_product_of_an_outlier) {
  enum { DIM = 512 };
  lk_error error;
  lk_backend *backend;
  random_state random = {14};
  cr_assert_eq(lk_cpu_open("cpu", 1, &backend, &error), LK_OK);
  for (int i = 0; i < 200; i++) {
    float q[DIM], x[DIM];
    for (int j = 0; j < DIM; j++) q[j] = (float)random_normal(&random), x[j] = (float)random_normal(&random);
    uint64_t number = 0;
    lk_tile tile;
    lk_row_bound bound;
    lk_codes_tile(x, NULL, 1, DIM, zero, work, code, &tile, &bound);
    tile.residual = tile.norm_min = tile.norm_max = 0;
    lk_block block = {
        .rows = 1, .mean = zero, .exact = x, .codes = code, .tiles = &tile, .bounds = &bound, .numbers = &number};
    lk_shape shape = {.metric = LK_IP, .dim = DIM};
    cr_assert_eq(round_hits(backend, shape, &block, q, lk_score(LK_IP, q, x, DIM), true), 1, "case %d", i);
  }
  backend->ops->close(backend);
}

Test(bound, a_float_scan_near_the_mean) {
  lk_error error;
  lk_backend *backend;
  cr_assert_eq(lk_cpu_open("cpu", 1, &backend, &error), LK_OK);
  near_mean_check(backend);
  backend->ops->close(backend);
}

/* The float is below what exact arithmetic gives, also where what is needed and what may be lost nearly cancel. */
Test(bound, a_float_scan_bound_is_rounded_down) {
  random_state random = {13};
  for (int i = 0; i < 20000; i++) {
    uint32_t terms = random_log_uniform(&random, 1, 1024);
    lk_probe_bound probe = {.norm = 1 + random_uniform(&random)};
    double norm = 1 + random_uniform(&random), bar = lk_bound_bar(LK_IP, 0);
    real loss = (terms + 8) * 0x1p-24L * probe.norm * norm + 0x1p-119L * (probe.norm + norm) + 0x1p-112L;
    need_at_most(&probe, norm, i % 2 == 0 ? loss * (1 + LK_ARITHMETIC_ERROR) : loss * random_uniform(&random) * 9);
    real exact_bound = (real)lk_bound_product(LK_IP, &probe, norm, norm, bar) - loss;
    cr_assert_leq(lk_bound_float(LK_IP, terms, &probe, norm, norm, 0), exact_bound);
  }
}
