#include "kernels/codes.h"

#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/* Below this a tile's scale would push products of codes and probes out of float's normal range. */
static const double smallest_scale = 0x1p-120;

/* The random signs of both blocks of a rotation (splitmix64, Steele et al. 2014). Part of the file format: they never
 * change. */
static double signs[2 * LK_DIM_MAX];
static pthread_once_t signs_made = PTHREAD_ONCE_INIT;

static void make_signs(void) {
  for (uint64_t k = 0; k < sizeof signs / sizeof signs[0]; k++) {
    uint64_t z = (k + 1) * UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    signs[k] = (z ^ (z >> 31)) & 1 ? -1.0 : 1.0;
  }
}

static void butterfly(double *restrict low, double *restrict high, uint32_t n) {
  for (uint32_t i = 0; i < n; i++) {
    double a = low[i], b = high[i];
    low[i] = a + b;
    high[i] = a - b;
  }
}

/* The first two stages at once. */
static void butterflies_of_four(double *v, uint32_t n) {
  for (uint32_t i = 0; i < n; i += 4) {
    double a = v[i] + v[i + 1], b = v[i] - v[i + 1], c = v[i + 2] + v[i + 3], d = v[i + 2] - v[i + 3];
    v[i] = a + c;
    v[i + 1] = b + d;
    v[i + 2] = a - c;
    v[i + 3] = b - d;
  }
}

/* Walsh-Hadamard transform of n = 2^j elements, scaled to be orthogonal. */
static void hadamard(double *v, uint32_t n) {
  uint32_t half = 1;
  if (n >= 4) {
    butterflies_of_four(v, n);
    half = 4;
  }
  for (; half < n; half *= 2)
    for (uint32_t start = 0; start < n; start += 2 * half) butterfly(v + start, v + start + half, half);
  double scale = 1 / sqrt((double)n);
  for (uint32_t i = 0; i < n; i++) v[i] *= scale;
}

static void rotate_block(double *v, uint32_t n, const double *flips) {
  for (uint32_t i = 0; i < n; i++) v[i] *= flips[i];
  hadamard(v, n);
}

void lk_rotate(double *v, uint32_t dim) {
  pthread_once(&signs_made, make_signs);
  uint32_t block = 1;
  while (block * 2 <= dim) block *= 2;
  rotate_block(v, block, signs);
  if (block < dim) rotate_block(v + dim - block, block, signs + LK_DIM_MAX);
}

void lk_codes_sum(const float *x, const double *reciprocals, uint32_t rows, uint32_t dim, double *sum) {
  for (uint32_t r = 0; r < rows; r++) {
    double reciprocal = reciprocals != NULL ? reciprocals[r] : 1;
    for (uint32_t i = 0; i < dim; i++) sum[i] += x[(size_t)r * dim + i] * reciprocal;
  }
}

void lk_codes_mean(const double *sum, uint32_t rows, uint32_t dim, float *mean) {
  for (uint32_t i = 0; i < dim; i++) mean[i] = rows > 0 ? (float)(sum[i] / rows) : 0;
}

double lk_codes_length(const float *x, uint32_t dim, const float *mean) {
  double squares = 0;
  for (uint32_t i = 0; i < dim; i++) {
    double centred = (double)x[i] - (double)mean[i];
    squares += centred * centred;
  }
  return sqrt(squares);
}

static int compare_lengths(const void *a, const void *b) {
  const lk_ordered_row *x = a, *y = b;
  if (x->length != y->length) return x->length < y->length ? -1 : 1;
  return x->row < y->row ? -1 : x->row > y->row;
}

void lk_codes_order(lk_ordered_row *rows, uint32_t count) { qsort(rows, count, sizeof *rows, compare_lengths); }

/* A sum or a maximum has so many lanes, so that one step of it need not wait for the step before. */
enum { SUM_LANES = 8 };

static double add_lanes(const double lane[SUM_LANES]) {
  return ((lane[0] + lane[4]) + (lane[2] + lane[6])) + ((lane[1] + lane[5]) + (lane[3] + lane[7]));
}

static double length(const double *v, uint32_t dim) {
  double lane[SUM_LANES] = {0};
  uint32_t i = 0;
  for (; i + SUM_LANES <= dim; i += SUM_LANES)
    for (uint32_t j = 0; j < SUM_LANES; j++) lane[j] += v[i + j] * v[i + j];
  for (; i < dim; i++) lane[i % SUM_LANES] += v[i] * v[i];
  return sqrt(add_lanes(lane));
}

static double dot(const float *a, const float *b, uint32_t dim) {
  double lane[SUM_LANES] = {0};
  uint32_t i = 0;
  for (; i + SUM_LANES <= dim; i += SUM_LANES)
    for (uint32_t j = 0; j < SUM_LANES; j++) lane[j] += (double)a[i + j] * b[i + j];
  for (; i < dim; i++) lane[i % SUM_LANES] += (double)a[i] * b[i];
  return add_lanes(lane);
}

static double greater(double a, double b) { return a > b ? a : b; }

static double largest(const double *v, size_t n) {
  double lane[SUM_LANES] = {0}, largest = 0;
  size_t i = 0;
  for (; i + SUM_LANES <= n; i += SUM_LANES)
    for (size_t j = 0; j < SUM_LANES; j++) lane[j] = greater(lane[j], fabs(v[i + j]));
  for (; i < n; i++) lane[0] = greater(lane[0], fabs(v[i]));
  for (size_t j = 0; j < SUM_LANES; j++) largest = greater(largest, lane[j]);
  return largest;
}

static float round_up(double v) {
  float rounded = (float)v;
  return rounded < v ? nextafterf(rounded, INFINITY) : rounded;
}

static float round_down(double v) {
  float rounded = (float)v;
  return rounded > v ? nextafterf(rounded, -INFINITY) : rounded;
}

/* To the nearest integer, ties to even, for numbers far below 2^51. */
static double nearest_integer(double v) { return v + 0x1.8p52 - 0x1.8p52; }

static double clamp(double v, double limit) {
  v = v < limit ? v : limit;
  return v > -limit ? v : -limit;
}

/* Codes an element and returns the square of its loss. */
static double encode_element(double v, double scale, double inverse, double limit, int8_t *code) {
  double nearest = nearest_integer(clamp(v * inverse, limit)), difference = v - nearest * scale;
  *code = (int8_t)nearest;
  return difference * difference;
}

/* Codes v and returns the length of its loss. */
static double encode(const double *v, uint32_t dim, double scale, int limit, int8_t *code) {
  double lane[SUM_LANES] = {0}, inverse = 1 / scale;
  uint32_t i = 0;
  for (; i + SUM_LANES <= dim; i += SUM_LANES)
    for (uint32_t j = 0; j < SUM_LANES; j++) lane[j] += encode_element(v[i + j], scale, inverse, limit, &code[i + j]);
  for (; i < dim; i++) lane[i % SUM_LANES] += encode_element(v[i], scale, inverse, limit, &code[i]);
  return sqrt(add_lanes(lane));
}

/* Bounds the true residual by the computed one and the length of the coded vector. `unit`: 1 where the vector was made
 * one of length 1 before it was centred, else 0. */
static double bound_residual(double residual, double norm, double unit) {
  return residual * (1 + LK_SQUARES_ERROR) + (norm + unit) * LK_ROTATE_ERROR;
}

static double bound_norm(double norm, double unit) { return norm * (1 + LK_SQUARES_ERROR) + unit * LK_ROTATE_ERROR; }

/* At most one of so many rows of a tile is an outlier: one whose largest element is so many times larger than that of
 * all others, which would cost them two bits. To look at an outlier costs a search as much as to scan thirty rows. */
enum { OUTLIERS_ONE_IN = 64, OUTLIER_RATIO = 4 };

/* The largest element that the tile's scale covers: that of all rows, or of all but the outliers. */
static double tile_peak(const double *y, uint32_t rows, uint32_t dim) {
  double top[LK_TILE_ROWS / OUTLIERS_ONE_IN + 1] = {0}; /* the largest peaks of rows, in order */
  uint32_t outliers = rows / OUTLIERS_ONE_IN;
  for (uint32_t r = 0; r < rows; r++) {
    double peak = largest(y + (size_t)r * dim, dim);
    for (uint32_t i = 0; i <= outliers; i++)
      if (peak > top[i]) {
        double next = top[i];
        top[i] = peak;
        peak = next;
      }
  }
  uint32_t i = 0;
  while (i < outliers && top[i] > OUTLIER_RATIO * top[outliers]) i++;
  return top[i];
}

static void centre_and_rotate(const float *x, const double *reciprocal, uint32_t dim, const float *mean, double *y) {
  double scale = reciprocal != NULL ? *reciprocal : 1;
  for (uint32_t i = 0; i < dim; i++) y[i] = x[i] * scale - (double)mean[i];
  lk_rotate(y, dim);
}

void lk_codes_tile(const float *x, const double *reciprocals, uint32_t rows, uint32_t dim, const float *mean,
                   double *work, int8_t *codes, lk_tile *tile, lk_row_bound *bounds) {
  for (uint32_t r = 0; r < rows; r++)
    centre_and_rotate(x + (size_t)r * dim, reciprocals != NULL ? &reciprocals[r] : NULL, dim, mean,
                      work + (size_t)r * dim);
  double peak = tile_peak(work, rows, dim), scale = fmax(peak / LK_CODE_MAX, smallest_scale);
  double norms[LK_TILE_ROWS], unit = reciprocals != NULL ? 1 : 0;
  *tile = (lk_tile){.scale = (float)scale, .norm_min = INFINITY};
  for (uint32_t r = 0; r < rows; r++) {
    const double *y = work + (size_t)r * dim;
    norms[r] = length(y, dim);
    double residual = encode(y, dim, tile->scale, LK_CODE_MAX, codes + (size_t)r * dim);
    bounds[r].residual = round_up(bound_residual(residual, norms[r], unit));
    bounds[r].norm = round_up(bound_norm(norms[r], unit));
    if (largest(y, dim) <= peak) tile->residual = fmaxf(tile->residual, bounds[r].residual);
  }
  for (uint32_t r = 0; r < rows; r++) {
    if (!lk_row_fits(tile, &bounds[r])) continue;
    tile->norm_max = fmaxf(tile->norm_max, bounds[r].norm);
    tile->norm_min = fminf(tile->norm_min, round_down(norms[r]));
  }
}

/* x r(x) is as far from x as 1 is from |x|, which is within 2^-45 of 1 / r(x). norm_min plays no part under cosine. */
void lk_codes_widen(const double *reciprocals, uint32_t rows, lk_tile *tile, lk_row_bound *bounds) {
  float most = 0;
  for (uint32_t r = 0; r < rows; r++) {
    double apart = fabs(1 / reciprocals[r] - 1) * (1 + LK_SQUARES_ERROR) + LK_COSINE_ERROR;
    if (lk_row_fits(tile, &bounds[r])) most = fmaxf(most, round_up(bounds[r].residual + apart));
    bounds[r] = (lk_row_bound){round_up(bounds[r].residual + apart), round_up(bounds[r].norm + apart)};
  }
  tile->residual = most;
  for (uint32_t r = 0; r < rows; r++)
    if (lk_row_fits(tile, &bounds[r])) tile->norm_max = fmaxf(tile->norm_max, bounds[r].norm);
}

/* Length of the code's loss, summed as `encode` sums it, so that the row that was coded loses exactly what it did. */
static double length_lost(const double *v, uint32_t dim, double scale, const int8_t *code) {
  double lane[SUM_LANES] = {0};
  for (uint32_t i = 0; i < dim; i++) {
    double difference = v[i] - code[i] * scale;
    lane[i % SUM_LANES] += difference * difference;
  }
  return sqrt(add_lanes(lane));
}

bool lk_codes_hold_row(const float *x, const double *reciprocal, uint32_t dim, const float *mean, double *work,
                       const int8_t *code, const lk_tile *tile, const lk_row_bound *bound) {
  centre_and_rotate(x, reciprocal, dim, mean, work);
  double norm = length(work, dim), unit = reciprocal != NULL ? 1 : 0;
  if (!(bound->residual >= bound_residual(length_lost(work, dim, tile->scale, code), norm, unit))) return false;
  if (!(bound->norm >= bound_norm(norm, unit))) return false;
  return !lk_row_fits(tile, bound) || tile->norm_min <= norm;
}

void lk_codes_set_offset(lk_metric metric, const float *q, double reciprocal, uint32_t dim, const float *mean,
                         lk_probe_bound *bound) {
  if (metric == LK_L2) {
    /* `norm` may be longer than the vector by 2 * LK_SQUARES_ERROR. */
    double squares = bound->norm * bound->norm;
    bound->offset = -squares * (1 - 8 * LK_SQUARES_ERROR);
    bound->offset_slack = round_up(squares * (8 * LK_SQUARES_ERROR + LK_ARITHMETIC_ERROR));
  } else {
    double lengths = sqrt(dot(q, q, dim) * dot(mean, mean, dim)) * reciprocal;
    double error = 2 * LK_SQUARES_ERROR + LK_SCORE_ERROR;
    bound->offset = dot(q, mean, dim) * reciprocal + lengths * error;
    bound->offset_slack = round_up(lengths * (2 * error + LK_ARITHMETIC_ERROR));
  }
}

lk_rotated_probe lk_codes_rotate_probe(lk_metric metric, const float *q, double reciprocal, uint32_t dim,
                                       const float *mean, double *work, float *rotated, lk_probe_bound *bound) {
  for (uint32_t i = 0; i < dim; i++) work[i] = metric == LK_L2 ? (double)q[i] - (double)mean[i] : q[i] * reciprocal;
  lk_rotate(work, dim);
  for (uint32_t i = 0; i < dim; i++) rotated[i] = (float)work[i];
  lk_rotated_probe probe = {.elements = work, .dim = dim, .norm = length(work, dim), .peak = largest(work, dim)};
  bound->norm = probe.norm * (1 + LK_SQUARES_ERROR);
  lk_codes_set_offset(metric, q, reciprocal, dim, mean, bound);
  return probe;
}

void lk_codes_encode_probe(const lk_rotated_probe *probe, int limit, int8_t *code, lk_probe_bound *bound) {
  bound->scale = probe->peak > 0 ? probe->peak / limit : 1;
  bound->residual = bound_residual(encode(probe->elements, probe->dim, bound->scale, limit, code), probe->norm, 0);
  int32_t sum = 0, squares = 0;
  for (uint32_t i = 0; i < probe->dim; i++) {
    sum += code[i];
    squares += code[i] * code[i];
  }
  bound->code_sum = sum;
  bound->code_norm = bound->scale * sqrt(squares) * (1 + LK_SQUARES_ERROR);
}

void lk_codes_probe(lk_metric metric, const float *q, double reciprocal, uint32_t dim, const float *mean, int limit,
                    double *work, int8_t *code, float *rotated, lk_probe_bound *bound) {
  lk_rotated_probe probe = lk_codes_rotate_probe(metric, q, reciprocal, dim, mean, work, rotated, bound);
  lk_codes_encode_probe(&probe, limit, code, bound);
}
