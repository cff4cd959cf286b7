/* What the parts of the CPU backend share: the device (cpu.c), the pass that runs on it (pass.c) and the pass's
 * rounds (round.c). */
#ifndef KERNELS_CPU_INTERNAL_H
#define KERNELS_CPU_INTERNAL_H

#include <stdatomic.h>

#include "base/pool.h"
#include "kernels/candidate_lists.h"
#include "kernels/cpu/isa.h"
#include "kernels/scan_order.h"

typedef struct lk_cpu_resident_block {
  lk_resident_block base;
  lk_block block; /* tiles are this hold's own copy, codes are not used */
  uint8_t *packed;
  lk_tile *tiles;
  uint8_t *outliers;      /* rows that do not fit their tile, counted in it, a tile after the other */
  uint32_t *outlier_ends; /* where those of each tile end */
} lk_cpu_resident_block;

/* A hit that awaits the end of its round. */
typedef struct lk_pending {
  uint32_t probe;
  lk_hit hit;
} lk_pending;

/* Memory that only grows. */
typedef struct lk_buffer {
  void *data;
  size_t size;
} lk_buffer;

/* One thread's part of a pass, on cache lines of its own. */
typedef struct lk_cpu_thread {
  _Alignas(64) lk_pending *pending;
  uint32_t pending_count, pending_room;
  lk_pending *found; /* in a range search, the hits of the rounds before */
  size_t found_count, found_room;
  lk_buffer pending_buffer, wide_buffer;
  uint64_t visible, scanned, survivors, rescored;
} lk_cpu_thread;

/* Where a hold lies among all of the search. */
typedef struct lk_placement {
  const lk_cpu_resident_block *hold;
  uint64_t first_tile, first_row;
  uint64_t first_word; /* of its rows in the bitmap of visible ones */
  uint32_t frame;
} lk_placement;

/* One pass. A frame is a mean that blocks share: probes are bounded once for each, and under l2 coded once for each;
 * for dot products the code of a probe does not depend on the mean. */
typedef struct lk_cpu_pass {
  lk_batch batch;
  lk_placement *places; /* one a hold, and one more where all end */
  const float **frame_means;
  uint32_t frames;
  bool filtered;          /* some row is not visible; else the bitmap is not made */
  uint64_t *visible;      /* bitmap; a hold begins on a word of its own */
  int8_t *codes;          /* by frame (one frame for dot products), then probe */
  float *rotated;         /* the same */
  lk_probe_bound *bounds; /* by frame, then probe */
  lk_hit *heaps;          /* k a probe */
  uint32_t *heap_counts;
  float *bars;
  lk_buffer places_buffer, frames_buffer, visible_buffer, codes_buffer, rotated_buffer, bounds_buffer, heaps_buffer,
      counts_buffer, bars_buffer;

  /* Arguments of the call that the pool is running. */
  const uint64_t *seed_rows;
  uint32_t seed_count;
  const uint32_t *round_tiles;
  bool wide;
  atomic_bool overflow;
  lk_candidate_lists *lists;
  uint32_t first_list; /* of this pass */
  atomic_bool failed;  /* out of memory for what a range search found */
} lk_cpu_pass;

typedef struct lk_cpu {
  lk_backend base;
  char name[32];
  const lk_isa *isa;
  lk_pool *pool;
  lk_cpu_thread *lanes; /* one a thread */
  lk_cpu_pass pass;
} lk_cpu;

/* Hits that a lane can keep in one round. At least those of one tile and all probes of a pass: one tile always fits. */
#define LK_THREAD_HITS_LEAST (LK_TILE_ROWS * LK_PASS_PROBES)
#define LK_THREAD_HITS_MOST (4 * LK_THREAD_HITS_LEAST)

static inline uint32_t lk_cpu_width(uint32_t dim) { return (dim + LK_STEP - 1) / LK_STEP * LK_STEP; }

static inline bool lk_cpu_visible(const lk_cpu_pass *pass, const lk_placement *place, uint32_t row) {
  return !pass->filtered || (pass->visible[place->first_word + row / 64] >> row % 64 & 1) != 0;
}

/* A row as stored, in floats: where it lies, or in `room`. */
static inline const float *lk_cpu_row(const lk_cpu *cpu, const lk_block *block, uint32_t row, float *room) {
  lk_shape shape = cpu->pass.batch.shape;
  if (shape.store == LK_STORE_F32) return (const float *)block->exact + (size_t)row * shape.dim;
  cpu->isa->widen((const uint16_t *)block->exact + (size_t)row * shape.dim, shape.dim, room);
  return room;
}

/* The hold that a tile, or a row, falls into. */
const lk_placement *lk_cpu_placement_of_tile(const lk_cpu_pass *pass, uint64_t tile);
const lk_placement *lk_cpu_placement_of_row(const lk_cpu_pass *pass, uint64_t row);

/* One tile as its scan needs it. */
typedef struct lk_tile_view {
  const lk_placement *place;
  const lk_tile *tile;
  const uint8_t *packed;
  uint32_t rows;  /* of the tile */
  uint32_t first; /* its first row in the block */
  const lk_row_bound *rows_bounds;
  const uint8_t *outliers;
  uint32_t outliers_count;
  const int8_t *codes; /* of the probes, as are the next two */
  const float *rotated;
  const lk_probe_bound *bounds;
} lk_tile_view;

lk_tile_view lk_cpu_view_tile(const lk_cpu_pass *pass, uint32_t tile);
/* A row's exact score; a row as a hit; a hit for a probe's heap. */
float lk_cpu_score(const lk_cpu *cpu, uint32_t probe, const lk_placement *place, uint32_t row);
lk_hit lk_cpu_hit(const lk_cpu_pass *pass, const lk_placement *place, uint32_t row, float score);
void lk_cpu_push(lk_cpu_pass *pass, uint32_t probe, lk_hit hit);
/* Scores a row of the tile exactly; one that reaches the bar is a hit. */
void lk_cpu_rescore(const lk_cpu *cpu, lk_cpu_thread *lane, const lk_tile_view *view, uint32_t probe, uint32_t row);
/* Scans a tile for all probes by its exact rows (wide.c). */
void lk_cpu_float_scan(lk_cpu *cpu, lk_cpu_thread *lane, const lk_tile_view *view);
/* Whether the lane has room for what `probes` probes may find in a tile; else the round overflows, here or elsewhere.
 */
bool lk_cpu_has_room(lk_cpu_pass *pass, const lk_cpu_thread *lane, uint32_t probes);
size_t lk_cpu_float_bytes(lk_shape shape, uint32_t probes);
/* Returns NULL when out of memory; what was in the buffer is gone. */
void *lk_buffer_reserve(lk_buffer *buffer, size_t count, size_t size);

lk_status lk_cpu_begin(lk_backend *backend, const lk_batch *batch, uint64_t *visible, lk_error *error);
void lk_cpu_exact_scan(lk_backend *backend);
void lk_cpu_seed(lk_backend *backend, const uint64_t *rows, uint32_t rows_count);
uint32_t lk_cpu_rounds(lk_backend *backend, const lk_scan_order *schedule, const lk_run *runs, uint32_t count,
                       bool wide, lk_round *done);
lk_status lk_cpu_finish(lk_backend *backend, lk_candidate_lists *lists, lk_search_stats *stats, lk_error *error);
/* The lists of a range search (range.c). */
void lk_cpu_range_keep(lk_cpu *cpu, lk_cpu_thread *lane);
lk_status lk_cpu_range_finish(lk_cpu *cpu, lk_candidate_lists *lists, lk_error *error);
void lk_cpu_pass_free(lk_cpu_pass *pass);

#endif
