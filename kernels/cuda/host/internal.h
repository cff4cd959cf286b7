/* What the parts of the CUDA backend's host side share: the device (cuda.c), what it holds (hold.c), the pass that runs
 * on it (pass.c), the pass's rounds (round.c) and a range search's hits (range.c). */
#ifndef KERNELS_CUDA_HOST_INTERNAL_H
#define KERNELS_CUDA_HOST_INTERNAL_H

#include "base/pool.h"
#include "kernels/candidate_lists.h"
#include "kernels/cuda/host/gpu.h"
#include "kernels/scan_order.h"

enum { LK_CUDA_HOLD_ARRAYS = 16 };

typedef struct lk_cuda_hold {
  lk_hold base;
  lk_block block;      /* the caller's; tiles and codes are not used */
  lk_cuda_place place; /* in no search yet */
  void *arrays[LK_CUDA_HOLD_ARRAYS];
  uint32_t arrays_count;
  const void *lent; /* exact rows that stay in the host's memory */
} lk_cuda_hold;

/* Counters: slot 0 for what is outside of rounds, then one a round. */
#define LK_CUDA_SLOTS (1 + LK_ROUNDS_MAX)

/* A pass's memory: on the GPU, and the host's beside it. It only grows. */
typedef enum lk_cuda_room {
  LK_ROOM_PLACES,
  LK_ROOM_ALLOWED,
  LK_ROOM_VISIBLE,
  LK_ROOM_PROBES,
  LK_ROOM_BARS,
  LK_ROOM_BEST,
  LK_ROOM_COUNTS, /* best_counts, new_counts */
  LK_ROOM_STARTS,
  LK_ROOM_COUNTERS,
  LK_ROOM_PAIRS,
  LK_ROOM_SCORED,
  LK_ROOM_SORTED,
  LK_ROOM_TILES,
  LK_ROOM_ROWS,
  LK_ROOM_SEEDS,
  LK_ROOM_WIDE_ROWS,
  LK_ROOM_WIDE_PRODUCT,
  LK_ROOM_STAGING,
  LK_ROOMS
} lk_cuda_room;

typedef struct lk_cuda_memory {
  void *data;
  size_t bytes;
} lk_cuda_memory;

/* Rounds as they were asked of the GPU. Where the next search asks for the same they are recorded, and then replayed.
 */
typedef struct lk_cuda_asked {
  lk_cuda_pass pass;
  uint64_t schedule;
  lk_run runs[LK_ROUNDS_MAX];
  uint32_t count;
  lk_recording *recording; /* NULL: they were asked once */
} lk_cuda_asked;

typedef struct lk_cuda {
  lk_backend base;
  char name[96];
  lk_gpu *gpu;
  lk_pool *pool;
  bool hopper;  /* large batches are scanned by LK_KERNEL_HOPPER */
  bool testing; /* its own kernels only */
  lk_cuda_memory device[LK_ROOMS], host[LK_ROOMS];

  lk_batch batch;
  lk_cuda_pass pass;
  lk_cuda_asked asked;
  lk_cuda_place *places; /* the host's */
  const float **frame_means;
  uint32_t frames;
  uint32_t all_tiles;
  uint64_t all_rows;
  bool filtered;
  bool scanned;          /* there have been rounds */
  bool seeded;           /* the seed's counts have not been read yet */
  const uint32_t *tiles; /* on the GPU: of the schedule ... */
  uint64_t schedule;     /* ... of this number; 0: of none */
  uint32_t wide_tiles;   /* in one product of the wide scan */
  lk_search_stats stats;

  lk_cuda_scored *found; /* by a range search */
  size_t found_count, found_room;
  bool found_failed; /* out of memory for them */
  lk_lists *lists;
  uint32_t first_list;
} lk_cuda;

/* NULL when out of memory; what was there is gone. */
void *lk_cuda_reserve_host(lk_cuda *cuda, lk_cuda_room room, size_t bytes);
lk_status lk_cuda_reserve(lk_cuda *cuda, lk_cuda_room room, size_t bytes, void **memory, lk_error *error);
lk_status lk_cuda_fail_memory(const lk_cuda *cuda, size_t bytes, lk_error *error);

lk_status lk_cuda_hold_block(lk_backend *backend, lk_shape shape, const lk_block *block, lk_hold **hold,
                             lk_error *error);
void lk_cuda_release(lk_backend *backend, lk_hold *hold);
lk_status lk_cuda_update(lk_backend *backend, lk_hold *hold, const lk_visibility *visibility, uint32_t first,
                         uint32_t count, lk_error *error);
lk_status lk_cuda_begin(lk_backend *backend, const lk_batch *batch, uint64_t *visible, lk_error *error);
lk_status lk_cuda_finish(lk_backend *backend, lk_lists *lists, lk_search_stats *stats, lk_error *error);
void lk_cuda_gather(lk_backend *backend);
void lk_cuda_seed(lk_backend *backend, const uint64_t *rows, uint32_t rows_count);
uint32_t lk_cuda_rounds(lk_backend *backend, const lk_schedule *schedule, const lk_run *runs, uint32_t count, bool wide,
                        lk_round *done);

/* Whether the kernels find a known answer. LK_EINTERNAL: they do not. */
lk_status lk_cuda_self_test(lk_cuda *cuda, lk_error *error);

/* Waits for what kernels outside of rounds have counted. */
lk_cuda_counters lk_cuda_count(lk_cuda *cuda);
/* Forgets the rounds that were recorded. */
void lk_cuda_forget(lk_cuda *cuda);

/* Codes the probes and bounds them, frame by frame, and sends them to the GPU. */
lk_status lk_cuda_send_probes(lk_cuda *cuda, lk_error *error);

/* Takes over a round's hits; appends the lists of all rounds. */
void lk_cuda_range_keep(lk_cuda *cuda, uint64_t hits);
lk_status lk_cuda_range_finish(lk_cuda *cuda, lk_lists *lists, lk_error *error);

#endif
