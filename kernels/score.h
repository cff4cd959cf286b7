/* The one score, in canonical arithmetic: every backend returns these bits.
 *
 * Lane i of 32 sums elements i, i+32, i+64, ... in that order, in double; a fixed binary tree then adds lane i+16
 * to lane i, then i+8, i+4, i+2, i+1; the sum is rounded once to float, and -0 becomes +0. A product of two
 * floats is exact in double, so for dot products a fused and a plain multiply-add give the same bits; the squared
 * distance asks for its fma by name. The code must be compiled with -ffp-contract=off (--fmad=false), and run in the
 * default floating-point environment: round to nearest, no flush-to-zero.
 *
 * Under cosine the sum is multiplied with r(q) r(x) before it is rounded, where r(v) is 1 over the square root of v's
 * product with itself, summed in the same lanes. Equal vectors, whatever their length, score exactly 1, and no two
 * vectors more: the double is within 2^-44 of the cosine, and half a place of float at 1 is 2^-25. */
#ifndef KERNELS_SCORE_H
#define KERNELS_SCORE_H

#include <math.h>
#include <stdint.h>

#include <likeness/types.h>
#include "kernels/portable.h"

#define LK_LANES 32

/* Adds up the lanes, in place. */
LK_INLINE double lk_score_tree(double lane[LK_LANES]) {
  for (int width = LK_LANES / 2; width > 0; width /= 2)
    for (int i = 0; i < width; i++) lane[i] += lane[i + width];
  return lane[0];
}

LK_INLINE float lk_score_round(double sum) { return (float)sum + 0.0f; }

LK_INLINE double lk_score_dot(const float *q, const float *x, uint32_t dim) {
  double lane[LK_LANES] = {0};
  for (uint32_t i = 0; i < dim; i++) lane[i % LK_LANES] += (double)q[i] * (double)x[i];
  return lk_score_tree(lane);
}

LK_INLINE double lk_score_l2(const float *q, const float *x, uint32_t dim) {
  double lane[LK_LANES] = {0};
  for (uint32_t i = 0; i < dim; i++) {
    double d = (double)q[i] - (double)x[i];
    lane[i % LK_LANES] = fma(d, d, lane[i % LK_LANES]);
  }
  return -lk_score_tree(lane);
}

/* r(v) under cosine, else 1. Only the host computes it. */
static inline double lk_score_reciprocal(lk_metric metric, const float *v, uint32_t dim) {
  return metric == LK_COSINE ? 1 / sqrt(lk_score_dot(v, v, dim)) : 1;
}

/* The score, where `reciprocals` is the product of both vectors' lk_score_reciprocal. */
LK_INLINE float lk_score_known(lk_metric metric, const float *q, const float *x, uint32_t dim, double reciprocals) {
  return lk_score_round((metric == LK_L2 ? lk_score_l2(q, x, dim) : lk_score_dot(q, x, dim)) * reciprocals);
}

/* The same by its definition, at three times the cost under cosine. */
static inline float lk_score(lk_metric metric, const float *q, const float *x, uint32_t dim) {
  double reciprocals = lk_score_reciprocal(metric, q, dim) * lk_score_reciprocal(metric, x, dim);
  return lk_score_known(metric, q, x, dim, reciprocals);
}

#endif
