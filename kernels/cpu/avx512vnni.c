/* AVX-512 with VNNI: one instruction multiplies a step of a whole strip, 64 unsigned bytes, with signed bytes and adds
 * four products to each of 16 sums of 32 bits. Nothing saturates, so probes' codes have all 8 bits. A block of 4 strips
 * and up to 4 probes keeps 16 vectors of sums in registers and uses each load four times. */
#include "kernels/cpu/avx512vnni.h"

#include <immintrin.h>
#include <string.h>

#include "kernels/cpu/avx2.h"

enum { BLOCK_STRIPS = 4, BLOCK_PROBES = LK_SUM_PROBES };

#define HOT static inline __attribute__((always_inline))

HOT __m512i broadcast_step(const int8_t *codes) {
  int32_t step;
  memcpy(&step, codes, sizeof step);
  return _mm512_set1_epi32(step);
}

/* Callers pass `strips`, `count` and `sums_only` as constants, so that all sums stay in registers. */
HOT size_t scan_block(const uint8_t *strip, const int strips, uint32_t width, const int8_t *probes, const int count,
                      uint32_t first, const int32_t *thresholds, uint16_t *survivors, const bool sums_only,
                      int32_t *sums) {
  const size_t strip_bytes = (size_t)LK_STRIP_ROWS * width, stride = lk_probe_stride(width);
  __m512i sum[BLOCK_PROBES][BLOCK_STRIPS];
#pragma GCC unroll 4
  for (int p = 0; p < count; p++)
#pragma GCC unroll 4
    for (int s = 0; s < strips; s++) sum[p][s] = _mm512_setzero_si512();
  for (uint32_t i = 0; i < width; i += LK_STEP) {
    __m512i rows[BLOCK_STRIPS];
#pragma GCC unroll 4
    for (int s = 0; s < strips; s++)
      rows[s] = _mm512_loadu_si512(strip + (size_t)s * strip_bytes + (size_t)i * LK_STRIP_ROWS);
#pragma GCC unroll 4
    for (int p = 0; p < count; p++) {
      __m512i probe = broadcast_step(probes + (size_t)p * stride + i);
#pragma GCC unroll 4
      for (int s = 0; s < strips; s++) sum[p][s] = _mm512_dpbusd_epi32(sum[p][s], rows[s], probe);
    }
  }
  size_t found = 0;
#pragma GCC unroll 4
  for (int p = 0; p < count; p++)
#pragma GCC unroll 4
    for (int s = 0; s < strips; s++) {
      if (sums_only) {
        _mm512_storeu_si512(sums + (size_t)p * LK_TILE_ROWS + first + (size_t)s * LK_STRIP_ROWS, sum[p][s]);
        continue;
      }
      uint32_t hits = _mm512_cmpge_epi32_mask(sum[p][s], _mm512_set1_epi32(thresholds[p]));
      for (; hits != 0; hits &= hits - 1)
        survivors[found++] = (uint16_t)((uint32_t)p * LK_TILE_ROWS + first + (uint32_t)s * LK_STRIP_ROWS +
                                        (uint32_t)__builtin_ctz(hits));
    }
  return found;
}

/* Scans the strips of a tile in blocks, and the rest one by one; callers pass `count` as a constant. */
HOT size_t scan_probes(const uint8_t *tile, uint32_t strips, uint32_t width, const int8_t *probes, const int count,
                       const int32_t *thresholds, uint16_t *survivors, const bool sums_only, int32_t *sums) {
  size_t found = 0;
  uint32_t s = 0;
  for (; s + BLOCK_STRIPS <= strips; s += BLOCK_STRIPS)
    found += scan_block(tile + (size_t)s * LK_STRIP_ROWS * width, BLOCK_STRIPS, width, probes, count, s * LK_STRIP_ROWS,
                        thresholds, survivors + found, sums_only, sums);
  for (; s < strips; s++)
    found += scan_block(tile + (size_t)s * LK_STRIP_ROWS * width, 1, width, probes, count, s * LK_STRIP_ROWS,
                        thresholds, survivors + found, sums_only, sums);
  return found;
}

HOT size_t scan_or_sum(const uint8_t *tile, uint32_t strips, uint32_t width, const int8_t *probes, uint32_t count,
                       const int32_t *thresholds, uint16_t *survivors, const bool sums_only, int32_t *sums) {
  switch (count) {
    case 1:
      return scan_probes(tile, strips, width, probes, 1, thresholds, survivors, sums_only, sums);
    case 2:
      return scan_probes(tile, strips, width, probes, 2, thresholds, survivors, sums_only, sums);
    case 3:
      return scan_probes(tile, strips, width, probes, 3, thresholds, survivors, sums_only, sums);
    default:
      return scan_probes(tile, strips, width, probes, BLOCK_PROBES, thresholds, survivors, sums_only, sums);
  }
}

size_t lk_avx512vnni_scan(const uint8_t *tile, uint32_t strips, uint32_t width, const int8_t *probes, uint32_t count,
                          const int32_t *thresholds, uint16_t *survivors) {
  return scan_or_sum(tile, strips, width, probes, count, thresholds, survivors, false, NULL);
}

void lk_avx512vnni_sum(const uint8_t *tile, uint32_t strips, uint32_t width, const int8_t *probes, uint32_t count,
                       int32_t *sums) {
  scan_or_sum(tile, strips, width, probes, count, NULL, NULL, true, sums);
}

const lk_isa lk_isa_avx512vnni = {.name = "avx512vnni",
                                  .probe_limit = LK_CODE_MAX,
                                  .scan_probes = BLOCK_PROBES,
                                  .scan = lk_avx512vnni_scan,
                                  .sum = lk_avx512vnni_sum,
                                  .dot = lk_avx2_dot,
                                  .multiply = lk_avx2_multiply,
                                  .widen = lk_avx2_widen,
                                  .score = lk_avx2_score};
