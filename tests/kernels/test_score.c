#include <criterion/criterion.h>
#include <string.h>

#include "kernels/cpu/isa.h"
#include "kernels/half.h"
#include "kernels/score.h"
#include "tests/support/random.h"

static uint32_t bits_of(float v) {
  uint32_t bits;
  memcpy(&bits, &v, sizeof bits);
  return bits;
}

/* The definition once more, written differently: lane by lane, and the tree by recursion. */
static double lane_sum(lk_metric metric, const float *q, const float *x, uint32_t dim, uint32_t lane) {
  double sum = 0;
  for (uint32_t i = lane; i < dim; i += 32) {
    double d = (double)q[i] - (double)x[i];
    sum = metric == LK_L2 ? fma(d, d, sum) : sum + (double)q[i] * (double)x[i];
  }
  return sum;
}

static double tree_sum(lk_metric metric, const float *q, const float *x, uint32_t dim, uint32_t lane, uint32_t step) {
  if (step == 32) return lane_sum(metric, q, x, dim, lane);
  return tree_sum(metric, q, x, dim, lane, 2 * step) + tree_sum(metric, q, x, dim, lane + step, 2 * step);
}

static double plain_reciprocal(const float *v, uint32_t dim) { return 1 / sqrt(tree_sum(LK_IP, v, v, dim, 0, 1)); }

static float plain_score(lk_metric metric, const float *q, const float *x, uint32_t dim) {
  double sum = tree_sum(metric, q, x, dim, 0, 1);
  if (metric == LK_COSINE) sum *= plain_reciprocal(q, dim) * plain_reciprocal(x, dim);
  float score = (float)(metric == LK_L2 ? -sum : sum);
  return score == 0 ? 0.0f : score;
}

static void fill(random_state *random, float *v, uint32_t dim) {
  for (uint32_t i = 0; i < dim; i++) v[i] = (float)ldexp(random_normal(random), (int)random_below(random, 60) - 30);
}

static void check_everywhere(const float *q, const float *x, uint32_t dim) {
  static const char *const names[] = {"portable", "avx2"};
  for (int m = LK_COSINE; m <= LK_L2; m++) {
    uint32_t want = bits_of(plain_score((lk_metric)m, q, x, dim));
    double reciprocals = m == LK_COSINE ? plain_reciprocal(q, dim) * plain_reciprocal(x, dim) : 1;
    cr_assert_eq(bits_of(lk_score((lk_metric)m, q, x, dim)), want, "metric %d dim %u", m, dim);
    for (size_t n = 0; n < sizeof names / sizeof names[0]; n++) {
      const lk_isa *isa = lk_isa_find(names[n]);
      if (isa != NULL)
        cr_assert_eq(bits_of(isa->score((lk_metric)m, q, x, dim, reciprocals)), want, "%s: metric %d dim %u", names[n],
                     m, dim);
    }
  }
}

Test(score, every_instruction_set_gives_the_same_bits) {
  random_state random = {3};
  static float q[LK_DIM_MAX], x[LK_DIM_MAX];
  for (uint32_t dim = 1; dim <= LK_DIM_MAX; dim += 1 + dim / 50) {
    fill(&random, q, dim);
    fill(&random, x, dim);
    check_everywhere(q, x, dim);
  }
}

Test(score, subnormal_elements_and_sums) {
  random_state random = {4};
  float q[77], x[77];
  for (int i = 0; i < 77; i++) {
    q[i] = (float)(random_normal(&random) * 0x1p-140);
    x[i] = (float)(random_normal(&random) * 0x1p-3);
  }
  check_everywhere(q, x, 77);
}

Test(score, never_minus_zero) {
  float q[2] = {0, -1}, x[2] = {-1, 0};
  for (int m = LK_COSINE; m <= LK_IP; m++) cr_assert_eq(bits_of(lk_score((lk_metric)m, q, x, 2)), 0);
  cr_assert_eq(bits_of(lk_score(LK_L2, q, q, 2)), 0);
  check_everywhere(q, x, 2);
  float least[1] = {0x1p-149f}, negative[1] = {-0x1p-149f};
  cr_assert_eq(bits_of(lk_score(LK_IP, least, negative, 1)), 0, "a sum that rounds to minus zero");
  check_everywhere(least, negative, 1);
}

/* Vectors of one direction, of all lengths that a gallery takes: exactly 1. Others never more, however near. */
static void check_ones(const float *x, uint32_t dim, random_state *random) {
  static float near[LK_DIM_MAX], longer[LK_DIM_MAX];
  cr_assert_eq(bits_of(lk_score(LK_COSINE, x, x, dim)), bits_of(1), "dim %u: %a", dim, lk_score(LK_COSINE, x, x, dim));
  for (uint32_t i = 0; i < dim; i++) {
    longer[i] = x[i] * 0x1p7f;
    near[i] = random_one_in(random, 2) ? x[i] : nextafterf(x[i], random_one_in(random, 2) ? INFINITY : -INFINITY);
  }
  cr_assert_eq(bits_of(lk_score(LK_COSINE, x, longer, dim)), bits_of(1), "dim %u", dim);
  float score = lk_score(LK_COSINE, near, x, dim);
  cr_assert(score <= 1 && score >= 0.99999994f, "dim %u: %a", dim, (double)score);
}

Test(score, equal_vectors_score_exactly_one) {
  random_state random = {6};
  static float x[LK_DIM_MAX];
  for (uint32_t dim = 1; dim <= LK_DIM_MAX; dim += 1 + dim / 24)
    for (int scale = -39; scale <= 39; scale += 6) {
      for (uint32_t i = 0; i < dim; i++)
        x[i] = (float)ldexp(random_normal(&random) / sqrt(dim) * (1 + random_uniform(&random)), scale);
      if (dim == 1) x[0] = (float)ldexp(1 + random_uniform(&random), scale);
      check_ones(x, dim, &random);
      for (uint32_t i = 0; i < dim; i++) x[i] = lk_half_to_float(lk_half_from_float(ldexpf(x[i], -scale)));
      check_ones(x, dim, &random);
    }
}

/* In float, or without the fixed order, these come out otherwise. */
Test(score, known_bits) {
  float q[66] = {0}, x[66] = {0};
  q[0] = 0x1p30f, x[0] = 0x1p30f;
  q[32] = 1, x[32] = 1; /* same lane as 0: lost */
  q[64] = -0x1p30f, x[64] = 0x1p30f;
  cr_assert_eq(lk_score(LK_IP, q, x, 66), 0);
  q[65] = 3, x[65] = 5; /* a lane of its own: kept */
  cr_assert_eq(lk_score(LK_IP, q, x, 66), 15);
  check_everywhere(q, x, 66);
}
