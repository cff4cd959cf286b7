/* What every scan does around its product: it finds what a block scans, computes thresholds, and appends the pairs
 * whose sums reach them. Sums stay in registers and are never written to memory; only where one of a warp's sums
 * reaches its threshold is anything else looked at. */
#ifndef KERNELS_CUDA_DEVICE_SURVIVORS_KERNEL_CUH
#define KERNELS_CUDA_DEVICE_SURVIVORS_KERNEL_CUH

#include "kernels/bound.h"
#include "kernels/cuda/device/append_kernel.cuh"

/* What a block scans: at most PROBES probes and ROWS rows of a tile. */
struct lk_scan_block {
  const lk_cuda_placement *placement;
  const lk_tile *tile;
  const lk_row_bound *bounds;         /* of its rows */
  const lk_probe_bound *probe_bounds; /* of its probes */
  const int8_t *codes, *probe_codes;  /* of the first chunk */
  uint32_t probe, probes;             /* the first probe, and how many */
  uint32_t row, rows; /* the first row, of the resident block, and how many; none where the tile ends before it */
};

template <int PROBES, int ROWS>
LK_DEVICE lk_scan_block lk_scan_find(const lk_cuda_pass &pass, uint32_t group, uint32_t item, uint32_t half) {
  uint32_t tile = pass.tiles[item];
  lk_scan_block block;
  block.placement = lk_cuda_placement_of_tile(&pass, tile);
  tile -= block.placement->first_tile;
  block.tile = &block.placement->tiles[tile];
  block.row = tile * LK_TILE_ROWS + half * ROWS;
  block.rows = block.placement->rows > block.row ? block.placement->rows - block.row : 0;
  if (block.rows > ROWS) block.rows = ROWS;
  block.bounds = block.placement->bounds + block.row;
  block.codes = block.placement->codes + lk_packed_at(pass.chunks, LK_TILE_ROWS, block.row, 0);
  block.probe = group * PROBES;
  block.probes = pass.probes - block.probe;
  if (block.probes > PROBES) block.probes = PROBES;
  block.probe_bounds = pass.bounds + (size_t)block.placement->centre * pass.probes + block.probe;
  size_t centre = lk_coded_centre(pass.metric, block.placement->centre);
  block.probe_codes =
      pass.codes + lk_packed_chunk(pass.chunks, PROBES, centre * lk_groups(pass.probes, PROBES) + group, 0);
  return block;
}

/* The threshold of a probe of the block; INT32_MAX beyond the last. */
LK_DEVICE int32_t lk_scan_threshold(const lk_cuda_pass &pass, const lk_scan_block &block, uint32_t p) {
  if (p >= block.probes || block.rows == 0) return INT32_MAX;
  return lk_bound_threshold(pass.metric, &block.probe_bounds[p], block.tile, pass.bars[block.probe + p]);
}

/* Thresholds of the probes whose sums a lane has in products of 16 x 8. */
template <int PROBE_TILES>
struct lk_scan_bars {
  int32_t at[PROBE_TILES][2];
};

template <int PROBE_TILES>
LK_DEVICE lk_scan_bars<PROBE_TILES> lk_scan_load_bars(lk_shared<int32_t> thresholds, uint32_t first) {
  lk_scan_bars<PROBE_TILES> bars;
  LK_UNROLL
  for (int m = 0; m < PROBE_TILES; m++) LK_UNROLL
  for (int half = 0; half < 2; half++)
    bars.at[m][half] = thresholds.load(first + m * 16 + lk_product_row(lk_thread() % LK_WARP, half * 2));
  return bars;
}

/* Which of a lane's sums reach their thresholds, one bit for each sum: by probe tile, half of it, row tile and column.
 * The sums begin at FIRST: by probe tile, row tile and position in the product. All bits are 0 where no sum of the warp
 * reaches its threshold. */
template <int PROBE_TILES, int ROW_TILES, int FIRST, int COUNT>
LK_DEVICE uint64_t lk_scan_compare(const int32_t (&sums)[COUNT], const lk_scan_bars<PROBE_TILES> &bars) {
  bool any = false;
  LK_UNROLL
  for (int m = 0; m < PROBE_TILES; m++) LK_UNROLL
  for (int half = 0; half < 2; half++) {
    int32_t top = INT32_MIN;
    LK_UNROLL
    for (int n = 0; n < ROW_TILES; n++) {
      int at = FIRST + (m * ROW_TILES + n) * 4 + half * 2;
      top = lk_max3(top, sums[at], sums[at + 1]);
    }
    any |= top >= bars.at[m][half];
  }
  if (!lk_any(any)) return 0;
  uint64_t found = 0;
  LK_UNROLL
  for (int m = 0; m < PROBE_TILES; m++) LK_UNROLL
  for (int i = 0; i < 4; i++) LK_UNROLL
  for (int n = 0; n < ROW_TILES; n++)
    found |= (uint64_t)(sums[FIRST + (m * ROW_TILES + n) * 4 + i] >= bars.at[m][i / 2])
             << (((m * 2 + i / 2) * ROW_TILES + n) * 2 + i % 2);
  return found;
}

/* Probe and row of a bit, counted within what the block scans; the warp's sums begin at `corner`. */
template <int ROW_TILES>
LK_DEVICE lk_cuda_pair lk_scan_pair(uint32_t bit, lk_cuda_pair corner) {
  uint32_t lane = lk_thread() % LK_WARP, column = bit % 2, n = bit / 2 % ROW_TILES, half = bit / 2 / ROW_TILES;
  return {corner.probe + half / 2 * 16 + lk_product_row(lane, half % 2 * 2),
          corner.row + n * 8 + lk_product_column(lane, column)};
}

/* Appends the pairs of `found` whose rows exist, fit their tile and are visible. */
template <int ROW_TILES>
LK_DEVICE void lk_scan_append(const lk_cuda_pass &pass, const lk_scan_block &block, lk_cuda_pair corner,
                              uint64_t found) {
  for (uint64_t left = found; left != 0; left &= left - 1) {
    uint32_t bit = lk_lowest_bit(left), row = lk_scan_pair<ROW_TILES>(bit, corner).row;
    bool keep = row < block.rows && lk_row_fits(block.tile, &block.bounds[row]) &&
                lk_cuda_visible(&pass, block.placement, block.row + row);
    if (!keep) found &= ~((uint64_t)1 << bit);
  }
  if (!lk_any(found != 0)) return;
  uint64_t at = lk_reserve(&pass.counters->pairs, lk_count_bits(found));
  for (; found != 0; found &= found - 1, at++) {
    lk_cuda_pair pair = lk_scan_pair<ROW_TILES>(lk_lowest_bit(found), corner);
    lk_put_pair(pass, at, block.probe + pair.probe, block.placement->first_row + block.row + pair.row);
  }
}

/* Appends the pairs of visible outliers, whatever their sums are. The caller is thread `index` of `threads`. */
LK_DEVICE void lk_scan_outliers(const lk_cuda_pass &pass, const lk_scan_block &block, uint32_t index,
                                uint32_t threads) {
  if (block.rows == 0) return;
  uint32_t strip = block.row / LK_BLOCK_ROWS, last = (block.row + block.rows - 1) / LK_BLOCK_ROWS;
  uint32_t first = strip == 0 ? 0 : block.placement->outlier_ends[strip - 1];
  uint32_t count = (block.placement->outlier_ends[last] - first) * block.probes;
  for (uint32_t base = 0; base < count; base += threads) {
    uint32_t i = base + index, row = i < count ? block.placement->outliers[first + i / block.probes] : 0;
    bool keep = i < count && lk_cuda_visible(&pass, block.placement, row);
    uint64_t at = lk_reserve(&pass.counters->pairs, keep);
    if (keep) lk_put_pair(pass, at, block.probe + i % block.probes, block.placement->first_row + row);
  }
}

#endif
