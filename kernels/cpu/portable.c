/* The inner loops in plain C, for any processor. */
#include <string.h>

#include "kernels/cpu/isa.h"
#include "kernels/half.h"
#include "kernels/score.h"

static void add_step(const uint8_t *step, const int8_t *probe, int32_t sum[LK_STRIP_ROWS]) {
  for (int r = 0; r < LK_STRIP_ROWS; r++)
    sum[r] += step[LK_STEP * r] * probe[0] + step[LK_STEP * r + 1] * probe[1] + step[LK_STEP * r + 2] * probe[2] +
              step[LK_STEP * r + 3] * probe[3];
}

static void sum(const uint8_t *tile, uint32_t strips, uint32_t width, const int8_t *probes, uint32_t count,
                int32_t *sums) {
  for (uint32_t s = 0; s < strips; s++)
    for (uint32_t p = 0; p < count; p++) {
      int32_t *of = sums + p * LK_TILE_ROWS + s * LK_STRIP_ROWS;
      memset(of, 0, LK_STRIP_ROWS * sizeof *of);
      for (uint32_t i = 0; i < width; i += LK_STEP)
        add_step(tile + ((size_t)s * width + i) * LK_STRIP_ROWS, probes + p * lk_probe_stride(width) + i, of);
    }
}

static size_t scan(const uint8_t *tile, uint32_t strips, uint32_t width, const int8_t *probes, uint32_t count,
                   const int32_t *thresholds, uint16_t *survivors) {
  int32_t sums[LK_SUM_PROBES * LK_TILE_ROWS];
  size_t found = 0;
  sum(tile, strips, width, probes, count, sums);
  for (uint32_t p = 0; p < count; p++)
    for (uint32_t r = 0; r < strips * LK_STRIP_ROWS; r++)
      if (sums[p * LK_TILE_ROWS + r] >= thresholds[p]) survivors[found++] = (uint16_t)(p * LK_TILE_ROWS + r);
  return found;
}

static float dot(const uint8_t *row, uint32_t width, const float *rotated) {
  float sum[LK_STEP] = {0};
  for (uint32_t i = 0; i < width; i += LK_STEP, row += LK_STRIP_ROWS * LK_STEP)
    for (uint32_t e = 0; e < LK_STEP; e++) sum[e] += (float)(row[e] - LK_CODE_SHIFT) * rotated[i + e];
  return (sum[0] + sum[1]) + (sum[2] + sum[3]);
}

static float multiply_pair(const float *row, const float *probe, uint32_t width) {
  float sum[LK_FLOAT_STEP] = {0};
  for (uint32_t i = 0; i < width; i += LK_FLOAT_STEP)
    for (uint32_t e = 0; e < LK_FLOAT_STEP; e++) sum[e] += row[i + e] * probe[i + e];
  return ((sum[0] + sum[4]) + (sum[2] + sum[6])) + ((sum[1] + sum[5]) + (sum[3] + sum[7]));
}

static void multiply(const float *rows, uint32_t rows_count, const float *probes, uint32_t probes_count, uint32_t width,
                     float *product) {
  for (uint32_t r = 0; r < rows_count; r++)
    for (uint32_t p = 0; p < probes_count; p++)
      product[(size_t)r * probes_count + p] =
          multiply_pair(rows + (size_t)r * width, probes + (size_t)p * width, width);
}

static void widen(const uint16_t *halves, uint32_t count, float *out) {
  lk_stored_row(LK_STORE_F16, halves, 0, count, out);
}

const lk_isa lk_isa_portable = {.name = "portable",
                                .probe_limit = LK_CODE_MAX,
                                .scan_probes = LK_SUM_PROBES,
                                .scan = scan,
                                .sum = sum,
                                .dot = dot,
                                .multiply = multiply,
                                .widen = widen,
                                .score = lk_score_known};
