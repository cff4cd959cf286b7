/* The scan on Hopper: whole tiles times 128 probes, by blocks that stay. Of a block's three groups of four warps one
 * loads, and works out thresholds beside it; the other two multiply, 64 probes each, and look at their sums while the
 * next tile is on its way and the other group goes on multiplying.
 *
 * Codes lie in global memory as wgmma wants them in shared memory (layout.h), so that a chunk is loaded by two plain
 * bulk copies and no tensor map is needed. */
#ifndef KERNELS_CUDA_HOPPER_KERNEL_CUH
#define KERNELS_CUDA_HOPPER_KERNEL_CUH

#include "kernels/cuda/ptx_hopper.cuh"
#include "kernels/cuda/survivors_kernel.cuh"

#define LK_HOPPER_THREADS 384
#define LK_HOPPER_STAGES 8
#define LK_HOPPER_GROUP 128 /* threads of a role */

struct lk_hopper_shape {
  static constexpr int probe_quads = LK_GROUP_PROBES * LK_CHUNK_QUADS, row_quads = LK_TILE_ROWS * LK_CHUNK_QUADS;
  static constexpr int quads = probe_quads + row_quads; /* of a stage */
  static constexpr int thresholds_at = LK_HOPPER_STAGES * quads * 16,
                       gates_at = thresholds_at + 2 * LK_GROUP_PROBES * 4;
  static constexpr int gates = 2 * LK_HOPPER_STAGES + 4;
  static constexpr int bytes = gates_at + gates * 8;
};

/* Gates: a stage is full, a stage is empty, thresholds of this turn or the next are there, have been read. */
#define LK_HOPPER_FULL 0
#define LK_HOPPER_EMPTY LK_HOPPER_STAGES
#define LK_HOPPER_KNOWN (2 * LK_HOPPER_STAGES)
#define LK_HOPPER_READ (2 * LK_HOPPER_STAGES + 2)

struct lk_hopper_shared {
  lk_shared<lk_quad> stages;
  lk_shared<int32_t> thresholds; /* of two turns */
  lk_shared<uint64_t> gates;
};

LK_DEVICE void lk_hopper_make_gates(lk_shared<uint64_t> gates) {
  for (uint32_t stage = 0; stage < LK_HOPPER_STAGES; stage++) {
    lk_gate_make(gates, LK_HOPPER_FULL + stage, 1);
    lk_gate_make(gates, LK_HOPPER_EMPTY + stage, 2 * LK_HOPPER_GROUP / LK_WARP);
  }
  for (uint32_t turn = 0; turn < 2; turn++) {
    lk_gate_make(gates, LK_HOPPER_KNOWN + turn, LK_HOPPER_GROUP - LK_WARP);
    lk_gate_make(gates, LK_HOPPER_READ + turn, 2 * LK_HOPPER_GROUP);
  }
  lk_gate_fence();
}

/* Groups of probes come first: blocks that run together read the same codes. */
LK_DEVICE lk_scan_block lk_hopper_find(const lk_cuda_pass &pass, uint32_t item) {
  uint32_t groups = lk_groups(pass.probes, LK_GROUP_PROBES);
  return lk_scan_find<LK_GROUP_PROBES, LK_TILE_ROWS>(pass, item % groups, item / groups, 0);
}

/* One thread keeps all stages full. A gate that was never waited at counts as passed in its phase of parity 1. */
LK_DEVICE void lk_hopper_load(const lk_cuda_pass &pass, const lk_hopper_shared &shared, uint32_t items) {
  using shape = lk_hopper_shape;
  uint32_t step = 0;
  for (uint32_t item = lk_block(); item < items; item += lk_blocks()) {
    lk_scan_block block = lk_hopper_find(pass, item);
    for (uint32_t chunk = 0; chunk < pass.chunks; chunk++, step++) {
      uint32_t stage = step % LK_HOPPER_STAGES;
      lk_gate_wait(shared.gates, LK_HOPPER_EMPTY + stage, step / LK_HOPPER_STAGES % 2 ^ 1);
      lk_gate_announce(shared.gates, LK_HOPPER_FULL + stage, shape::quads * 16);
      lk_bulk_copy(shared.stages, stage * shape::quads, block.probe_codes + (size_t)chunk * shape::probe_quads * 16,
                   shape::probe_quads * 16, shared.gates, LK_HOPPER_FULL + stage);
      lk_bulk_copy(shared.stages, stage * shape::quads + shape::probe_quads,
                   block.codes + (size_t)chunk * shape::row_quads * 16, shape::row_quads * 16, shared.gates,
                   LK_HOPPER_FULL + stage);
    }
  }
}

/* Three warps are a turn ahead with the thresholds: they are arithmetic in double, which would hold up a product. */
LK_DEVICE void lk_hopper_thresholds(const lk_cuda_pass &pass, const lk_hopper_shared &shared, uint32_t items) {
  uint32_t turn = 0;
  for (uint32_t item = lk_block(); item < items; item += lk_blocks(), turn++) {
    lk_scan_block block = lk_hopper_find(pass, item);
    lk_gate_wait(shared.gates, LK_HOPPER_READ + turn % 2, turn / 2 % 2 ^ 1);
    for (uint32_t p = lk_thread() - LK_WARP; p < LK_GROUP_PROBES; p += LK_HOPPER_GROUP - LK_WARP)
      shared.thresholds.store(turn % 2 * LK_GROUP_PROBES + p, lk_scan_threshold(pass, block, p));
    lk_gate_arrive(shared.gates, LK_HOPPER_KNOWN + turn % 2);
  }
}

/* Multiplies one tile; returns the steps so far. A stage is given back by each warp for itself: a warp knows of no
 * other that its product is over. */
LK_DEVICE uint32_t lk_hopper_multiply(const lk_cuda_pass &pass, const lk_hopper_shared &shared, uint32_t step,
                                      int32_t (&sums)[128]) {
  using shape = lk_hopper_shape;
  uint32_t half = (lk_thread() / LK_HOPPER_GROUP - 1) * 64 * LK_CHUNK_QUADS; /* of the probes */
  for (uint32_t chunk = 0; chunk < pass.chunks; chunk++, step++) {
    uint32_t stage = step % LK_HOPPER_STAGES, before = (step - 1) % LK_HOPPER_STAGES, at = stage * shape::quads;
    lk_gate_wait(shared.gates, LK_HOPPER_FULL + stage, step / LK_HOPPER_STAGES % 2);
    lk_product_fence();
    for (uint32_t k = 0; k < LK_CHUNK_QUADS; k += 2) /* 32 bytes: two quads further, and the swizzle follows */
      lk_product(sums, lk_matrix(shared.stages, at + half + k), lk_matrix(shared.stages, at + shape::probe_quads + k),
                 chunk + k > 0);
    lk_product_commit();
    lk_product_wait<1>();
    if (chunk > 0 && lk_thread() % LK_WARP == 0) lk_gate_arrive(shared.gates, LK_HOPPER_EMPTY + before);
  }
  lk_product_wait<0>();
  if (lk_thread() % LK_WARP == 0) lk_gate_arrive(shared.gates, LK_HOPPER_EMPTY + (step - 1) % LK_HOPPER_STAGES);
  return step;
}

/* A warp has 16 probes and all rows of the tile: in two pieces, of which each has a bit a sum. */
LK_DEVICE void lk_hopper_sift(const lk_cuda_pass &pass, const lk_scan_block &block, const int32_t (&sums)[128],
                              const lk_scan_bars<1> &bars, uint32_t probe) {
  uint64_t lower = lk_scan_compare<1, 16, 0>(sums, bars), upper = lk_scan_compare<1, 16, 64>(sums, bars);
  if (lk_any(lower != 0)) lk_scan_append<16>(pass, block, {probe, 0}, lower);
  if (lk_any(upper != 0)) lk_scan_append<16>(pass, block, {probe, LK_TILE_ROWS / 2}, upper);
}

LK_DEVICE void lk_hopper_consume(const lk_cuda_pass &pass, const lk_hopper_shared &shared, uint32_t items) {
  uint32_t step = 0, turn = 0, index = lk_thread() - LK_HOPPER_GROUP, probe = index / LK_WARP * 16;
  int32_t sums[128];
  for (uint32_t item = lk_block(); item < items; item += lk_blocks(), turn++) {
    step = lk_hopper_multiply(pass, shared, step, sums);
    lk_gate_wait(shared.gates, LK_HOPPER_KNOWN + turn % 2, turn / 2 % 2);
    lk_scan_bars<1> bars = lk_scan_load_bars<1>(shared.thresholds, turn % 2 * LK_GROUP_PROBES + probe);
    lk_gate_arrive(shared.gates, LK_HOPPER_READ + turn % 2);
    lk_scan_block block = lk_hopper_find(pass, item);
    lk_hopper_sift(pass, block, sums, bars, probe);
    lk_scan_misfits(pass, block, index, 2 * LK_HOPPER_GROUP);
  }
}

LK_KERNEL(LK_HOPPER_THREADS, 1) lk_hopper_kernel(const lk_cuda_pass pass) {
  using shape = lk_hopper_shape;
  lk_hopper_shared shared = {lk_shared_array<lk_quad>(0, LK_HOPPER_STAGES * shape::quads),
                             lk_shared_array<int32_t>(shape::thresholds_at, 2 * LK_GROUP_PROBES),
                             lk_shared_array<uint64_t>(shape::gates_at, shape::gates)};
  uint32_t items = pass.tiles_count * lk_groups(pass.probes, LK_GROUP_PROBES);
  if (lk_thread() == 0) lk_hopper_make_gates(shared.gates);
  lk_barrier();
  if (lk_thread() >= LK_HOPPER_GROUP)
    lk_hopper_consume(pass, shared, items);
  else if (lk_thread() >= LK_WARP)
    lk_hopper_thresholds(pass, shared, items);
  else if (lk_thread() == 0)
    lk_hopper_load(pass, shared, items);
}

#endif
