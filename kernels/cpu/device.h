/* What the parts of the CPU backend share: the device (cpu.c) and the pass that runs on it (pass.c). */
#ifndef KERNELS_CPU_DEVICE_H
#define KERNELS_CPU_DEVICE_H

#include <stdatomic.h>

#include "kernels/cpu/isa.h"
#include "kernels/pool.h"
#include "kernels/scan.h"

typedef struct lk_cpu_hold {
  lk_hold base;
  lk_block block; /* tiles are this hold's own copy, codes are not used */
  uint8_t *packed;
  lk_tile *tiles;
} lk_cpu_hold;

/* A hit that awaits the end of its round. */
typedef struct lk_pending {
  uint32_t probe;
  lk_hit hit;
} lk_pending;

/* One thread's part of a pass, on cache lines of its own. */
typedef struct lk_cpu_lane {
  _Alignas(64) lk_pending *pending;
  uint32_t pending_count;
  uint64_t scanned, survivors, settled;
} lk_cpu_lane;

/* Memory that only grows. */
typedef struct lk_buffer {
  void *data;
  size_t size;
} lk_buffer;

/* One pass. A frame is a mean that blocks share: probes are coded once for each. */
typedef struct lk_cpu_pass {
  lk_batch batch;
  uint64_t rows;
  uint32_t frames;
  lk_buffer hold_first_tile, hold_first_row, hold_frame, frame_mean;
  lk_buffer codes, rotated, bounds;   /* by frame, then probe */
  lk_buffer heaps, heap_counts, bars; /* by probe */
  const uint64_t *seed_rows;
  uint32_t seed_count;
  const uint32_t *round_tiles;
  atomic_bool overflow;
  lk_hit *out;
  uint32_t *out_counts;
} lk_cpu_pass;

typedef struct lk_cpu {
  lk_backend base;
  char name[32];
  const lk_isa *isa;
  lk_pool *pool;
  lk_cpu_lane *lanes; /* one a thread */
  lk_cpu_pass pass;
} lk_cpu;

/* Hits that a lane can keep in one round: those of one tile and all probes of a pass, so that one tile always fits. */
#define LK_LANE_PENDING (LK_TILE_ROWS * LK_PASS_PROBES)

static inline uint32_t lk_cpu_width(uint32_t dim) { return (dim + LK_STEP - 1) / LK_STEP * LK_STEP; }

lk_status lk_cpu_begin(lk_backend *backend, const lk_batch *batch, lk_error *error);
void lk_cpu_seed(lk_backend *backend, const uint64_t *rows, uint32_t rows_count);
bool lk_cpu_round(lk_backend *backend, const uint32_t *tiles, uint32_t tiles_count);
void lk_cpu_finish(lk_backend *backend, lk_hit *hits, uint32_t *counts, lk_search_stats *stats);
void lk_cpu_pass_free(lk_cpu_pass *pass);

#endif
