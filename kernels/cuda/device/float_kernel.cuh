/* The float scan before and after its product, which a library computes: it centres rows, and compares products. */
#ifndef KERNELS_CUDA_DEVICE_FLOAT_KERNEL_CUH
#define KERNELS_CUDA_DEVICE_FLOAT_KERNEL_CUH

#include "kernels/bound.h"
#include "kernels/cuda/device/append_kernel.cuh"
#include "kernels/cuda/device/rescore_kernel.cuh"

#define LK_FLOAT_THREADS 256

/* An element less the mean's. Under cosine it belongs to a vector of length 1, and is rounded to float once. */
LK_DEVICE float lk_centre(const lk_cuda_placement *placement, uint32_t row, float element, float mean) {
  if (placement->reciprocals == NULL) return element - mean;
  return (float)(element * placement->reciprocals[row] - (double)mean);
}

/* Subtracts the mean from a tile's stored rows, one block a tile. Where the tile has no row it writes zeros. */
LK_KERNEL(LK_FLOAT_THREADS, 1) lk_centre_kernel(const lk_cuda_pass pass) {
  if (lk_left_out(pass)) return;
  const lk_cuda_placement *placement = lk_cuda_placement_of_tile(&pass, pass.tiles[lk_block()]);
  uint32_t first = (pass.tiles[lk_block()] - placement->first_tile) * LK_TILE_ROWS;
  float *out = pass.float_rows + (size_t)lk_block() * LK_TILE_ROWS * pass.dim;
  const char *x = (const char *)placement->exact + (size_t)first * pass.dim * lk_store_bytes(pass.store);
  for (uint32_t i = lk_thread(); i < LK_TILE_ROWS * pass.dim; i += lk_threads()) {
    uint32_t row = first + i / pass.dim;
    bool there = row < placement->rows;
    out[i] = there ? lk_centre(placement, row, lk_rescore_element(pass.store, x, i), placement->mean[i % pass.dim]) : 0;
  }
}

/* What is the same for one row with all probes. */
struct lk_float_row {
  uint32_t row; /* of the block */
  bool there, fits;
};

LK_DEVICE lk_float_row lk_float_find(const lk_cuda_pass &pass, const lk_cuda_placement *placement, const lk_tile *tile,
                                     uint32_t row) {
  bool there = row < placement->rows && lk_cuda_visible(&pass, placement, row);
  return {row, there, there && lk_row_fits(tile, &placement->bounds[row])};
}

/* Whether the product reaches the tile's bound, which does not hold for an outlier, and the row's own bound. */
LK_DEVICE bool lk_float_reaches(const lk_cuda_pass &pass, const lk_cuda_placement *placement, const lk_float_row &row,
                                const lk_probe_bound *probe, float bar, float tile_bound, float product) {
  if (!row.there || (row.fits && product < tile_bound)) return false;
  const lk_row_bound *bound = &placement->bounds[row.row];
  return product >= lk_bound_float(pass.metric, pass.dim, probe, lk_bound_shortest(bound), bound->norm, bar);
}

/* Compares one tile's products for a group of probes. Threads side by side have probes side by side. */
LK_KERNEL(LK_FLOAT_THREADS, 1) lk_float_kernel(const lk_cuda_pass pass) {
  if (lk_left_out(pass)) return;
  uint32_t groups = lk_groups(pass.probes, LK_FLOAT_PROBES), item = lk_block() / groups;
  uint32_t probe = lk_block() % groups * LK_FLOAT_PROBES + lk_thread() % LK_FLOAT_PROBES;
  const lk_cuda_placement *placement = lk_cuda_placement_of_tile(&pass, pass.tiles[item]);
  const lk_tile *tile = &placement->tiles[pass.tiles[item] - placement->first_tile];
  uint32_t first = (pass.tiles[item] - placement->first_tile) * LK_TILE_ROWS;
  const lk_probe_bound *bound = &pass.bounds[(size_t)placement->centre * pass.probes + probe];
  bool there = probe < pass.probes;
  float bar = there ? pass.bars[probe] : INFINITY, tile_bound = INFINITY;
  if (there) tile_bound = lk_bound_float(pass.metric, pass.dim, bound, tile->norm_min, tile->norm_max, bar);
  const float *products = pass.float_product + (size_t)item * LK_TILE_ROWS * pass.probes + probe;
  for (uint32_t r = lk_thread() / LK_FLOAT_PROBES; r < LK_TILE_ROWS; r += LK_FLOAT_THREADS / LK_FLOAT_PROBES) {
    lk_float_row row = lk_float_find(pass, placement, tile, first + r);
    bool keep =
        there && lk_float_reaches(pass, placement, row, bound, bar, tile_bound, products[(size_t)r * pass.probes]);
    if (!lk_any(keep)) continue;
    uint64_t at = lk_reserve(&pass.counters->pairs, keep);
    if (keep) lk_put_pair(pass, at, probe, placement->first_row + row.row);
  }
}

#endif
