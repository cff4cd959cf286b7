/* AVX2 and FMA. maddubs adds two products of an unsigned and a signed byte into 16 bits. To widen each of these sums to
 * 32 bits would cost two instructions for every maddubs. So a run of steps is added up in 16 bits and only then
 * widened: row codes reach 255, and a probe's codes keep to what fits (255 * 128 < 2^15; LK_RUN_LIMIT). Such a probe's
 * code loses more, and more rows survive, which costs much less than is gained. To split the signs instead (8 bits
 * both) costs a third instruction for every two. Measured on a Zen 3: runs of 4, 8 and 16 steps are 1.3, 1.45 and 1.5
 * times as fast as none. */
#include "kernels/cpu/avx2.h"

#include <immintrin.h>
#include <string.h>

#include "kernels/score.h"

enum { BLOCK = LK_SUM_PROBES };

#define HOT static inline __attribute__((always_inline))

HOT __m256i broadcast_step(const int8_t *codes) {
  int32_t step;
  memcpy(&step, codes, sizeof step);
  return _mm256_set1_epi32(step);
}

/* The addition is in assembly since GCC 12 would copy the sums from step to step, some of them through memory. */
HOT __m256i add_products(__m256i sum, __m256i rows, __m256i probe) {
  __asm__("vpaddw %1, %0, %0" : "+x"(sum) : "x"(_mm256_maddubs_epi16(rows, probe)));
  return sum;
}

HOT __m256i widen_sum(__m256i sum, __m256i run) {
  return _mm256_add_epi32(sum, _mm256_madd_epi16(run, _mm256_set1_epi16(1)));
}

/* Bit r: the sum of row r of the strip is at least the threshold. */
HOT uint32_t reaching(__m256i low, __m256i high, int32_t threshold) {
  __m256i t = _mm256_set1_epi32(threshold);
  uint32_t below_low = (uint32_t)_mm256_movemask_ps(_mm256_castsi256_ps(_mm256_cmpgt_epi32(t, low)));
  uint32_t below_high = (uint32_t)_mm256_movemask_ps(_mm256_castsi256_ps(_mm256_cmpgt_epi32(t, high)));
  return ~(below_low | below_high << 8) & 0xffff;
}

/* Sums of a block, 16 rows each, by strip, then probe. */
typedef struct block_sums {
  __m256i low[BLOCK], high[BLOCK];
} block_sums;

/* Adds up the products of elements `begin` to `end` in 16 bits, and then adds them to the sums. */
HOT void add_run(block_sums *sums, const uint8_t *strip, const int strips, size_t width, const int8_t *probes,
                 const int count, size_t begin, size_t end) {
  const size_t strip_bytes = LK_STRIP_ROWS * width, stride = lk_probe_stride((uint32_t)width);
  block_sums run;
#pragma GCC unroll 4
  for (int b = 0; b < strips * count; b++) run.low[b] = run.high[b] = _mm256_setzero_si256();
#pragma GCC unroll 8
  for (size_t i = begin; i < end; i += LK_STEP)
#pragma GCC unroll 4
    for (int s = 0; s < strips; s++) {
      const __m256i *step = (const __m256i *)(strip + (size_t)s * strip_bytes + i * LK_STRIP_ROWS);
      __m256i rows_low = _mm256_loadu_si256(step), rows_high = _mm256_loadu_si256(step + 1);
#pragma GCC unroll 4
      for (int p = 0; p < count; p++) {
        __m256i probe = broadcast_step(probes + (size_t)p * stride + i);
        run.low[s * count + p] = add_products(run.low[s * count + p], rows_low, probe);
        run.high[s * count + p] = add_products(run.high[s * count + p], rows_high, probe);
      }
    }
#pragma GCC unroll 4
  for (int b = 0; b < strips * count; b++) {
    sums->low[b] = widen_sum(sums->low[b], run.low[b]);
    sums->high[b] = widen_sum(sums->high[b], run.high[b]);
  }
}

/* Callers pass `strips`, `count` (their product is BLOCK at most) and `sums_only` as constants, so that a run's sums
 * stay in registers. `first_pair` is that of the first probe and the first row. */
HOT size_t scan_block(const uint8_t *strip, const int strips, size_t width, const int8_t *probes, const int count,
                      uint32_t first_pair, const int32_t *thresholds, uint16_t *survivors, const bool sums_only,
                      int32_t *sums) {
  const int blocks = strips * count;
  block_sums block;
#pragma GCC unroll 4
  for (int b = 0; b < blocks; b++) block.low[b] = block.high[b] = _mm256_setzero_si256();
  size_t i = 0;
  for (; i + LK_RUN <= width; i += LK_RUN) add_run(&block, strip, strips, width, probes, count, i, i + LK_RUN);
  if (i < width) add_run(&block, strip, strips, width, probes, count, i, width);
  size_t found = 0;
  for (int b = 0; b < blocks; b++) {
    int p = b % count, s = b / count;
    uint32_t pair = first_pair + (uint32_t)(p * LK_TILE_ROWS + s * LK_STRIP_ROWS);
    if (sums_only) {
      _mm256_storeu_si256((__m256i *)(sums + pair), block.low[b]);
      _mm256_storeu_si256((__m256i *)(sums + pair + 8), block.high[b]);
      continue;
    }
    for (uint32_t hits = reaching(block.low[b], block.high[b], thresholds[pair / LK_TILE_ROWS]); hits != 0;
         hits &= hits - 1)
      survivors[found++] = (uint16_t)(pair + (uint32_t)__builtin_ctz(hits));
  }
  return found;
}

/* Scans strip by strip for a block of probes. Fewer probes are taken one by one with a block of strips at a time, since
 * memory delivers several strips faster than one after the other. */
HOT size_t scan_or_sum(const uint8_t *tile, uint32_t strips, uint32_t width, const int8_t *probes, uint32_t count,
                       const int32_t *thresholds, uint16_t *survivors, const bool sums_only, int32_t *sums) {
  const size_t strip_bytes = (size_t)LK_STRIP_ROWS * width;
  size_t found = 0;
  if (count == BLOCK) {
    for (uint32_t s = 0; s < strips; s++)
      found += scan_block(tile + s * strip_bytes, 1, width, probes, BLOCK, s * LK_STRIP_ROWS, thresholds,
                          survivors + found, sums_only, sums);
    return found;
  }
  for (uint32_t p = 0; p < count; p++, probes += lk_probe_stride(width)) {
    uint32_t s = 0, first_pair = p * LK_TILE_ROWS;
    for (; s + BLOCK <= strips; s += BLOCK)
      found += scan_block(tile + s * strip_bytes, BLOCK, width, probes, 1, first_pair + s * LK_STRIP_ROWS, thresholds,
                          survivors + found, sums_only, sums);
    for (; s < strips; s++)
      found += scan_block(tile + s * strip_bytes, 1, width, probes, 1, first_pair + s * LK_STRIP_ROWS, thresholds,
                          survivors + found, sums_only, sums);
  }
  return found;
}

static size_t scan(const uint8_t *tile, uint32_t strips, uint32_t width, const int8_t *probes, uint32_t count,
                   const int32_t *thresholds, uint16_t *survivors) {
  return scan_or_sum(tile, strips, width, probes, count, thresholds, survivors, false, NULL);
}

static void sum(const uint8_t *tile, uint32_t strips, uint32_t width, const int8_t *probes, uint32_t count,
                int32_t *sums) {
  scan_or_sum(tile, strips, width, probes, count, NULL, NULL, true, sums);
}

HOT __m128i load_step(const uint8_t *row) {
  int32_t step;
  memcpy(&step, row, sizeof step);
  return _mm_cvtsi32_si128(step);
}

HOT __m256 to_floats(__m128i codes) {
  __m256i shifted = _mm256_cvtepu8_epi32(codes);
  return _mm256_cvtepi32_ps(_mm256_sub_epi32(shifted, _mm256_set1_epi32(LK_CODE_SHIFT)));
}

HOT float sum_floats(__m256 v) {
  __m128 half = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
  half = _mm_add_ps(half, _mm_movehl_ps(half, half));
  return _mm_cvtss_f32(_mm_add_ss(half, _mm_movehdup_ps(half)));
}

/* Multiplies the elements of two steps of a row with the probe's. */
HOT __m256 add_steps(__m256 sum, const uint8_t *row, const float *rotated) {
  __m128i codes = _mm_unpacklo_epi32(load_step(row), load_step(row + LK_STRIP_ROWS * LK_STEP));
  return _mm256_fmadd_ps(to_floats(codes), _mm256_loadu_ps(rotated), sum);
}

/* It keeps four sums, so that one addition need not wait for the one before. */
float lk_avx2_dot(const uint8_t *row, uint32_t width, const float *rotated) {
  __m256 sum[4] = {_mm256_setzero_ps(), _mm256_setzero_ps(), _mm256_setzero_ps(), _mm256_setzero_ps()};
  uint32_t i = 0;
  for (; i + 32 <= width; i += 32)
#pragma GCC unroll 4
    for (uint32_t v = 0; v < 4; v++)
      sum[v] = add_steps(sum[v], row + (size_t)(i + 8 * v) * LK_STRIP_ROWS, rotated + i + 8 * v);
  for (; i + 8 <= width; i += 8) sum[0] = add_steps(sum[0], row + (size_t)i * LK_STRIP_ROWS, rotated + i);
  if (i < width) {
    __m256 last = _mm256_insertf128_ps(_mm256_setzero_ps(), _mm_loadu_ps(rotated + i), 0);
    sum[1] = _mm256_fmadd_ps(to_floats(load_step(row + (size_t)i * LK_STRIP_ROWS)), last, sum[1]);
  }
  return sum_floats(_mm256_add_ps(_mm256_add_ps(sum[0], sum[1]), _mm256_add_ps(sum[2], sum[3])));
}

/* sum[v] has lanes 4v .. 4v+3 of the canonical score. */
HOT double sum_lanes(__m256d sum[LK_LANES / 4]) {
  for (int width = LK_LANES / 8; width > 0; width /= 2)
    for (int v = 0; v < width; v++) sum[v] = _mm256_add_pd(sum[v], sum[v + width]);
  __m128d half = _mm_add_pd(_mm256_castpd256_pd128(sum[0]), _mm256_extractf128_pd(sum[0], 1));
  return _mm_cvtsd_f64(_mm_add_sd(half, _mm_unpackhi_pd(half, half)));
}

HOT __m256d add_element(__m256d sum, __m256d q, __m256d x, const int is_l2) {
  __m256d d = _mm256_sub_pd(q, x);
  return is_l2 ? _mm256_fmadd_pd(d, d, sum) : _mm256_fmadd_pd(q, x, sum);
}

/* Elements beyond the last count as zero. That changes no bit: a lane starts at +0, and so is never -0. */
HOT double score_lanes(const float *q, const float *x, uint32_t dim, const int is_l2) {
  __m256d sum[LK_LANES / 4];
  for (int v = 0; v < LK_LANES / 4; v++) sum[v] = _mm256_setzero_pd();
  uint32_t i = 0;
  for (; i + LK_LANES <= dim; i += LK_LANES)
    for (int v = 0; v < LK_LANES / 4; v++)
      sum[v] = add_element(sum[v], _mm256_cvtps_pd(_mm_loadu_ps(q + i + 4 * v)),
                           _mm256_cvtps_pd(_mm_loadu_ps(x + i + 4 * v)), is_l2);
  if (i < dim) {
    float q_tail[LK_LANES] = {0}, x_tail[LK_LANES] = {0};
    memcpy(q_tail, q + i, (dim - i) * sizeof *q);
    memcpy(x_tail, x + i, (dim - i) * sizeof *x);
    for (int v = 0; v < LK_LANES / 4; v++)
      sum[v] = add_element(sum[v], _mm256_cvtps_pd(_mm_loadu_ps(q_tail + 4 * v)),
                           _mm256_cvtps_pd(_mm_loadu_ps(x_tail + 4 * v)), is_l2);
  }
  return sum_lanes(sum);
}

float lk_avx2_score(lk_metric metric, const float *q, const float *x, uint32_t dim, double reciprocals) {
  return lk_score_round((metric == LK_L2 ? -score_lanes(q, x, dim, 1) : score_lanes(q, x, dim, 0)) * reciprocals);
}

/* Multiplies rows with probes; callers pass both numbers as constants. 8 sums stay in registers, and 8 multiplications
 * take 6 loads. */
HOT void multiply_block(const float *rows, const int rows_count, const float *probes, const int probes_count,
                        uint32_t width, float *product, uint32_t stride) {
  __m256 sum[4][2];
#pragma GCC unroll 4
  for (int r = 0; r < rows_count; r++)
#pragma GCC unroll 2
    for (int p = 0; p < probes_count; p++) sum[r][p] = _mm256_setzero_ps();
  for (uint32_t i = 0; i < width; i += LK_FLOAT_STEP) {
    __m256 probe[2];
#pragma GCC unroll 2
    for (int p = 0; p < probes_count; p++) probe[p] = _mm256_loadu_ps(probes + (size_t)p * width + i);
#pragma GCC unroll 4
    for (int r = 0; r < rows_count; r++) {
      __m256 row = _mm256_loadu_ps(rows + (size_t)r * width + i);
#pragma GCC unroll 2
      for (int p = 0; p < probes_count; p++) sum[r][p] = _mm256_fmadd_ps(row, probe[p], sum[r][p]);
    }
  }
#pragma GCC unroll 4
  for (int r = 0; r < rows_count; r++)
#pragma GCC unroll 2
    for (int p = 0; p < probes_count; p++) product[(size_t)r * stride + (uint32_t)p] = sum_floats(sum[r][p]);
}

HOT void multiply_rows(const float *rows, const int rows_count, const float *probes, uint32_t probes_count,
                       uint32_t width, float *product) {
  uint32_t p = 0;
  for (; p + 2 <= probes_count; p += 2)
    multiply_block(rows, rows_count, probes + (size_t)p * width, 2, width, product + p, probes_count);
  if (p < probes_count)
    multiply_block(rows, rows_count, probes + (size_t)p * width, 1, width, product + p, probes_count);
}

void lk_avx2_multiply(const float *rows, uint32_t rows_count, const float *probes, uint32_t probes_count,
                      uint32_t width, float *product) {
  uint32_t r = 0;
  for (; r + 4 <= rows_count; r += 4)
    multiply_rows(rows + (size_t)r * width, 4, probes, probes_count, width, product + (size_t)r * probes_count);
  for (; r < rows_count; r++)
    multiply_rows(rows + (size_t)r * width, 1, probes, probes_count, width, product + (size_t)r * probes_count);
}

void lk_avx2_widen(const uint16_t *halves, uint32_t count, float *out) {
  uint32_t i = 0;
  for (; i + 8 <= count; i += 8)
    _mm256_storeu_ps(out + i, _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(halves + i))));
  for (; i < count; i++) out[i] = _cvtsh_ss(halves[i]);
}

const lk_isa lk_isa_avx2 = {.name = "avx2",
                            .probe_limit = 64,
                            .adds_runs = true,
                            .scan_probes = BLOCK,
                            .scan = scan,
                            .sum = sum,
                            .dot = lk_avx2_dot,
                            .multiply = lk_avx2_multiply,
                            .widen = lk_avx2_widen,
                            .score = lk_avx2_score};
