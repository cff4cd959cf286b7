/* The certificate: which rows cannot reach a bar.
 *
 * Theorem. Let q be a probe, x a stored row, m its block's mean, R the exact rotation and B a bar (a float). If the
 * canonical score of (q, x) is at least B, then
 *     (a) acc >= lk_bound_threshold(probe, tile, B) if the row fits its tile (lk_row_fits), where acc is the integer
 *         product of the two codes;
 *     (b) lk_bound_reaches(probe, tile, row, B, dot), where dot is the product of the rotated float probe and the
 *         row's code;
 *     (c) product >= lk_bound_float(probe, the row's length, B), where product is that of the float vectors q (l2:
 *         q - m) and x - m.
 * Under cosine q and x stand for q r(q) and x r(x) throughout, with r of kernels/score.h: vectors of length 1.
 * So a row that fails one of them is not in the answer, and a search that drops such rows drops nothing that belongs
 * in it. And (d): the canonical score of (q, x) lies where lk_bound_allows says. A score that does not was computed
 * from another row than was coded: one of the two has changed.
 *
 * Proof. Write y = R(x - m) and p = R(q) for dot products, p = R(q - m) for l2. R is orthogonal, so
 *     dot:  q.x = q.m + p.y            l2:  -|q-x|^2 = -|q-m|^2 + 2 p.y - |y|^2
 * Let x^ = scale * code approximate the row and q^ the probe, and let r_x = y - x^ and r_q = p - q^. Then
 *     p.y = q^.x^ + q^.r_x + r_q.y  <=  q^.x^ + |q^||r_x| + |r_q||y|                        (Cauchy-Schwarz)    (1)
 *     p.y = p.x^ + p.r_x            <=  p.x^ + |p||r_x|                                                         (2)
 *     p.y                           <=  |p||y|                                                                  (3)
 * q^.x^ is exactly probe scale * tile scale * acc. Rounding adds the following, with u = 2^-53 and dim <= 4096:
 *   - Cosine: a sum of squares is within 133 u of its value, so r(v) is within 69 u of 1 / |v|, relatively. The score
 *     multiplies a sum within 133 u |q||x| of the product of the raw vectors with r(q) r(x), two roundings more: it is
 *     within 136 u of q.x and 275 u of the cosine, both less than 2^-44. lk_bound_bar subtracts LK_COSINE_ERROR, twice
 *     that, so no length of q or x enters. x_i r(x) is rounded before the mean is subtracted, by u |x_i r(x)|: where
 *     the next lines have |y|, cosine has |y| + 1.
 *   - The score is rounded to float once: score >= B means that the double sum is at least the float below B.
 *   - ip, l2: the double sum has at most 128 + 5 additions on any path; its products are exact (dot) or within 2u (l2).
 *     So it is within 2^-44 |q||x| of q.x, and within 2^-44 |q-x|^2 of |q-x|^2. |x| <= |m| + |y|.
 *   - The rotation in double takes at most 12 butterflies and a scaling in each of two blocks. Each of these steps is
 *     orthogonal and rounds an element by u, and so does the subtraction of m. Together this is within
 *     LK_ROTATE_ERROR |y|. Every stored residual includes it, and the 2^-40 of a sum of 4096 squares; the residual is
 *     then rounded up.
 *   - q.m and |q-m|^2 are sums in double, within 2^-40 of |q||m| and of themselves. `offset` includes this, outward.
 *   - This header computes in double: 2^-46 of the sum of magnitudes covers its own rounding.
 *   - dot in (2) is a sum in float in any order: (dim + 8) 2^-24 |p||x^| covers it and p's own rounding to float,
 *     with |x^| <= |y| + |r_x|.
 *   - For the product in (c) each element of x - m and q - m is rounded to float, and so is each product, which then
 *     goes through at most terms + 4 additions: within (terms + 8) 2^-24 |p||y|. A device that takes subnormal numbers
 *     for zero loses at most 2^-120 (|p| + |y|) of the elements and dim 2^-125 of the products. Under cosine x r(x) - m
 *     is computed in double before it is rounded to float: what that loses, 2 u |p|, LK_COSINE_ERROR leaves room for.
 *   - (d) is (2) in both directions. The rounding of the score, and of the double sum of l2, is within 2^-23 of it.
 *     `offset_slack` is how much was added to the offset outward. What the sums and this header round of products of
 *     lengths, 2^-43 of |p||y|, is far below the (dim + 8) 2^-24 |p||y| of the loss.
 *   - acc is an exact int32: 127 * 127 * 4096 < 2^31. A threshold below int32 saturates to one that every acc reaches,
 *     a threshold above it to one that no acc reaches.
 * Without these terms a row whose residual is zero (one-hot rows at dimensions 4, 16, 64, ...) would lose its match. */
#ifndef KERNELS_BOUND_H
#define KERNELS_BOUND_H

#include <limits.h>
#include <math.h>
#include <stdbool.h>
#include <stdint.h>

#include <likeness/types.h>
#include "kernels/portable.h"

/* One tile of rows; also its form in segment files. */
typedef struct lk_tile {
  float scale;    /* code times scale approximates the rotated, centred element */
  float residual; /* no row that fits the tile loses more than this (euclidean length) */
  float norm_max; /* no centred row that fits is longer */
  float norm_min; /* no centred row that fits is shorter */
} lk_tile;

/* One row; also its form in segment files. */
typedef struct lk_row_bound {
  float residual; /* length of what the code loses, rounded up */
  float norm;     /* length of the centred row, rounded up */
} lk_row_bound;

/* Whether the tile's numbers bound this row of it; else the row is an outlier. */
LK_INLINE bool lk_row_fits(const lk_tile *tile, const lk_row_bound *row) { return row->residual <= tile->residual; }

/* One probe against one mean: the numbers that go with its code. Lengths are upper bounds. */
typedef struct lk_probe_bound {
  double scale;       /* code times scale approximates the rotated element */
  double code_norm;   /* length of scale times code */
  double residual;    /* length of what the code loses */
  double norm;        /* length of the coded vector */
  double offset;      /* the part of the score that no row changes, rounded up */
  float offset_slack; /* how far that part may be below the offset */
  int32_t code_sum;   /* sum of the codes, for kernels that shift the rows' codes to unsigned */
} lk_probe_bound;

#define LK_ROTATE_ERROR 0x1p-45  /* of the vector's length; under cosine of 1 besides */
#define LK_SQUARES_ERROR 0x1p-40 /* relative, of a sum of up to 4096 squares or products in double */
#define LK_SCORE_ERROR 0x1p-44
#define LK_COSINE_ERROR 0x1p-43
#define LK_ARITHMETIC_ERROR 0x1p-46

/* No real value below this one rounds to a score of at least `bar`. */
LK_INLINE double lk_bound_bar(lk_metric metric, float bar) {
  double below = nextafterf(bar, -INFINITY);
  if (metric == LK_COSINE) return below - LK_COSINE_ERROR;
  return metric == LK_L2 ? below * (1 + LK_SCORE_ERROR) : below;
}

/* The least p.y with which a centred row of length `norm_min` to `norm_max` can reach the bar. */
LK_INLINE double lk_bound_product(lk_metric metric, const lk_probe_bound *probe, double norm_min, double norm_max,
                                  double bar) {
  double least = bar - probe->offset;
  double magnitude = fabs(bar) + fabs(probe->offset);
  if (metric == LK_L2) {
    double shortest = norm_min * (1 - LK_SQUARES_ERROR);
    least = (least + shortest * shortest) / 2;
    magnitude += shortest * shortest;
  } else if (metric == LK_IP) {
    least -= LK_SCORE_ERROR * probe->norm * norm_max;
  }
  return least - LK_ARITHMETIC_ERROR * magnitude;
}

/* How far the product of codes may be from p.y for any row that fits the tile: (1). */
LK_INLINE double lk_bound_tile_loss(const lk_probe_bound *probe, const lk_tile *tile) {
  return probe->code_norm * tile->residual + probe->residual * tile->norm_max;
}

/* How far the product of float probe and code may be from p.y for this row: (2). */
LK_INLINE double lk_bound_row_loss(uint32_t dim, const lk_probe_bound *probe, const lk_tile *tile,
                                   const lk_row_bound *row) {
  double loss = probe->norm * (row->residual + (dim + 8) * 0x1p-24 * ((double)row->norm + row->residual));
  return loss + tile->scale * 0x1p-120; /* the loss of subnormal elements of the float probe */
}

/* How far the product of float vectors may be from p.y for a row no longer than `norm_max`, where no element's product
 * goes through more than `terms` + 4 additions: (3) times what rounding adds. */
LK_INLINE double lk_bound_float_loss(uint32_t terms, const lk_probe_bound *probe, double norm_max) {
  return (terms + 8) * 0x1p-24 * probe->norm * norm_max + 0x1p-119 * (probe->norm + norm_max) + 0x1p-112;
}

/* The least integer product of codes with which a row that fits this tile can reach the bar. INT32_MIN: every row may.
 * INT32_MAX, which no product attains: none can. */
LK_INLINE int32_t lk_bound_threshold(lk_metric metric, const lk_probe_bound *probe, const lk_tile *tile, float bar) {
  if (bar == -INFINITY) return INT32_MIN;
  double needed = lk_bound_product(metric, probe, tile->norm_min, tile->norm_max, lk_bound_bar(metric, bar));
  if (needed > probe->norm * tile->norm_max * (1 + LK_ARITHMETIC_ERROR)) return INT32_MAX;
  double loss = lk_bound_tile_loss(probe, tile);
  double least = needed - loss - LK_ARITHMETIC_ERROR * (fabs(needed) + loss);
  double units = least / (probe->scale * tile->scale);
  units -= LK_ARITHMETIC_ERROR * fabs(units);
  if (!(units > INT32_MIN)) return INT32_MIN;
  if (units >= INT32_MAX) return INT32_MAX;
  return (int32_t)ceil(units);
}

/* A row is at least this long: the stored length was rounded up. */
LK_INLINE double lk_bound_shortest(const lk_row_bound *row) { return fmax(0.0, row->norm * (1 - 0x1p-22) - 0x1p-140); }

/* Whether a row that passed the threshold can still reach the bar, by its own residual and length and by `dot`, the
 * product of its code and the float probe. */
LK_INLINE bool lk_bound_reaches(lk_metric metric, uint32_t dim, const lk_probe_bound *probe, const lk_tile *tile,
                                const lk_row_bound *row, float bar, float dot) {
  if (bar == -INFINITY) return true;
  double needed = lk_bound_product(metric, probe, lk_bound_shortest(row), row->norm, lk_bound_bar(metric, bar));
  double loss = lk_bound_row_loss(dim, probe, tile, row);
  double product = (double)tile->scale * dot;
  return product + loss + LK_ARITHMETIC_ERROR * (fabs(product) + fabs(needed) + loss) >= needed;
}

/* Whether a pair can have this score, by the row's residual and length and by `dot`, as in lk_bound_reaches: (d). */
LK_INLINE bool lk_bound_allows(lk_metric metric, uint32_t dim, const lk_probe_bound *probe, const lk_tile *tile,
                               const lk_row_bound *row, float score, float dot) {
  double product = (double)tile->scale * dot, loss = lk_bound_row_loss(dim, probe, tile, row);
  double least = product - loss, most = product + loss;
  if (metric == LK_L2) {
    double longest = row->norm, shortest = lk_bound_shortest(row) * (1 - LK_SQUARES_ERROR);
    least = 2 * least - longest * longest;
    most = 2 * most - shortest * shortest;
  }
  double error = fabs(score) * 0x1p-23 + 0x1p-149 + LK_ARITHMETIC_ERROR * fabs(probe->offset);
  if (metric == LK_COSINE) error += LK_COSINE_ERROR;
  return score >= probe->offset - probe->offset_slack + least - error && score <= probe->offset + most + error &&
         fabs(score) < INFINITY;
}

/* The least float product of centred probe and centred row, neither of them coded, with which a row of length
 * `norm_min` to `norm_max` can reach the bar; `terms` as in lk_bound_float_loss. */
LK_INLINE float lk_bound_float(lk_metric metric, uint32_t terms, const lk_probe_bound *probe, double norm_min,
                               double norm_max, float bar) {
  if (bar == -INFINITY) return -INFINITY;
  double needed = lk_bound_product(metric, probe, norm_min, norm_max, lk_bound_bar(metric, bar));
  double loss = lk_bound_float_loss(terms, probe, norm_max);
  return nextafterf((float)(needed - loss - LK_ARITHMETIC_ERROR * (fabs(needed) + loss)), -INFINITY);
}

#endif
