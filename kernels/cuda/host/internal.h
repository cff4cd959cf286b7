/* What the files of the CUDA backend's host side share: the device (cuda.c), its resident blocks (resident_block.c),
 * the pass that runs on it (pass.c, probes.c), the pass's rounds (round.c) and a range search's hits (range.c). */
#ifndef KERNELS_CUDA_HOST_INTERNAL_H
#define KERNELS_CUDA_HOST_INTERNAL_H

#include "base/pool.h"
#include "kernels/candidate_lists.h"
#include "kernels/centres.h"
#include "kernels/cuda/host/gpu.h"
#include "kernels/outliers.h"
#include "kernels/scan_order.h"

enum { LK_CUDA_BLOCK_ARRAYS = 16 };

typedef struct lk_cuda_resident_block {
  lk_resident_block base;
  lk_block block;              /* the caller's; tiles and codes are not used */
  lk_cuda_placement placement; /* without what depends on the search */
  void *arrays[LK_CUDA_BLOCK_ARRAYS];
  uint32_t arrays_count;
  const void *lent; /* exact rows that the GPU reads in the host's memory; or NULL */
} lk_cuda_resident_block;

/* Slots of counters: the first is for kernels outside of rounds, then each round has one. */
#define LK_CUDA_SLOTS (1 + LK_ROUNDS_MAX)

/* The memory of a pass. Each buffer may lie on the GPU, on the host, or on both; it only grows. */
typedef enum lk_cuda_buffer {
  LK_BUFFER_PLACEMENTS,
  LK_BUFFER_ALLOWED,
  LK_BUFFER_VISIBLE,
  LK_BUFFER_PROBES,
  LK_BUFFER_BARS,
  LK_BUFFER_BEST,
  LK_BUFFER_COUNTS, /* best_counts, new_counts */
  LK_BUFFER_STARTS,
  LK_BUFFER_COUNTERS,
  LK_BUFFER_DAMAGED,
  LK_BUFFER_PAIRS,
  LK_BUFFER_SCORED,
  LK_BUFFER_SORTED,
  LK_BUFFER_TILES,
  LK_BUFFER_ROWS,
  LK_BUFFER_SEEDS,
  LK_BUFFER_FLOAT_ROWS,
  LK_BUFFER_FLOAT_PRODUCT,
  LK_BUFFER_STAGING,
  LK_BUFFERS
} lk_cuda_buffer;

typedef struct lk_cuda_memory {
  void *data;
  size_t bytes;
} lk_cuda_memory;

/* The rounds that the GPU was asked for last. A search that asks for the same has them recorded and then replayed. What
 * a recording has in it follows from the pass, the tiles' order and the runs, so these are compared; and it has the
 * addresses of the device's buffers, so it is forgotten when one of them is freed. */
typedef struct lk_cuda_asked {
  lk_cuda_pass pass;
  uint64_t order_number;
  lk_run runs[LK_ROUNDS_MAX];
  uint32_t count;
  lk_recording *recording; /* NULL: they were asked for once */
} lk_cuda_asked;

typedef struct lk_cuda {
  lk_backend base;
  char name[96];
  lk_gpu *gpu;
  lk_pool *pool;
  bool hopper;  /* large batches are scanned by LK_KERNEL_HOPPER */
  bool testing; /* in the self-test: products come from our own kernel, not from a library */
  lk_cuda_memory device[LK_BUFFERS], host[LK_BUFFERS];

  lk_batch batch;
  lk_cuda_pass pass;
  lk_cuda_asked asked;
  lk_cuda_placement *placements; /* on the host */
  lk_centres centres;
  uint32_t all_tiles;
  uint64_t all_rows;
  bool filtered;
  bool scanned;          /* the pass had rounds */
  bool seeded;           /* the seed's counts have not been read yet */
  uint64_t order_number; /* of the scan order that the GPU has in LK_BUFFER_TILES; 0: of none */
  uint32_t float_tiles;  /* of one product of the float scan */
  lk_search_stats stats;

  lk_cuda_scored *found; /* by a range search */
  size_t found_count;
  lk_buffer found_buffer;
  bool found_failed; /* out of memory for them */
  lk_candidate_lists *lists;
  uint32_t first_list;
} lk_cuda;

/* Make room for so many bytes; what was there is lost. The first returns NULL when out of memory. */
void *lk_cuda_reserve_host(lk_cuda *cuda, lk_cuda_buffer buffer, size_t bytes);
lk_status lk_cuda_reserve(lk_cuda *cuda, lk_cuda_buffer buffer, size_t bytes, void **memory, lk_error *error);
lk_status lk_cuda_fail_memory(const lk_cuda *cuda, size_t bytes, lk_error *error);

lk_status lk_cuda_load_block(lk_backend *backend, lk_shape shape, const lk_block *block, lk_resident_block **resident,
                             lk_error *error);
void lk_cuda_unload_block(lk_backend *backend, lk_resident_block *resident);
lk_status lk_cuda_update_block(lk_backend *backend, lk_resident_block *resident, const lk_visibility *visibility,
                               uint32_t first, uint32_t count, lk_error *error);
lk_status lk_cuda_begin(lk_backend *backend, const lk_batch *batch, uint64_t *visible, lk_error *error);
lk_status lk_cuda_finish(lk_backend *backend, lk_candidate_lists *lists, lk_search_stats *stats, lk_error *error);
void lk_cuda_exact_scan(lk_backend *backend);
void lk_cuda_seed(lk_backend *backend, const uint64_t *rows, uint32_t rows_count);
uint32_t lk_cuda_rounds(lk_backend *backend, const lk_scan_order *order, const lk_run *runs, uint32_t count,
                        bool in_float, lk_round *done);

/* Whether the kernels find a known answer. LK_EINTERNAL: they do not. */
lk_status lk_cuda_self_test(lk_cuda *cuda, lk_error *error);

/* Waits for the kernels outside of rounds, and returns what they have counted. */
lk_cuda_counters lk_cuda_count(lk_cuda *cuda);
/* Forgets the rounds that were recorded. */
void lk_cuda_forget(lk_cuda *cuda);

/* Codes and bounds the probes for each centre, and sends them to the GPU. */
lk_status lk_cuda_send_probes(lk_cuda *cuda, lk_error *error);

/* Brings a round's hits of a range search to the host. */
void lk_cuda_range_keep(lk_cuda *cuda, uint64_t hits);
/* Appends the lists of a range search. */
lk_status lk_cuda_range_finish(lk_cuda *cuda, lk_candidate_lists *lists, lk_error *error);

#endif
