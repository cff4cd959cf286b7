/* What the files of the CPU backend share: the device (cpu.c), the pass that runs on it (pass.c), the pass's rounds
 * (round.c) with the seed (seed.c) and the float scan (float_scan.c), and range search (range.c). */
#ifndef KERNELS_CPU_INTERNAL_H
#define KERNELS_CPU_INTERNAL_H

#include <stdatomic.h>

#include "base/pool.h"
#include "kernels/candidate_lists.h"
#include "kernels/centres.h"
#include "kernels/cpu/isa.h"
#include "kernels/outliers.h"
#include "kernels/scan_order.h"

typedef struct lk_cpu_resident_block {
  lk_resident_block base;
  lk_block block; /* its tiles are a copy of our own, its codes are not used */
  uint8_t *packed;
  lk_tile *tiles;
  lk_outliers outliers; /* by tiles */
} lk_cpu_resident_block;

/* A hit that awaits the end of its round. */
typedef struct lk_pending {
  uint32_t probe;
  lk_hit hit;
} lk_pending;

/* What one thread of a pass writes, on cache lines of its own. */
typedef struct lk_cpu_thread {
  _Alignas(64) lk_pending *pending;
  uint32_t pending_count, pending_room;
  lk_pending *found; /* in a range search, the hits of the rounds before */
  size_t found_count;
  lk_buffer pending_buffer, found_buffer, float_buffer;
  uint64_t unwatched; /* work since the thread last looked at the search's control */
  uint64_t visible, scanned, survivors, rescored;
} lk_cpu_thread;

/* A resident block, and where it lies among all blocks of the search. */
typedef struct lk_placement {
  const lk_cpu_resident_block *resident;
  uint32_t first_tile, first_row;
  uint32_t first_word; /* of its rows in the bitmap of visible ones */
  uint32_t centre;
} lk_placement;

typedef struct lk_cpu_pass {
  lk_batch batch;
  lk_placement *placements; /* one a block, and one more where all end */
  lk_centres centres;
  bool filtered;          /* some row is not visible; else there is no bitmap */
  uint64_t *visible;      /* bitmap; each block begins on a word of its own */
  double *reciprocals;    /* of the probes (lk_score_reciprocal) */
  int8_t *codes;          /* by centre (for dot products one serves all), then probe */
  float *rotated;         /* the same */
  lk_probe_bound *bounds; /* by centre, then probe */
  lk_hit *heaps;          /* k a probe */
  uint32_t *heap_counts;
  float *bars;
  lk_buffer placements_buffer, visible_buffer, reciprocals_buffer, codes_buffer, rotated_buffer, bounds_buffer,
      heaps_buffer, counts_buffer, bars_buffer;

  /* Arguments of the call that the pool is running. */
  const uint64_t *seed_rows;
  uint32_t seed_count;
  const uint32_t *round_tiles;
  bool in_float;
  atomic_bool overflow;
  lk_candidate_lists *lists;
  uint32_t first_list;           /* of this pass */
  atomic_bool failed;            /* out of memory for the hits of a range search */
  atomic_uint_least64_t damaged; /* 1 + a row whose score its code does not allow; 0: there is none */
} lk_cpu_pass;

typedef struct lk_cpu {
  lk_backend base;
  char name[32];
  const lk_isa *isa;
  lk_pool *pool;
  lk_cpu_thread *threads; /* one for each of the pool's */
  lk_cpu_pass pass;
} lk_cpu;

/* Hits that a thread can keep in one round: at least those of one tile and all probes of a pass, so that a round of one
 * tile always finds room. */
#define LK_THREAD_HITS_LEAST (LK_TILE_ROWS * LK_PASS_PROBES)
#define LK_THREAD_HITS_MOST (4 * LK_THREAD_HITS_LEAST)

/* A thread looks at the search's control after so many products of two elements, or what takes as long: every 50 ms on
 * a slow processor, every 30 microseconds on a fast one. */
#define LK_UNWATCHED_MOST (UINT64_C(1) << 25)

/* What takes as long as so many products: to look at a row's visibility, to code an element of a probe, to push a hit
 * into a heap or to take it out. */
enum { LK_ROW_PRODUCTS = 4, LK_CODING_PRODUCTS = 64, LK_HIT_PRODUCTS = 64 };

/* Between pieces of a thread's work; `products`: what the next one takes. False: the search was cancelled. Then every
 * further call says so at once. */
static inline bool lk_cpu_goes_on(const lk_cpu_pass *pass, lk_cpu_thread *thread, uint64_t products) {
  thread->unwatched += products;
  if (thread->unwatched < LK_UNWATCHED_MOST) return true;
  if (!lk_control_goes_on(pass->batch.control)) return false;
  thread->unwatched = products;
  return true;
}

static inline uint32_t lk_cpu_width(uint32_t dim) { return (dim + LK_STEP - 1) / LK_STEP * LK_STEP; }

static inline bool lk_cpu_visible(const lk_cpu_pass *pass, const lk_placement *placement, uint32_t row) {
  return !pass->filtered || (pass->visible[placement->first_word + row / 64] >> row % 64 & 1) != 0;
}

/* lk_score_reciprocal of a row. */
static inline double lk_cpu_reciprocal(const lk_block *block, uint32_t row) {
  return block->reciprocals != NULL ? block->reciprocals[row] : 1;
}

/* A row as stored, in floats: where it lies, or in `room`. */
static inline const float *lk_cpu_row(const lk_cpu *cpu, const lk_block *block, uint32_t row, float *room) {
  lk_shape shape = cpu->pass.batch.shape;
  if (shape.store == LK_STORE_F32) return (const float *)block->exact + (size_t)row * shape.dim;
  cpu->isa->widen((const uint16_t *)block->exact + (size_t)row * shape.dim, shape.dim, room);
  return room;
}

/* The block that has a tile, or a row. */
const lk_placement *lk_cpu_placement_of_tile(const lk_cpu_pass *pass, uint32_t tile);
const lk_placement *lk_cpu_placement_of_row(const lk_cpu_pass *pass, uint32_t row);

/* One tile as its scan needs it. */
typedef struct lk_tile_view {
  const lk_placement *placement;
  const lk_tile *tile;
  const uint8_t *packed;
  uint32_t rows;  /* of the tile */
  uint32_t first; /* its first row in the block */
  const lk_row_bound *rows_bounds;
  const uint32_t *outliers; /* rows of the block */
  uint32_t outliers_count;
  const int8_t *codes; /* of the probes, as are the next two */
  const float *rotated;
  const lk_probe_bound *bounds;
} lk_tile_view;

lk_tile_view lk_cpu_view_tile(const lk_cpu_pass *pass, uint32_t tile);
/* Returns a row's exact score. */
float lk_cpu_score(const lk_cpu *cpu, uint32_t probe, const lk_placement *placement, uint32_t row);
/* Makes a hit of a row. */
lk_hit lk_cpu_hit(const lk_cpu_pass *pass, const lk_placement *placement, uint32_t row, float score);
/* Puts a hit into its probe's heap. */
void lk_cpu_push(lk_cpu_pass *pass, uint32_t probe, lk_hit hit);
/* The product of a tile's row's code and the float probe. */
float lk_cpu_dot(const lk_cpu *cpu, const lk_tile_view *view, uint32_t probe, uint32_t row);
/* Scores a row of the tile exactly, and keeps it as a pending hit if it reaches the bar. `dot` as lk_cpu_dot has it. */
void lk_cpu_rescore(lk_cpu *cpu, lk_cpu_thread *thread, const lk_tile_view *view, uint32_t probe, uint32_t row,
                    float dot);
/* Holds a hit against its row's code: one that the code does not allow fails the search. */
void lk_cpu_certify(lk_cpu *cpu, uint32_t probe, const lk_hit *hit);
/* Scans a tile for all probes by its exact rows. */
void lk_cpu_float_scan(lk_cpu *cpu, lk_cpu_thread *thread, const lk_tile_view *view);
/* Whether the round goes on: the thread has room for all that `probes` probes may find in a tile, and no thread has run
 * out of room before. */
bool lk_cpu_has_room(lk_cpu_pass *pass, const lk_cpu_thread *thread, uint32_t probes);
/* Memory that the float scan needs for each thread. */
size_t lk_cpu_float_bytes(lk_shape shape, uint32_t probes);

lk_status lk_cpu_begin(lk_backend *backend, const lk_batch *batch, uint64_t *visible, lk_error *error);
void lk_cpu_exact_scan(lk_backend *backend);
void lk_cpu_seed(lk_backend *backend, const uint64_t *rows, uint32_t rows_count);
uint32_t lk_cpu_rounds(lk_backend *backend, const lk_scan_order *order, const lk_run *runs, uint32_t count,
                       bool in_float, lk_round *done);
lk_status lk_cpu_finish(lk_backend *backend, lk_candidate_lists *lists, lk_search_stats *stats, lk_error *error);
/* Moves a thread's pending hits of a range search to those that it has found. */
void lk_cpu_range_keep(lk_cpu *cpu, lk_cpu_thread *thread);
/* Appends the lists of a range search. */
lk_status lk_cpu_range_finish(lk_cpu *cpu, lk_candidate_lists *lists, lk_error *error);
void lk_cpu_pass_free(lk_cpu_pass *pass);

#endif
