/* The inner loops of the CPU backend, once for each instruction set, and the packed form of codes they read.
 *
 * A packed tile is a run of strips of 16 rows. In a strip, step j holds elements 4j .. 4j+3 of each of its 16 rows,
 * 4 bytes a row, as code + 128: unsigned, so that one instruction multiplies them with a probe's signed codes, and
 * 16 rows wide, so that a vector of sums is compared with a threshold as it stands. Rows and elements beyond the
 * last are zero codes. A kernel's sums are therefore 128 * (sum of the probe's codes) above the product of codes. */
#ifndef KERNELS_CPU_ISA_H
#define KERNELS_CPU_ISA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kernels/codes.h"

#define LK_STRIP_ROWS 16
#define LK_TILE_STRIPS (LK_TILE_ROWS / LK_STRIP_ROWS)
#define LK_STEP 4
#define LK_CODE_SHIFT 128
#define LK_FLOAT_STEP 8
#define LK_RUN (8 * LK_STEP) /* elements; where a kernel adds up a run of them in 16 bits, ... */
#define LK_RUN_LIMIT 128     /* ... the probe's codes of one sign in one of its sums add up to no more */
#define LK_SCAN_PROBES 64    /* probes in one call of scan, at most */
#define LK_SUM_PROBES 4      /* probes in one call of sum, at most */
#define LK_PROBE_BYTES 64    /* a probe's codes begin at multiples of it, ... */
#define LK_PROBE_GROUP 16    /* ... and memory holds codes, whichever, up to such a multiple of probes */
#define LK_TILE_SLACK 1024   /* bytes after a packed tile that may be read */

typedef struct lk_isa {
  const char *name;
  int probe_limit;      /* probe codes stay within -limit .. limit, so that no intermediate sum saturates */
  bool adds_runs;       /* and to LK_RUN_LIMIT */
  uint32_t scan_probes; /* probes that one call of scan takes, at most LK_SCAN_PROBES */

  /* Finds the (probe, row) of a tile whose sum is at least thresholds[probe]; writes probe * LK_TILE_ROWS + row each
   * and returns how many. `width` is the dimension rounded up to LK_STEP; probes are count x lk_probe_stride(width), 1
   * to scan_probes of them, and zero beyond the dimension; survivors has room for all pairs. */
  size_t (*scan)(const uint8_t *tile, uint32_t strips, uint32_t width, const int8_t *probes, uint32_t count,
                 const int32_t *thresholds, uint16_t *survivors);

  /* The sums themselves of 1 to LK_SUM_PROBES probes: sums[probe * LK_TILE_ROWS + row]. */
  void (*sum)(const uint8_t *tile, uint32_t strips, uint32_t width, const int8_t *probes, uint32_t count,
              int32_t *sums);

  /* Product of the code at `row` (its first byte in a strip) and a rotated probe of `width` floats, in float. */
  float (*dot)(const uint8_t *row, uint32_t width, const float *rotated);

  /* product[r * probes_count + p] of each row and probe, all of `width` floats, a multiple of LK_FLOAT_STEP. Element i
   * is summed in part i % LK_FLOAT_STEP, the parts as a tree: so the error is that of dim / LK_FLOAT_STEP additions. */
  void (*multiply)(const float *rows, uint32_t rows_count, const float *probes, uint32_t probes_count, uint32_t width,
                   float *product);

  /* Halves to floats. */
  void (*widen)(const uint16_t *halves, uint32_t count, float *out);

  /* The canonical score. */
  float (*score)(lk_metric metric, const float *q, const float *x, uint32_t dim);
} lk_isa;

/* From one probe's codes to the next one's. */
static inline size_t lk_probe_stride(uint32_t width) {
  return (width + LK_PROBE_BYTES - 1) / LK_PROBE_BYTES * LK_PROBE_BYTES;
}

/* Codes of `rows` rows of `dim` bytes into strips of `width` bytes a row; ceil(rows / 16) strips are written. */
void lk_isa_pack(const int8_t *codes, uint32_t rows, uint32_t dim, uint32_t width, uint8_t *tile);

/* The largest sum, without its sign, of a probe's codes of one sign that go into one sum of a run: elements 4j and 4j+1
 * of its steps, or 4j+2 and 4j+3. */
int lk_isa_run_sum(const int8_t *probe, uint32_t width);

/* The named instruction set, or with NULL the best; NULL where this processor does not have it. */
const lk_isa *lk_isa_find(const char *name);

extern const lk_isa lk_isa_portable;
extern const lk_isa lk_isa_avx2;
extern const lk_isa lk_isa_avx512vnni;
extern const lk_isa lk_isa_amx;

/* Asks the kernel for leave to use AMX. */
bool lk_amx_is_granted(void);

#endif
