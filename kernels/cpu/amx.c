/* AMX: one instruction multiplies 64 codes of each of 16 probes, signed bytes, with 16 steps of a packed strip, and
 * adds the products to 16 x 16 sums of 32 bits. Two tiles of probes and two strips make four such tiles of sums, so
 * each load is used twice. The last 64 elements may reach beyond a strip: the probes' codes are zero there, so it does
 * not matter what follows. Nobody looks at the sums of probes beyond the last. */
#include <asm/prctl.h>
#include <immintrin.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "kernels/cpu/avx2.h"
#include "kernels/cpu/avx512vnni.h"

enum { TILE_PROBES = 16, TILE_BYTES = 64, BLOCK_PROBES = 2 * TILE_PROBES, BLOCK_ROWS = 2 * LK_STRIP_ROWS };

#define HOT static inline __attribute__((always_inline))

/* As LDTILECFG reads it. */
struct configuration {
  uint8_t palette, start_row, reserved[14];
  uint16_t row_bytes[16];
  uint8_t rows[16];
};

/* Tiles 0 to 3 are sums, 4 and 5 probes, 6 and 7 strips. All have 16 rows of 64 bytes. */
static const struct configuration configuration = {
    .palette = 1,
    .row_bytes = {TILE_BYTES, TILE_BYTES, TILE_BYTES, TILE_BYTES, TILE_BYTES, TILE_BYTES, TILE_BYTES, TILE_BYTES},
    .rows = {16, 16, 16, 16, 16, 16, 16, 16},
};

/* Multiplies one tile of probes or two with one strip or two; callers pass both numbers as constants. */
HOT void multiply_block(const uint8_t *strip, const int strips, uint32_t width, const int8_t *probes,
                        const int probe_tiles, int32_t sums[BLOCK_PROBES][BLOCK_ROWS]) {
  const size_t stride = lk_probe_stride(width), next_strip = (size_t)LK_STRIP_ROWS * width;
  _tile_zero(0);
  if (strips == 2) _tile_zero(1);
  if (probe_tiles == 2) _tile_zero(2);
  if (probe_tiles == 2 && strips == 2) _tile_zero(3);
  for (size_t i = 0; i < width; i += TILE_BYTES) {
    _tile_loadd(6, strip + i * LK_STRIP_ROWS, TILE_BYTES);
    if (strips == 2) _tile_loadd(7, strip + next_strip + i * LK_STRIP_ROWS, TILE_BYTES);
    _tile_loadd(4, probes + i, stride);
    if (probe_tiles == 2) _tile_loadd(5, probes + TILE_PROBES * stride + i, stride);
    _tile_dpbsud(0, 4, 6);
    if (strips == 2) _tile_dpbsud(1, 4, 7);
    if (probe_tiles == 2) _tile_dpbsud(2, 5, 6);
    if (probe_tiles == 2 && strips == 2) _tile_dpbsud(3, 5, 7);
  }
  _tile_stored(0, sums[0], sizeof sums[0]);
  if (strips == 2) _tile_stored(1, sums[0] + LK_STRIP_ROWS, sizeof sums[0]);
  if (probe_tiles == 2) _tile_stored(2, sums[TILE_PROBES], sizeof sums[0]);
  if (probe_tiles == 2 && strips == 2) _tile_stored(3, sums[TILE_PROBES] + LK_STRIP_ROWS, sizeof sums[0]);
}

HOT uint32_t reaching(const int32_t *sums, __m512i threshold) {
  return _mm512_cmpge_epi32_mask(_mm512_load_si512(sums), threshold);
}

HOT size_t scan_block(const uint8_t *strip, const int strips, uint32_t width, const int8_t *probes,
                      const int probe_tiles, uint32_t count, uint32_t first_pair, const int32_t *thresholds,
                      uint16_t *survivors) {
  _Alignas(64) int32_t sums[BLOCK_PROBES][BLOCK_ROWS];
  multiply_block(strip, strips, width, probes, probe_tiles, sums);
  size_t found = 0;
  for (uint32_t p = 0; p < count; p++) {
    __m512i threshold = _mm512_set1_epi32(thresholds[p]);
    uint32_t hits = reaching(sums[p], threshold);
    if (strips == 2) hits |= reaching(sums[p] + LK_STRIP_ROWS, threshold) << LK_STRIP_ROWS;
    for (; hits != 0; hits &= hits - 1)
      survivors[found++] = (uint16_t)(first_pair + p * LK_TILE_ROWS + (uint32_t)__builtin_ctz(hits));
  }
  return found;
}

/* Scans one strip or two for all probes, while the strips are in the nearest cache. */
HOT size_t scan_strips(const uint8_t *strip, const int strips, uint32_t first_row, uint32_t width, const int8_t *probes,
                       uint32_t count, const int32_t *thresholds, uint16_t *survivors) {
  size_t found = 0;
  for (uint32_t p = 0; p < count; p += BLOCK_PROBES) {
    const int8_t *block = probes + p * lk_probe_stride(width);
    uint32_t left = count - p, first_pair = p * LK_TILE_ROWS + first_row;
    if (left > TILE_PROBES)
      found += scan_block(strip, strips, width, block, 2, left < BLOCK_PROBES ? left : BLOCK_PROBES, first_pair,
                          thresholds + p, survivors + found);
    else
      found += scan_block(strip, strips, width, block, 1, left, first_pair, thresholds + p, survivors + found);
  }
  return found;
}

/* The tiles are released at the end: while a thread uses some, every switch to another thread saves 8 KiB. */
static size_t scan(const uint8_t *tile, uint32_t strips, uint32_t width, const int8_t *probes, uint32_t count,
                   const int32_t *thresholds, uint16_t *survivors) {
  const size_t strip_bytes = (size_t)LK_STRIP_ROWS * width;
  size_t found = 0;
  uint32_t s = 0;
  if (count <= LK_SUM_PROBES) return lk_avx512vnni_scan(tile, strips, width, probes, count, thresholds, survivors);
  __asm__ volatile("ldtilecfg %0" ::"m"(configuration)); /* GCC 12's intrinsic reads 8 of its bytes only */
  for (; s + 2 <= strips; s += 2)
    found +=
        scan_strips(tile + s * strip_bytes, 2, s * LK_STRIP_ROWS, width, probes, count, thresholds, survivors + found);
  if (s < strips)
    found +=
        scan_strips(tile + s * strip_bytes, 1, s * LK_STRIP_ROWS, width, probes, count, thresholds, survivors + found);
  _tile_release();
  return found;
}

/* Linux lets a process that asks use tiles, if Linux can save them itself (as XGETBV would say), and if no thread of
 * the process has a signal stack too small for them. */
bool lk_amx_is_granted(void) {
  enum { XFEATURE_XTILEDATA = 18 };
  return syscall(SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA) == 0;
}

const lk_isa lk_isa_amx = {.name = "amx",
                           .probe_limit = LK_CODE_MAX,
                           .scan_probes = LK_SCAN_PROBES,
                           .scan = scan,
                           .sum = lk_avx512vnni_sum,
                           .dot = lk_avx2_dot,
                           .multiply = lk_avx2_multiply,
                           .widen = lk_avx2_widen,
                           .score = lk_avx2_score};
