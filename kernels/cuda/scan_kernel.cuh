/* The scan on the tensor cores of sm_80 and later: the codes of 128 rows times those of a group of probes, by one
 * block. No product is ever written: a thread keeps its sums, and only where one of a warp's reaches its threshold is
 * anything else looked at. */
#ifndef KERNELS_CUDA_SCAN_KERNEL_CUH
#define KERNELS_CUDA_SCAN_KERNEL_CUH

#include "kernels/cuda/append_kernel.cuh"
#include "kernels/quant_bound.h"

#define LK_SCAN_THREADS 256
#define LK_SCAN_STAGES 4

/* How PROBES x 128 sums are shared out: to warps, then to products of 16 x 8. */
template <int PROBES>
struct lk_scan_shape {
  static constexpr int probe_warps = PROBES >= 64 ? 2 : 1, row_warps = LK_SCAN_THREADS / LK_WARP / probe_warps;
  static constexpr int probe_tiles = PROBES / 16 / probe_warps, row_tiles = LK_BLOCK_ROWS / 8 / row_warps;
  static constexpr int quads = (PROBES + LK_BLOCK_ROWS) * LK_CHUNK_QUADS; /* of a stage */
  static constexpr int bytes = LK_SCAN_STAGES * quads * 16 + PROBES * 4;
};

/* What a block scans. */
struct lk_scan_block {
  const lk_cuda_place *place;
  const lk_tile *tile;
  const lk_row_bound *bounds;         /* of its rows */
  const lk_probe_bound *probe_bounds; /* of its probes */
  const int8_t *codes, *probe_codes;  /* of the first chunk */
  size_t codes_step;                  /* from chunk to chunk */
  uint32_t probe, probes;             /* the first, and how many */
  uint32_t row, rows;                 /* the same, in the place; none where the tile ends before */
};

template <int PROBES>
LK_DEVICE lk_scan_block lk_scan_find(const lk_cuda_pass &pass) {
  uint32_t groups = lk_groups(pass.probes, PROBES);
  lk_scan_place at = lk_scan_place_of(lk_block(), groups);
  uint32_t tile = pass.tiles[at.item];
  lk_scan_block block;
  block.place = lk_cuda_place_of_tile(&pass, tile);
  tile -= block.place->first_tile;
  block.tile = &block.place->tiles[tile];
  block.row = tile * LK_TILE_ROWS + at.part * LK_BLOCK_ROWS;
  block.rows = block.place->rows > block.row ? block.place->rows - block.row : 0;
  if (block.rows > LK_BLOCK_ROWS) block.rows = LK_BLOCK_ROWS;
  block.bounds = block.place->bounds + block.row;
  block.codes = block.place->codes + lk_packed_at(pass.chunks, LK_TILE_ROWS, block.row, 0);
  block.codes_step = (size_t)LK_TILE_ROWS * LK_CHUNK;
  block.probe = at.group * PROBES;
  block.probes = pass.probes - block.probe;
  if (block.probes > PROBES) block.probes = PROBES;
  block.probe_bounds = pass.bounds + (size_t)block.place->frame * pass.probes + block.probe;
  size_t run = (size_t)lk_cuda_coded_frame(pass.metric, block.place->frame) * groups + at.group;
  block.probe_codes = pass.codes + lk_packed_chunk(pass.chunks, PROBES, run, 0);
  return block;
}

/* Starts to load a chunk: first the probes, then the rows. */
template <int PROBES>
LK_DEVICE void lk_scan_load(const lk_scan_block &block, lk_shared<lk_quad> stages, uint32_t chunk) {
  constexpr uint32_t quads = lk_scan_shape<PROBES>::quads, probe_quads = PROBES * LK_CHUNK_QUADS;
  uint32_t stage = chunk % LK_SCAN_STAGES * quads;
  const int8_t *probes = block.probe_codes + (size_t)chunk * PROBES * LK_CHUNK;
  const int8_t *rows = block.codes + chunk * block.codes_step;
  LK_UNROLL
  for (uint32_t i = lk_thread(); i < quads; i += LK_SCAN_THREADS)
    lk_copy(stages, stage + i, i < probe_quads ? probes + i * 16 : rows + (i - probe_quads) * 16);
}

/* The sums of one warp. */
template <int PROBES>
struct lk_scan_sums {
  int32_t at[lk_scan_shape<PROBES>::probe_tiles][lk_scan_shape<PROBES>::row_tiles][4];
};

/* Multiplies one chunk: two instructions deep. */
template <int PROBES>
LK_DEVICE void lk_scan_multiply(lk_shared<lk_quad> stages, uint32_t chunk, lk_scan_sums<PROBES> &sums) {
  using shape = lk_scan_shape<PROBES>;
  uint32_t lane = lk_thread() % LK_WARP, warp = lk_thread() / LK_WARP;
  uint32_t own = lane / 4 * LK_CHUNK_QUADS + lk_packed_quad(lane / 4, lane % 4);
  uint32_t stage = chunk % LK_SCAN_STAGES * shape::quads;
  uint32_t probes = stage + warp / shape::row_warps * shape::probe_tiles * 64 + own;
  uint32_t rows = stage + PROBES * LK_CHUNK_QUADS + warp % shape::row_warps * shape::row_tiles * 32 + own;
  lk_quad upper[shape::probe_tiles], lower[shape::probe_tiles];
  LK_UNROLL
  for (int m = 0; m < shape::probe_tiles; m++) {
    upper[m] = stages.load(probes + m * 64);
    lower[m] = stages.load(probes + m * 64 + 32);
  }
  LK_UNROLL
  for (int n = 0; n < shape::row_tiles; n++) {
    lk_quad codes = stages.load(rows + n * 32);
    LK_UNROLL
    for (int half = 0; half < 4; half += 2) {
      uint32_t b[2] = {codes.word[half], codes.word[half + 1]};
      LK_UNROLL
      for (int m = 0; m < shape::probe_tiles; m++) {
        uint32_t a[4] = {upper[m].word[half], lower[m].word[half], upper[m].word[half + 1], lower[m].word[half + 1]};
        lk_multiply(sums.at[m][n], a, b);
      }
    }
  }
}

/* Which of a lane's sums reach their thresholds, a bit each: by probe tile, half of it, row tile and column. */
template <int PROBES>
LK_DEVICE uint64_t lk_scan_compare(const lk_scan_sums<PROBES> &sums, lk_shared<int32_t> thresholds) {
  using shape = lk_scan_shape<PROBES>;
  uint32_t lane = lk_thread() % LK_WARP, first = lk_thread() / LK_WARP / shape::row_warps * shape::probe_tiles * 16;
  int32_t bars[shape::probe_tiles][2];
  bool any = false;
  LK_UNROLL
  for (int m = 0; m < shape::probe_tiles; m++) LK_UNROLL
  for (int half = 0; half < 2; half++) {
    bars[m][half] = thresholds.load(first + m * 16 + lk_product_row(lane, half * 2));
    int32_t top = INT32_MIN;
    LK_UNROLL
    for (int n = 0; n < shape::row_tiles; n++) top = lk_max3(top, sums.at[m][n][half * 2], sums.at[m][n][half * 2 + 1]);
    any |= top >= bars[m][half];
  }
  if (!lk_any(any)) return 0;
  uint64_t found = 0;
  LK_UNROLL
  for (int m = 0; m < shape::probe_tiles; m++) LK_UNROLL
  for (int i = 0; i < 4; i++) LK_UNROLL
  for (int n = 0; n < shape::row_tiles; n++)
    found |= (uint64_t)(sums.at[m][n][i] >= bars[m][i / 2]) << (((m * 2 + i / 2) * shape::row_tiles + n) * 2 + i % 2);
  return found;
}

/* Probe and row, counted in the block, of a bit. */
template <int PROBES>
LK_DEVICE lk_cuda_pair lk_scan_pair(uint32_t bit) {
  using shape = lk_scan_shape<PROBES>;
  uint32_t lane = lk_thread() % LK_WARP, warp = lk_thread() / LK_WARP;
  uint32_t column = bit % 2, n = bit / 2 % shape::row_tiles, half = bit / 2 / shape::row_tiles;
  uint32_t probe_tile = warp / shape::row_warps * shape::probe_tiles + half / 2;
  uint32_t row_tile = warp % shape::row_warps * shape::row_tiles + n;
  return {probe_tile * 16 + lk_product_row(lane, half % 2 * 2), row_tile * 8 + lk_product_column(lane, column)};
}

/* Of what reached its threshold, appends the rows that are there, fit their tile and are visible. */
template <int PROBES>
LK_DEVICE void lk_scan_append(const lk_cuda_pass &pass, const lk_scan_block &block, uint64_t found) {
  for (uint64_t left = found; left != 0; left &= left - 1) {
    uint32_t bit = lk_lowest_bit(left), row = lk_scan_pair<PROBES>(bit).row;
    bool keep = row < block.rows && lk_row_fits(block.tile, &block.bounds[row]) &&
                lk_cuda_visible(&pass, block.place, block.row + row);
    if (!keep) found &= ~((uint64_t)1 << bit);
  }
  if (!lk_any(found != 0)) return;
  uint64_t at = lk_reserve(&pass.counters->pairs, lk_count_bits(found));
  for (; found != 0; found &= found - 1, at++) {
    lk_cuda_pair pair = lk_scan_pair<PROBES>(lk_lowest_bit(found));
    lk_put_pair(pass, at, block.probe + pair.probe, block.place->first_row + block.row + pair.row);
  }
}

/* Rows that do not fit their tile go on to be looked at whatever their sums are. */
LK_DEVICE void lk_scan_misfits(const lk_cuda_pass &pass, const lk_scan_block &block) {
  if (block.rows == 0) return;
  uint32_t strip = block.row / LK_BLOCK_ROWS, first = strip == 0 ? 0 : block.place->misfit_ends[strip - 1];
  uint32_t count = (block.place->misfit_ends[strip] - first) * block.probes;
  for (uint32_t base = 0; base < count; base += lk_threads()) {
    uint32_t i = base + lk_thread(), row = i < count ? block.place->misfits[first + i / block.probes] : 0;
    bool keep = i < count && lk_cuda_visible(&pass, block.place, row);
    uint64_t at = lk_reserve(&pass.counters->pairs, keep);
    if (keep) lk_put_pair(pass, at, block.probe + i % block.probes, block.place->first_row + row);
  }
}

/* The threshold of each probe of the group, INT32_MAX beyond the last; whether any sum may reach one. */
template <int PROBES>
LK_DEVICE bool lk_scan_thresholds(const lk_cuda_pass &pass, const lk_scan_block &block, lk_shared<int32_t> thresholds) {
  int32_t threshold = INT32_MAX;
  uint32_t p = lk_thread();
  if (p < block.probes && block.rows > 0)
    threshold = lk_bound_threshold(pass.metric, &block.probe_bounds[p], block.tile, pass.bars[block.probe + p]);
  if (p < PROBES) thresholds.store(p, threshold);
  return lk_barrier_any(threshold != INT32_MAX && !lk_overflowed(pass));
}

/* Loads stay LK_SCAN_STAGES - 1 chunks ahead. The one barrier of a chunk says both that it is there for all and that
 * the chunk before, whose place the next load takes, has been read by all. */
template <int PROBES>
LK_KERNEL(LK_SCAN_THREADS, 2)
lk_scan_kernel(const lk_cuda_pass pass) {
  using shape = lk_scan_shape<PROBES>;
  lk_shared<lk_quad> stages = lk_shared_array<lk_quad>(0, LK_SCAN_STAGES * shape::quads);
  lk_shared<int32_t> thresholds = lk_shared_array<int32_t>(LK_SCAN_STAGES * shape::quads * 16, PROBES);
  lk_scan_block block = lk_scan_find<PROBES>(pass);
  for (uint32_t chunk = 0; chunk < LK_SCAN_STAGES - 1; chunk++) {
    if (chunk < pass.chunks) lk_scan_load<PROBES>(block, stages, chunk);
    lk_copy_commit();
  }
  bool any = lk_scan_thresholds<PROBES>(pass, block, thresholds);
  if (any) {
    lk_scan_sums<PROBES> sums = {};
    for (uint32_t chunk = 0; chunk < pass.chunks; chunk++) {
      lk_copy_wait<LK_SCAN_STAGES - 2>();
      lk_barrier();
      uint32_t next = chunk + LK_SCAN_STAGES - 1;
      if (next < pass.chunks) lk_scan_load<PROBES>(block, stages, next);
      lk_copy_commit();
      lk_scan_multiply<PROBES>(stages, chunk, sums);
    }
    uint64_t found = lk_scan_compare<PROBES>(sums, thresholds);
    if (lk_any(found != 0)) lk_scan_append<PROBES>(pass, block, found);
  }
  lk_copy_wait<0>();
  lk_scan_misfits(pass, block);
}

#endif
