/* What kernels/codes.c stores of rows and probes are bounds: each number against its own statement in arithmetic that
 * is wider than its own. The inputs leave one term alone to keep the statement true: in the theorem as a whole
 * (test_codes.c) the larger terms would hide the smaller. */
#include <criterion/criterion.h>
#include <float.h>
#include <string.h>

#include "kernels/codes.h"
#include "kernels/score.h"
#include "tests/support/random.h"

typedef long double real;
_Static_assert(LDBL_MANT_DIG >= 64, "wider than double");

static real length_of(const real *v, uint32_t dim) {
  real sum = 0;
  for (uint32_t i = 0; i < dim; i++) sum += v[i] * v[i];
  return sqrtl(sum);
}

/* ---- the rotation once more, in wider arithmetic ---- */

static void flip_signs(real *v, uint32_t n, uint64_t seed) {
  for (uint32_t i = 0; i < n; i++) {
    random_state random = {(seed + i) * UINT64_C(0x9e3779b97f4a7c15)};
    if (random_bits(&random) & 1) v[i] = -v[i];
  }
}

static void transform(real *v, uint32_t n) {
  for (uint32_t half = 1; half < n; half *= 2)
    for (uint32_t i = 0; i < n; i++) {
      if (i & half) continue;
      real a = v[i], b = v[i + half];
      v[i] = a + b;
      v[i + half] = a - b;
    }
  for (uint32_t i = 0; i < n; i++) v[i] /= sqrtl(n);
}

static void rotate(real *v, uint32_t dim) {
  uint32_t block = 1;
  while (block * 2 <= dim) block *= 2;
  flip_signs(v, block, 0);
  transform(v, block);
  if (block == dim) return;
  flip_signs(v + dim - block, block, LK_DIM_MAX);
  transform(v + dim - block, block);
}

/* Undoes it, at powers of two. */
static void rotate_back(real *v, uint32_t dim) {
  transform(v, dim);
  flip_signs(v, dim, 0);
}

Test(codes_bound, the_rotation_here_is_the_one_there) {
  random_state random = {1};
  for (uint32_t dim = 1; dim < 200; dim += 7) {
    double v[200];
    real w[200];
    for (uint32_t i = 0; i < dim; i++) w[i] = v[i] = random_normal(&random);
    lk_rotate(v, dim);
    rotate(w, dim);
    for (uint32_t i = 0; i < dim; i++) cr_assert_leq(fabsl(v[i] - w[i]), 1e-13L, "dim %u element %u", dim, i);
  }
}

/* ---- what is stored of a row ---- */

static int8_t code[LK_DIM_MAX];
static float rotated[LK_DIM_MAX], zero[LK_DIM_MAX];
static double work[LK_DIM_MAX];
static real exact[LK_DIM_MAX];

/* The coded vector, rotated, into `exact`; returns the length of what its code loses. */
static real exact_loss(const float *v, double reciprocal, uint32_t dim, const float *mean, double scale) {
  for (uint32_t i = 0; i < dim; i++) exact[i] = (real)v[i] * reciprocal - (real)mean[i];
  rotate(exact, dim);
  real sum = 0;
  for (uint32_t i = 0; i < dim; i++) {
    real difference = exact[i] - (real)scale * code[i];
    sum += difference * difference;
  }
  return sqrtl(sum);
}

static void check_bounds(const float *x, double reciprocal, uint32_t dim, const float *mean, lk_tile tile,
                         lk_row_bound bound) {
  real loss = exact_loss(x, reciprocal, dim, mean, tile.scale), norm = length_of(exact, dim);
  cr_assert(bound.residual >= loss && tile.residual >= loss, "dim %u: %.17Lg is lost, %.9g are stored", dim, loss,
            (double)bound.residual);
  cr_assert(bound.norm >= norm && tile.norm_max >= norm, "dim %u: a length of %.20Lg, %.9g stored", dim, norm,
            (double)bound.norm);
}

static void check_row(const float *x, uint32_t dim, const float *mean) {
  lk_tile tile;
  lk_row_bound bound;
  lk_codes_tile(x, NULL, 1, dim, mean, work, code, &tile, &bound);
  check_bounds(x, 1, dim, mean, tile, bound);
  cr_assert_leq(tile.norm_min * (1 - (real)LK_SQUARES_ERROR), length_of(exact, dim), "dim %u", dim);
}

Test(codes_bound, lengths_of_a_row) {
  random_state random = {10};
  for (int i = 0; i < 1000; i++) {
    uint32_t dim = random_log_uniform(&random, 1, 300);
    float x[300], mean[300];
    for (uint32_t j = 0; j < dim; j++) x[j] = (float)random_normal(&random), mean[j] = (float)random_normal(&random);
    check_row(x, dim, mean);
  }
}

/* One element: all its rotated elements have one size, which is the tile's largest, and little but the rounding of the
 * rotation and of the scale is lost. */
Test(codes_bound, a_row_loses_what_the_rotation_rounds) {
  static const uint32_t dims[] = {8, 32, 77, 128, 512};
  random_state random = {2};
  for (size_t d = 0; d < sizeof dims / sizeof dims[0]; d++)
    for (int i = 0; i < 3000; i++) {
      float x[512] = {0};
      x[random_below(&random, dims[d])] = (float)random_normal(&random);
      check_row(x, dims[d], zero);
    }
}

/* The code loses nothing of what the subtraction left. */
Test(codes_bound, a_row_loses_what_its_mean_adds) {
  for (int sign = -1; sign <= 1; sign += 2) {
    float x = 127, mean = (float)sign * 0x1p-50f;
    check_row(&x, 1, &mean);
  }
}

/* ---- rows under cosine ---- */

/* The mean is the row as a vector of length 1, rounded to floats: little is left, and its last places are those that
 * the product with r(x) has lost. */
Test(codes_bound, a_row_of_length_one_loses_what_its_product_rounds) {
  random_state random = {20};
  for (int i = 0; i < 30000; i++) {
    uint32_t dim = random_log_uniform(&random, 2, 40);
    float x[40], mean[40];
    for (uint32_t j = 0; j < dim; j++) x[j] = (float)random_normal(&random);
    double reciprocal = lk_score_reciprocal(LK_COSINE, x, dim);
    for (uint32_t j = 0; j < dim; j++) mean[j] = (float)(x[j] * reciprocal);
    lk_tile tile;
    lk_row_bound bound;
    lk_codes_tile(x, &reciprocal, 1, dim, mean, work, code, &tile, &bound);
    check_bounds(x, reciprocal, dim, mean, tile, bound);
  }
}

/* Rows that were normalised, to float or to less, and coded as they are. */
Test(codes_bound, a_row_that_is_not_quite_of_length_one) {
  random_state random = {21};
  for (int i = 0; i < 30000; i++) {
    uint32_t dim = random_log_uniform(&random, 1, 40);
    float x[40], mean[40] = {0};
    for (uint32_t j = 0; j < dim; j++) x[j] = (float)random_normal(&random);
    double reciprocal = lk_score_reciprocal(LK_COSINE, x, dim), off = ldexp(random_normal(&random), -10 - i % 3 * 8);
    for (uint32_t j = 0; j < dim; j++) x[j] = (float)(x[j] * reciprocal * (1 + off));
    for (uint32_t j = 0; j < dim && i % 2 == 1; j++) mean[j] = x[j] * 0.75f;
    lk_tile tile;
    lk_row_bound bound;
    lk_codes_tile(x, NULL, 1, dim, mean, work, code, &tile, &bound);
    reciprocal = lk_score_reciprocal(LK_COSINE, x, dim);
    lk_codes_widen(&reciprocal, 1, &tile, &bound);
    check_bounds(x, reciprocal, dim, mean, tile, bound);
  }
}

/* A tile's numbers hold for all rows that fit it once it is widened: a row that was an outlier may be one of them. */
Test(codes_bound, a_widened_tile) {
  enum { WIDE = 6, COUNT = LK_TILE_ROWS };
  static float x[COUNT * WIDE];
  static double reciprocals[COUNT], tile_work[COUNT * WIDE];
  static int8_t codes[COUNT * WIDE];
  lk_row_bound bounds[COUNT], before[COUNT];
  random_state random = {22};
  for (int i = 0; i < 300; i++) {
    for (int r = 0; r < COUNT; r++) {
      double squares = 0, off = ldexp(random_normal(&random), -10);
      for (int j = 0; j < WIDE; j++) x[r * WIDE + j] = (float)random_normal(&random);
      for (int j = 0; j < WIDE; j++) squares += (double)x[r * WIDE + j] * x[r * WIDE + j];
      for (int j = 0; j < WIDE; j++) x[r * WIDE + j] = (float)(x[r * WIDE + j] / sqrt(squares) * (1 + off));
      reciprocals[r] = lk_score_reciprocal(LK_COSINE, x + r * WIDE, WIDE);
    }
    lk_tile tile;
    lk_codes_tile(x, NULL, COUNT, WIDE, zero, tile_work, codes, &tile, bounds);
    memcpy(before, bounds, sizeof bounds);
    uint32_t outlier = random_below(&random, COUNT);
    bounds[outlier].residual = nextafterf(tile.residual, INFINITY);
    bounds[outlier].norm = before[outlier].norm = 2;
    lk_codes_widen(reciprocals, COUNT, &tile, bounds);
    for (int r = 0; r < COUNT; r++) {
      cr_assert(bounds[r].residual > before[r].residual && bounds[r].norm > before[r].norm);
      cr_assert(!lk_row_fits(&tile, &bounds[r]) || bounds[r].norm <= tile.norm_max, "row %d", r);
      cr_assert(r == (int)outlier || lk_row_fits(&tile, &bounds[r]), "row %d is an outlier now", r);
    }
  }
}

/* ---- what is stored of a probe ---- */

static void check_probe(lk_metric metric, const float *q, uint32_t dim, const float *mean, int limit) {
  lk_probe_bound bound;
  double reciprocal = lk_score_reciprocal(metric, q, dim);
  lk_codes_probe(metric, q, reciprocal, dim, mean, limit, work, code, rotated, &bound);
  real loss = exact_loss(q, reciprocal, dim, metric == LK_L2 ? mean : zero, bound.scale), norm = length_of(exact, dim);
  int64_t squares = 0;
  real product = 0;
  for (uint32_t i = 0; i < dim; i++) squares += code[i] * code[i], product += (real)q[i] * reciprocal * mean[i];
  cr_assert_geq(bound.residual, loss, "dim %u", dim);
  cr_assert_geq(bound.norm, norm, "dim %u", dim);
  cr_assert_geq(bound.code_norm, (real)bound.scale * sqrtl(squares), "dim %u", dim);
  real offset = metric == LK_L2 ? -norm * norm : product;
  cr_assert_geq(bound.offset, offset, "dim %u", dim);
  cr_assert_leq((real)bound.offset - bound.offset_slack, offset, "dim %u", dim);
}

Test(codes_bound, lengths_of_a_probe) {
  random_state random = {3};
  for (int i = 0; i < 3000; i++) {
    uint32_t dim = random_log_uniform(&random, 1, 300);
    float q[300], mean[300];
    for (uint32_t j = 0; j < dim; j++) q[j] = (float)random_normal(&random), mean[j] = (float)random_normal(&random);
    check_probe((lk_metric)(i % 3), q, dim, mean, i % 2 == 0 ? LK_CODE_MAX : 64);
  }
}

Test(codes_bound, a_probe_loses_what_its_mean_adds) {
  float q = 127;
  for (int sign = -1; sign <= 1; sign += 2) {
    float mean = (float)sign * 0x1p-50f;
    check_probe(LK_L2, &q, 1, &mean, LK_CODE_MAX);
  }
}

/* The first square is so large that each of the others, a little over half its last place in sum, is rounded away. */
Test(codes_bound, a_probe_loses_what_a_sum_of_squares_drops) {
  enum { DIM = 4096 };
  static real p[DIM];
  static float q[DIM];
  random_state random = {4};
  for (int i = 0; i < DIM; i++) p[i] = sqrtl(0.55L * 0x1p-55L) * (random_one_in(&random, 2) ? 1 : -1);
  p[0] = 0.503L;      /* just below half the scale: its code is 0 */
  p[DIM - 1] = 1.01L; /* the scale, with codes of -1 .. 1 */
  rotate_back(p, DIM);
  for (int i = 0; i < DIM; i++) q[i] = (float)p[i];
  check_probe(LK_IP, q, DIM, zero, 1);
}

/* q.m: a large term, thousands that it absorbs, and the large one again with the other sign. */
Test(codes_bound, an_offset_of_cancelled_terms) {
  enum { DIM = 4096 };
  static float q[DIM], mean[DIM];
  for (int sign = -1; sign <= 1; sign += 2) {
    for (int i = 0; i < DIM; i++) q[i] = 0.7f, mean[i] = 0.7f * (float)sign;
    q[0] = 0x1.8p26f, q[DIM - 1] = -q[0];
    mean[0] = mean[DIM - 1] = 0x1p26f;
    check_probe(LK_IP, q, DIM, mean, LK_CODE_MAX);
  }
}
