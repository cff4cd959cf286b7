/* One pass as the kernels see it. The host fills it in, and every kernel takes it by value. Pointers are to the GPU's
 * memory. */
#ifndef KERNELS_CUDA_DEVICE_PASS_H
#define KERNELS_CUDA_DEVICE_PASS_H

#include "kernels/begins.h"
#include "kernels/codes.h"
#include "kernels/cuda/device/layout.h"
#include "kernels/half.h"
#include "kernels/order.h"
#include "kernels/visibility.h"

/* A resident block, and where it lies among all blocks of the search. */
typedef struct lk_cuda_placement {
  const int8_t *codes; /* packed; a run is a tile */
  const lk_tile *tiles;
  const lk_row_bound *bounds;
  const void *exact;
  const double *reciprocals; /* NULL unless the metric is cosine */
  const uint64_t *numbers;
  const uint32_t *subjects;
  const float *mean;
  lk_visibility visibility;
  const uint64_t *allowed;      /* bitmap of this search; NULL: all rows */
  const uint32_t *outliers;     /* rows, ascending */
  const uint32_t *outlier_ends; /* where the outliers of each LK_BLOCK_ROWS rows end */
  uint32_t rows;
  uint32_t centre;
  uint32_t first_tile, first_row;
  uint32_t first_word; /* of its rows in the bitmap of visible ones */
} lk_cuda_placement;

/* A pair that may reach the probe's bar. */
typedef struct lk_cuda_pair {
  uint32_t probe;
  uint32_t row; /* counted through all blocks */
} lk_cuda_pair;

/* A pair that reaches it. */
typedef struct lk_cuda_scored {
  uint32_t probe, row;
  uint32_t slot; /* its number among the probe's hits of this round */
  float score;
} lk_cuda_scored;

#define LK_CUDA_LEFT_OUT ((uint64_t)1 << 62)

/* They have 64 bits, so that a count of pairs that found no room does not wrap. */
typedef struct lk_cuda_counters {
  uint64_t pairs;    /* also those that found no room; LK_CUDA_LEFT_OUT and more: the round is left out */
  uint64_t rescored; /* scored exactly */
  uint64_t hits;     /* entries of `scored` */
  uint64_t rows;     /* entries of `rows`; after the visible kernel, visible rows */
} lk_cuda_counters;

typedef struct lk_cuda_pass {
  lk_metric metric;
  lk_store store;
  uint32_t dim, chunks;
  const lk_cuda_placement *placements;
  uint32_t placements_count;
  lk_filter filter; /* without `allowed`, which the placements have */

  uint32_t probes, group; /* how many, and how many form a group */
  uint32_t k;
  bool by_subject;
  const int8_t *codes;          /* of the probes, by coded centre; packed, a run is a group */
  const float *rotated;         /* by coded centre, then probe; chunks x LK_CHUNK each */
  const float *exact;           /* probes x dim */
  const double *reciprocals;    /* of the probes */
  const lk_probe_bound *bounds; /* by centre, then probe */

  uint32_t *visible; /* bitmap, 32 rows a word; each block begins on a word of its own. NULL: all rows are */
  uint32_t words;

  lk_cuda_counters *counters;
  lk_cuda_counters *next; /* of the next round; NULL: there is none */
  lk_cuda_pair *pairs;
  lk_cuda_scored *scored;
  uint64_t room; /* entries of `pairs` and of `scored` */

  uint64_t *damaged; /* 1 + a row whose score its code does not allow; 0: there is none */

  lk_hit *best; /* k a probe, in order */
  uint32_t *best_counts;
  float *bars;
  uint32_t *new_counts; /* hits of this round, one count a probe */
  uint64_t *starts;     /* where each probe's hits begin in `sorted` */
  lk_hit *sorted;       /* every probe's best so far, and then its new ones */

  /* Arguments of one launch. */
  const uint32_t *tiles; /* of the round, or of one product of its float scan */
  uint32_t tiles_count;
  bool rescreens; /* rescore first looks at its pairs with the float probe */
  uint32_t *rows; /* counted through all blocks: the seed's, or those of the exact scan */
  uint32_t rows_count;
  uint32_t rows_first;
  const uint32_t *seeds; /* where the seed kernel looks for rows */
  float *float_rows;     /* tiles x LK_TILE_ROWS x dim, centred; under cosine of length 1 before */
  float *float_probes;   /* by coded centre, then probes x dim; centred under l2, under cosine of length 1 */
  float *float_product;  /* tiles x LK_TILE_ROWS x probes */
} lk_cuda_pass;

/* The centre for which the probes are coded that rows of this centre are multiplied with (kernels/centres.h). */
LK_INLINE uint32_t lk_coded_centre(lk_metric metric, uint32_t centre) { return metric == LK_L2 ? centre : 0; }

LK_INLINE const lk_cuda_placement *lk_cuda_find(const lk_cuda_placement *placements, uint32_t count, size_t member,
                                                uint32_t value) {
  return &placements[lk_last_begin((const char *)placements + member, sizeof *placements, count, value)];
}

LK_INLINE const lk_cuda_placement *lk_cuda_placement_of_row(const lk_cuda_pass *pass, uint32_t row) {
  return lk_cuda_find(pass->placements, pass->placements_count, offsetof(lk_cuda_placement, first_row), row);
}

LK_INLINE const lk_cuda_placement *lk_cuda_placement_of_tile(const lk_cuda_pass *pass, uint32_t tile) {
  return lk_cuda_find(pass->placements, pass->placements_count, offsetof(lk_cuda_placement, first_tile), tile);
}

LK_INLINE const lk_cuda_placement *lk_cuda_placement_of_word(const lk_cuda_pass *pass, uint32_t word) {
  return lk_cuda_find(pass->placements, pass->placements_count, offsetof(lk_cuda_placement, first_word), word);
}

/* lk_score_reciprocal of a row of the block. */
LK_INLINE double lk_cuda_reciprocal(const lk_cuda_placement *placement, uint32_t row) {
  return placement->reciprocals != NULL ? placement->reciprocals[row] : 1;
}

LK_INLINE bool lk_cuda_visible(const lk_cuda_pass *pass, const lk_cuda_placement *placement, uint32_t row) {
  return pass->visible == NULL || (pass->visible[placement->first_word + row / 32] >> row % 32 & 1) != 0;
}

#endif
