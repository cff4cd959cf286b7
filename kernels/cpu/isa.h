/* The inner loops of the CPU backend, once for each instruction set, and the packed form of the codes that they read.
 *
 * A packed tile is a run of strips of 16 rows. Step j of a strip has elements 4j .. 4j+3 of each of its 16 rows, 4
 * bytes a row, as code + 128. These bytes are unsigned, so that one instruction multiplies them with a probe's signed
 * codes; a step has 16 rows, so that a vector of sums can be compared with a threshold. Codes of rows and elements
 * beyond the last are 0. A kernel's sums are therefore 128 * (sum of the probe's codes) above the product of codes. */
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
#define LK_RUN (8 * LK_STEP) /* elements; a kernel may add up a run of them in 16 bits, ... */
#define LK_RUN_LIMIT 128     /* ... and then the probe's codes of one sign in one of the sums add up to no more */
#define LK_SCAN_PROBES 64    /* probes in one call of scan, at most */
#define LK_SUM_PROBES 4      /* probes in one call of sum, at most */
#define LK_PROBE_BYTES 64    /* a probe's codes begin at a multiple of it, ... */
#define LK_PROBE_GROUP 16    /* ... and a kernel may read the codes of up to a multiple of so many probes */
#define LK_TILE_SLACK 1024   /* bytes after a packed tile that may be read */

typedef struct lk_isa {
  const char *name;
  int probe_limit;      /* probe codes stay within -limit .. limit, so that no intermediate sum saturates */
  bool adds_runs;       /* it adds up runs in 16 bits: probe codes keep to LK_RUN_LIMIT */
  uint32_t scan_probes; /* most probes in one call of scan, at most LK_SCAN_PROBES */

  /* Finds the pairs of a probe and a row of the tile whose sum is at least thresholds[probe]. Writes each as probe *
   * LK_TILE_ROWS + row, and returns how many there are. `width` is the dimension rounded up to LK_STEP. `probes` are 1
   * to scan_probes probes, count x lk_probe_stride(width), zero beyond the dimension. `survivors` has room for all
   * pairs. */
  size_t (*scan)(const uint8_t *tile, uint32_t strips, uint32_t width, const int8_t *probes, uint32_t count,
                 const int32_t *thresholds, uint16_t *survivors);

  /* Writes the sums of 1 to LK_SUM_PROBES probes: sums[probe * LK_TILE_ROWS + row]. */
  void (*sum)(const uint8_t *tile, uint32_t strips, uint32_t width, const int8_t *probes, uint32_t count,
              int32_t *sums);

  /* Multiplies a row's code, whose first byte in its strip is at `row`, with a rotated probe of `width` floats. */
  float (*dot)(const uint8_t *row, uint32_t width, const float *rotated);

  /* Multiplies each row with each probe, into product[r * probes_count + p]. Both have `width` floats, a multiple of
   * LK_FLOAT_STEP. Lane i % LK_FLOAT_STEP sums element i, and a tree adds up the lanes: so the error is that of dim /
   * LK_FLOAT_STEP additions. */
  void (*multiply)(const float *rows, uint32_t rows_count, const float *probes, uint32_t probes_count, uint32_t width,
                   float *product);

  /* Converts halves to floats. */
  void (*widen)(const uint16_t *halves, uint32_t count, float *out);

  /* The canonical score; `reciprocals` as lk_score_known takes it. */
  float (*score)(lk_metric metric, const float *q, const float *x, uint32_t dim, double reciprocals);
} lk_isa;

/* From one probe's codes to the next one's. */
static inline size_t lk_probe_stride(uint32_t width) {
  return (width + LK_PROBE_BYTES - 1) / LK_PROBE_BYTES * LK_PROBE_BYTES;
}

/* Packs codes, rows x dim, into ceil(rows / 16) strips of `width` bytes a row. */
void lk_isa_pack(const int8_t *codes, uint32_t rows, uint32_t dim, uint32_t width, uint8_t *tile);

/* The largest sum, without its sign, of those of a probe's codes that have one sign and go into one sum of a run. Such
 * a sum takes elements 4j and 4j+1 of the run's steps, or 4j+2 and 4j+3. */
int lk_isa_run_sum(const int8_t *probe, uint32_t width);

/* Finds an instruction set by name, or for NULL the best one; NULL where this processor does not have it. */
const lk_isa *lk_isa_find(const char *name);

extern const lk_isa lk_isa_portable;
extern const lk_isa lk_isa_avx2;
extern const lk_isa lk_isa_avx512vnni;
extern const lk_isa lk_isa_amx;

/* Asks Linux for permission to use AMX. */
bool lk_amx_is_granted(void);

#endif
