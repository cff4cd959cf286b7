/* The scan on the tensor cores of sm_80 and later: a block multiplies the codes of 128 rows with those of a group of
 * probes. */
#ifndef KERNELS_CUDA_DEVICE_SCAN_KERNEL_CUH
#define KERNELS_CUDA_DEVICE_SCAN_KERNEL_CUH

#include "kernels/cuda/device/survivors_kernel.cuh"

#define LK_SCAN_THREADS 256
#define LK_SCAN_STAGES 4

/* How warps share PROBES x 128 sums, and how a warp's share divides into products of 16 x 8. */
template <int PROBES>
struct lk_scan_shape {
  static constexpr int probe_warps = PROBES >= 64 ? 2 : 1, row_warps = LK_SCAN_THREADS / LK_WARP / probe_warps;
  static constexpr int probe_tiles = PROBES / 16 / probe_warps, row_tiles = LK_BLOCK_ROWS / 8 / row_warps;
  static constexpr int sums = probe_tiles * row_tiles * 4;                /* of a lane */
  static constexpr int quads = (PROBES + LK_BLOCK_ROWS) * LK_CHUNK_QUADS; /* of a stage */
  static constexpr int bytes = LK_SCAN_STAGES * quads * 16 + PROBES * 4;
};

/* Where a warp's sums begin, counted within what the block scans. */
template <int PROBES>
LK_DEVICE lk_cuda_pair lk_scan_corner() {
  using shape = lk_scan_shape<PROBES>;
  uint32_t warp = lk_thread() / LK_WARP;
  return {warp / shape::row_warps * shape::probe_tiles * 16, warp % shape::row_warps * shape::row_tiles * 8};
}

/* Starts to load a chunk into its stage: first the probes, then the rows. */
template <int PROBES>
LK_DEVICE void lk_scan_load(const lk_scan_block &block, lk_shared<lk_quad> stages, uint32_t chunk) {
  constexpr uint32_t quads = lk_scan_shape<PROBES>::quads, probe_quads = PROBES * LK_CHUNK_QUADS;
  uint32_t stage = chunk % LK_SCAN_STAGES * quads;
  const int8_t *probes = block.probe_codes + (size_t)chunk * PROBES * LK_CHUNK;
  const int8_t *rows = block.codes + (size_t)chunk * LK_TILE_ROWS * LK_CHUNK;
  LK_UNROLL
  for (uint32_t i = lk_thread(); i < quads; i += LK_SCAN_THREADS)
    lk_copy(stages, stage + i, i < probe_quads ? probes + i * 16 : rows + (i - probe_quads) * 16);
}

/* Multiplies one chunk, which takes two instructions for each product. */
template <int PROBES>
LK_DEVICE void lk_scan_multiply(lk_shared<lk_quad> stages, uint32_t chunk, lk_cuda_pair corner,
                                int32_t (&sums)[lk_scan_shape<PROBES>::sums / 4][4]) {
  using shape = lk_scan_shape<PROBES>;
  uint32_t lane = lk_thread() % LK_WARP;
  uint32_t own = lane / 4 * LK_CHUNK_QUADS + lk_packed_quad(lane / 4, lane % 4);
  uint32_t probes = chunk % LK_SCAN_STAGES * shape::quads + own, rows = probes + PROBES * LK_CHUNK_QUADS;
  lk_quad codes[shape::row_tiles];
  LK_UNROLL
  for (int n = 0; n < shape::row_tiles; n++) codes[n] = stages.load(rows + (corner.row + n * 8) * LK_CHUNK_QUADS);
  LK_UNROLL
  for (int m = 0; m < shape::probe_tiles; m++) {
    lk_quad upper = stages.load(probes + (corner.probe + m * 16) * LK_CHUNK_QUADS);
    lk_quad lower = stages.load(probes + (corner.probe + m * 16 + 8) * LK_CHUNK_QUADS);
    LK_UNROLL
    for (int half = 0; half < 4; half += 2) {
      uint32_t a[4] = {upper.word[half], lower.word[half], upper.word[half + 1], lower.word[half + 1]};
      LK_UNROLL
      for (int n = 0; n < shape::row_tiles; n++) {
        uint32_t b[2] = {codes[n].word[half], codes[n].word[half + 1]};
        lk_multiply(sums[m * shape::row_tiles + n], a, b);
      }
    }
  }
}

/* Computes the threshold of each probe of the group; returns whether any sum may reach one. */
template <int PROBES>
LK_DEVICE bool lk_scan_thresholds(const lk_cuda_pass &pass, const lk_scan_block &block, lk_shared<int32_t> thresholds) {
  int32_t threshold = lk_scan_threshold(pass, block, lk_thread());
  if (lk_thread() < PROBES) thresholds.store(lk_thread(), threshold);
  return lk_barrier_any(threshold != INT32_MAX && !lk_overflowed(pass));
}

/* Loads stay LK_SCAN_STAGES - 1 chunks ahead. One barrier for each chunk suffices: it says that the chunk has arrived
 * for all threads, and that all have read the chunk before, whose stage the next load takes. */
template <int PROBES>
LK_DEVICE uint64_t lk_scan_product(const lk_cuda_pass &pass, const lk_scan_block &block, lk_shared<lk_quad> stages,
                                   lk_shared<int32_t> thresholds) {
  using shape = lk_scan_shape<PROBES>;
  lk_cuda_pair corner = lk_scan_corner<PROBES>();
  union {
    int32_t by_product[shape::sums / 4][4], all[shape::sums];
  } sums = {};
  for (uint32_t chunk = 0; chunk < pass.chunks; chunk++) {
    lk_copy_wait<LK_SCAN_STAGES - 2>();
    lk_barrier();
    uint32_t next = chunk + LK_SCAN_STAGES - 1;
    if (next < pass.chunks) lk_scan_load<PROBES>(block, stages, next);
    lk_copy_commit();
    lk_scan_multiply<PROBES>(stages, chunk, corner, sums.by_product);
  }
  lk_scan_bars<shape::probe_tiles> bars = lk_scan_load_bars<shape::probe_tiles>(thresholds, corner.probe);
  return lk_scan_compare<shape::probe_tiles, shape::row_tiles, 0>(sums.all, bars);
}

template <int PROBES>
LK_KERNEL(LK_SCAN_THREADS, 2)
lk_scan_kernel(const lk_cuda_pass pass) {
  if (lk_left_out(pass)) return;
  using shape = lk_scan_shape<PROBES>;
  lk_shared<lk_quad> stages = lk_shared_array<lk_quad>(0, LK_SCAN_STAGES * shape::quads);
  lk_shared<int32_t> thresholds = lk_shared_array<int32_t>(LK_SCAN_STAGES * shape::quads * 16, PROBES);
  lk_scan_placement at = lk_scan_placement_of(lk_block(), lk_groups(pass.probes, PROBES));
  lk_scan_block block = lk_scan_find<PROBES, LK_BLOCK_ROWS>(pass, at.group, at.item, at.half);
  for (uint32_t chunk = 0; chunk < LK_SCAN_STAGES - 1; chunk++) {
    if (chunk < pass.chunks) lk_scan_load<PROBES>(block, stages, chunk);
    lk_copy_commit();
  }
  uint64_t found = 0;
  if (lk_scan_thresholds<PROBES>(pass, block, thresholds))
    found = lk_scan_product<PROBES>(pass, block, stages, thresholds);
  if (lk_any(found != 0)) lk_scan_append<shape::row_tiles>(pass, block, lk_scan_corner<PROBES>(), found);
  lk_copy_wait<0>();
  lk_scan_outliers(pass, block, lk_thread(), lk_threads());
}

#endif
