/* The scan on Hopper. A block goes through many tiles and multiplies each with 128 probes. It has three groups of four
 * warps. One group loads codes and computes thresholds. The other two multiply, 64 probes each; while one of them looks
 * at its sums, the next tile is on its way and the other one goes on multiplying.
 *
 * Codes lie in global memory as wgmma reads them in shared memory (layout.h): plain bulk copies load a chunk, without a
 * tensor map. The second-level cache could not bring both sides of the product as fast as the tensor cores take them.
 * So a block keeps to one group of probes, whose codes stay in shared memory up to 1280 dimensions; beyond, they come
 * with each chunk of rows. And two blocks form a cluster that reads the same rows: each loads half of them for both. */
#ifndef KERNELS_CUDA_DEVICE_HOPPER_KERNEL_CUH
#define KERNELS_CUDA_DEVICE_HOPPER_KERNEL_CUH

#include "kernels/cuda/device/ptx_hopper.cuh"
#include "kernels/cuda/device/survivors_kernel.cuh"

#define LK_HOPPER_THREADS 384
#define LK_HOPPER_STAGES 8    /* of the ring, at most */
#define LK_HOPPER_GROUP 128   /* threads of a group of four warps */
#define LK_HOPPER_RESIDENT 20 /* chunks of probes that leave room for four stages of rows */
/* Registers of a thread that multiplies, and of the others. When the block begins each has 168. */
#define LK_HOPPER_REGISTERS 216
#define LK_HOPPER_LOADING_REGISTERS 72

struct lk_hopper_shape {
  static constexpr int probe_quads = LK_GROUP_PROBES * LK_CHUNK_QUADS, row_quads = LK_TILE_ROWS * LK_CHUNK_QUADS;
  static constexpr int quads = LK_HOPPER_RESIDENT * probe_quads + 4 * row_quads; /* probes and stages */
  static constexpr int thresholds_at = quads * 16, mbarriers_at = thresholds_at + 2 * LK_GROUP_PROBES * 4;
  static constexpr int mbarriers = 2 * LK_HOPPER_STAGES + 5;
  static constexpr int bytes = mbarriers_at + mbarriers * 8;
};
static_assert(lk_hopper_shape::bytes <= 232448, "the most that a block of sm_90 may have");
static_assert(LK_HOPPER_STAGES * (lk_hopper_shape::probe_quads + lk_hopper_shape::row_quads) <= lk_hopper_shape::quads,
              "stages that hold probes, too, have room");

/* The mbarriers, in their order: each stage is full; each stage is empty; the thresholds of this turn or the next are
 * there; they have been read; the resident probes are there. */
#define LK_HOPPER_FULL 0
#define LK_HOPPER_EMPTY LK_HOPPER_STAGES
#define LK_HOPPER_KNOWN (2 * LK_HOPPER_STAGES)
#define LK_HOPPER_READ (2 * LK_HOPPER_STAGES + 2)
#define LK_HOPPER_PROBES (2 * LK_HOPPER_STAGES + 4)

struct lk_hopper_shared {
  lk_shared<lk_quad> quads;
  lk_shared<int32_t> thresholds; /* of this turn and the next */
  lk_shared<uint64_t> mbarriers;
};

/* The ring of stages: where they lie in shared memory, and which one is next. */
struct lk_hopper_ring {
  bool resident;
  uint32_t first, quads, stages; /* quads before the first, quads of each, and how many stages */
  uint32_t stage, phase;
};

LK_DEVICE lk_hopper_ring lk_hopper_begin(const lk_cuda_pass &pass) {
  using shape = lk_hopper_shape;
  if (pass.chunks > LK_HOPPER_RESIDENT)
    return {false, 0, shape::probe_quads + shape::row_quads, LK_HOPPER_STAGES, 0, 0};
  uint32_t first = pass.chunks * shape::probe_quads, room = (shape::quads - first) / shape::row_quads;
  return {true, first, shape::row_quads, room < LK_HOPPER_STAGES ? room : LK_HOPPER_STAGES, 0, 0};
}

LK_DEVICE void lk_hopper_advance(lk_hopper_ring &ring) {
  if (++ring.stage < ring.stages) return;
  ring.stage = 0;
  ring.phase ^= 1;
}

LK_DEVICE uint32_t lk_hopper_at(const lk_hopper_ring &ring) { return ring.first + ring.stage * ring.quads; }

LK_DEVICE void lk_hopper_make_mbarriers(lk_shared<uint64_t> mbarriers, uint32_t cluster) {
  for (uint32_t stage = 0; stage < LK_HOPPER_STAGES; stage++) {
    lk_mbarrier_make(mbarriers, LK_HOPPER_FULL + stage, 1);
    lk_mbarrier_make(mbarriers, LK_HOPPER_EMPTY + stage, cluster * 2 * LK_HOPPER_GROUP / LK_WARP);
  }
  for (uint32_t turn = 0; turn < 2; turn++) {
    lk_mbarrier_make(mbarriers, LK_HOPPER_KNOWN + turn, LK_HOPPER_GROUP - LK_WARP);
    lk_mbarrier_make(mbarriers, LK_HOPPER_READ + turn, 2 * LK_HOPPER_GROUP);
  }
  lk_mbarrier_make(mbarriers, LK_HOPPER_PROBES, 1);
  lk_mbarrier_fence();
}

/* Which tiles of the round a block scans: `item`, and then every `step`-th. Blocks that run together, clusters above
 * all, scan the same tile for different probes. */
struct lk_hopper_turns {
  uint32_t group, item, step;
};

LK_DEVICE lk_hopper_turns lk_hopper_own(const lk_cuda_pass &pass) {
  uint32_t groups = lk_groups(pass.probes, LK_GROUP_PROBES);
  return {lk_block() % groups, lk_block() / groups, lk_blocks() / groups};
}

LK_DEVICE lk_scan_block lk_hopper_find(const lk_cuda_pass &pass, const lk_hopper_turns &own) {
  return lk_scan_find<LK_GROUP_PROBES, LK_TILE_ROWS>(pass, own.group, own.item, 0);
}

/* The centre for which the probes are coded that the tile is multiplied with. */
LK_DEVICE uint32_t lk_hopper_centre(const lk_cuda_pass &pass, const lk_hopper_turns &own) {
  return lk_coded_centre(pass.metric, lk_cuda_placement_of_tile(&pass, pass.tiles[own.item])->centre);
}

LK_DEVICE void lk_hopper_copy(const lk_hopper_shared &shared, uint32_t to, const int8_t *from, uint32_t quads,
                              uint32_t mbarrier) {
  lk_bulk_copy(shared.quads, to, from, quads * 16, shared.mbarriers, mbarrier);
}

/* Replaces the resident probes by those of another centre, as soon as nothing multiplies with them: when all stages are
 * empty. The wait for a stage that was never full returns at once, since a new mbarrier's phase of parity 1 is over. */
LK_DEVICE void lk_hopper_replace(const lk_cuda_pass &pass, const lk_hopper_shared &shared, lk_hopper_ring ring,
                                 const int8_t *codes) {
  using shape = lk_hopper_shape;
  for (uint32_t i = 0; i < ring.stages; i++, lk_hopper_advance(ring))
    lk_mbarrier_wait(shared.mbarriers, LK_HOPPER_EMPTY + ring.stage, ring.phase ^ 1);
  lk_mbarrier_announce(shared.mbarriers, LK_HOPPER_PROBES, pass.chunks * shape::probe_quads * 16);
  for (uint32_t chunk = 0; chunk < pass.chunks; chunk++)
    lk_hopper_copy(shared, chunk * shape::probe_quads, codes + (size_t)chunk * shape::probe_quads * 16,
                   shape::probe_quads, LK_HOPPER_PROBES);
}

/* One thread keeps all stages full. Where the other block of the cluster is ahead, its half of the rows may arrive
 * before this block has announced it. That does no harm: a stage is not full before this block has announced its bytes.
 */
LK_DEVICE void lk_hopper_load(const lk_cuda_pass &pass, const lk_hopper_shared &shared) {
  using shape = lk_hopper_shape;
  lk_hopper_ring ring = lk_hopper_begin(pass);
  uint32_t resident = UINT32_MAX, cluster = lk_hopper_cluster(pass.probes);
  uint32_t share = shape::row_quads / cluster, begin = lk_block() % cluster * share;
  for (lk_hopper_turns own = lk_hopper_own(pass); own.item < pass.tiles_count; own.item += own.step) {
    lk_scan_block block = lk_hopper_find(pass, own);
    uint32_t centre = lk_hopper_centre(pass, own);
    if (ring.resident && centre != resident) lk_hopper_replace(pass, shared, ring, block.probe_codes);
    resident = centre;
    for (uint32_t chunk = 0; chunk < pass.chunks; chunk++, lk_hopper_advance(ring)) {
      uint32_t at = lk_hopper_at(ring), full = LK_HOPPER_FULL + ring.stage;
      lk_mbarrier_wait(shared.mbarriers, LK_HOPPER_EMPTY + ring.stage, ring.phase ^ 1);
      lk_mbarrier_announce(shared.mbarriers, full, ring.quads * 16);
      lk_bulk_copy_to_all(shared.quads, at + begin, block.codes + ((size_t)chunk * shape::row_quads + begin) * 16,
                          share * 16, shared.mbarriers, full, cluster);
      if (!ring.resident)
        lk_hopper_copy(shared, at + shape::row_quads, block.probe_codes + (size_t)chunk * shape::probe_quads * 16,
                       shape::probe_quads, full);
    }
  }
}

/* Three warps compute the thresholds a turn ahead: arithmetic in double would make the products wait. */
LK_DEVICE void lk_hopper_thresholds(const lk_cuda_pass &pass, const lk_hopper_shared &shared) {
  uint32_t turn = 0;
  for (lk_hopper_turns own = lk_hopper_own(pass); own.item < pass.tiles_count; own.item += own.step, turn++) {
    lk_scan_block block = lk_hopper_find(pass, own);
    lk_mbarrier_wait(shared.mbarriers, LK_HOPPER_READ + turn % 2, turn / 2 % 2 ^ 1);
    for (uint32_t p = lk_thread() - LK_WARP; p < LK_GROUP_PROBES; p += LK_HOPPER_GROUP - LK_WARP)
      shared.thresholds.store(turn % 2 * LK_GROUP_PROBES + p, lk_scan_threshold(pass, block, p));
    lk_mbarrier_arrive(shared.mbarriers, LK_HOPPER_KNOWN + turn % 2);
  }
}

/* Each warp gives a stage back for itself, since it does not know whether another warp's product is over. It tells all
 * blocks of the cluster, since they write to the stage. */
LK_DEVICE void lk_hopper_give_back(const lk_cuda_pass &pass, const lk_hopper_shared &shared, uint32_t stage) {
  uint32_t lane = lk_thread() % LK_WARP;
  if (lane < lk_hopper_cluster(pass.probes)) lk_mbarrier_arrive_at(shared.mbarriers, LK_HOPPER_EMPTY + stage, lane);
}

/* Multiplies one tile. */
LK_DEVICE void lk_hopper_multiply(const lk_cuda_pass &pass, const lk_hopper_shared &shared, lk_hopper_ring &ring,
                                  int32_t (&sums)[128]) {
  using shape = lk_hopper_shape;
  uint32_t half = (lk_thread() / LK_HOPPER_GROUP - 1) * 64 * LK_CHUNK_QUADS; /* of the probes */
  uint32_t before = 0;
  for (uint32_t chunk = 0; chunk < pass.chunks; chunk++, lk_hopper_advance(ring)) {
    uint32_t rows = lk_hopper_at(ring);
    uint32_t probes = half + (ring.resident ? chunk * shape::probe_quads : rows + shape::row_quads);
    lk_mbarrier_wait(shared.mbarriers, LK_HOPPER_FULL + ring.stage, ring.phase);
    lk_product_fence();
    for (uint32_t k = 0; k < LK_CHUNK_QUADS; k += 2) /* 32 bytes: two quads further, and the swizzle follows */
      lk_product(sums, lk_matrix(shared.quads, probes + k), lk_matrix(shared.quads, rows + k), chunk + k > 0);
    lk_product_commit();
    lk_product_wait<1>();
    if (chunk > 0) lk_hopper_give_back(pass, shared, before);
    before = ring.stage;
  }
  lk_product_wait<0>();
  lk_hopper_give_back(pass, shared, before);
}

/* A warp has the sums of 16 probes with all rows of the tile. It looks at them in two halves, since a half has as many
 * sums a lane as a word has bits. */
LK_DEVICE void lk_hopper_sift(const lk_cuda_pass &pass, const lk_scan_block &block, const int32_t (&sums)[128],
                              const lk_scan_bars<1> &bars, uint32_t probe) {
  uint64_t lower = lk_scan_compare<1, 16, 0>(sums, bars), upper = lk_scan_compare<1, 16, 64>(sums, bars);
  if (lk_any(lower != 0)) lk_scan_append<16>(pass, block, {probe, 0}, lower);
  if (lk_any(upper != 0)) lk_scan_append<16>(pass, block, {probe, LK_TILE_ROWS / 2}, upper);
}

LK_DEVICE void lk_hopper_consume(const lk_cuda_pass &pass, const lk_hopper_shared &shared) {
  uint32_t turn = 0, loads = 0, resident = UINT32_MAX;
  uint32_t index = lk_thread() - LK_HOPPER_GROUP, probe = index / LK_WARP * 16;
  lk_hopper_ring ring = lk_hopper_begin(pass);
  int32_t sums[128];
  for (lk_hopper_turns own = lk_hopper_own(pass); own.item < pass.tiles_count; own.item += own.step, turn++) {
    uint32_t centre = lk_hopper_centre(pass, own);
    if (ring.resident && centre != resident) lk_mbarrier_wait(shared.mbarriers, LK_HOPPER_PROBES, loads++ % 2);
    resident = centre;
    lk_hopper_multiply(pass, shared, ring, sums);
    lk_mbarrier_wait(shared.mbarriers, LK_HOPPER_KNOWN + turn % 2, turn / 2 % 2);
    lk_scan_bars<1> bars = lk_scan_load_bars<1>(shared.thresholds, turn % 2 * LK_GROUP_PROBES + probe);
    lk_mbarrier_arrive(shared.mbarriers, LK_HOPPER_READ + turn % 2);
    lk_scan_block block = lk_hopper_find(pass, own);
    lk_hopper_sift(pass, block, sums, bars, probe);
    lk_scan_outliers(pass, block, index, 2 * LK_HOPPER_GROUP);
  }
}

LK_KERNEL(LK_HOPPER_THREADS, 1) lk_hopper_kernel(const lk_cuda_pass pass) {
  if (lk_left_out(pass)) return;
  using shape = lk_hopper_shape;
  lk_hopper_shared shared = {lk_shared_array<lk_quad>(0, shape::quads),
                             lk_shared_array<int32_t>(shape::thresholds_at, 2 * LK_GROUP_PROBES),
                             lk_shared_array<uint64_t>(shape::mbarriers_at, shape::mbarriers)};
  if (lk_thread() == 0) lk_hopper_make_mbarriers(shared.mbarriers, lk_hopper_cluster(pass.probes));
  lk_cluster_barrier();
  if (lk_thread() >= LK_HOPPER_GROUP) {
    lk_registers_take<LK_HOPPER_REGISTERS>();
    lk_hopper_consume(pass, shared);
  } else {
    lk_registers_give<LK_HOPPER_LOADING_REGISTERS>();
    if (lk_thread() >= LK_WARP)
      lk_hopper_thresholds(pass, shared);
    else if (lk_thread() == 0)
      lk_hopper_load(pass, shared);
  }
  lk_cluster_barrier(); /* no block ends while the other may write to it */
}

#endif
