/* Rescore: a warp looks at one pair after the other, with the float probe first, and scores the rest exactly. */
#ifndef KERNELS_CUDA_DEVICE_RESCORE_KERNEL_CUH
#define KERNELS_CUDA_DEVICE_RESCORE_KERNEL_CUH

#include "kernels/bound.h"
#include "kernels/cuda/device/append_kernel.cuh"
#include "kernels/score.h"

#define LK_RESCORE_THREADS 256

/* Multiplies a row's code with the rotated probe, in float; every lane gets the sum. Codes beyond the dimension are 0.
 */
LK_DEVICE float lk_rescore_dot(const int8_t *code, size_t step, uint32_t row, const float *rotated, uint32_t chunks) {
  uint32_t lane = lk_thread() % LK_WARP, own = lk_packed_quad(row, lane / 8) * 16 + lane % 8 * 2;
  float sum = 0;
  for (uint32_t chunk = 0; chunk < chunks; chunk++) {
    const int8_t *c = code + chunk * step + own;
    const float *r = rotated + chunk * LK_CHUNK + lane * 2;
    sum += (float)c[0] * r[0];
    sum += (float)c[1] * r[1];
  }
  for (uint32_t step_lanes = LK_WARP / 2; step_lanes > 0; step_lanes /= 2) sum += lk_shuffle_xor(sum, step_lanes);
  return sum;
}

/* What the certificate says of a pair; all lanes have the same. */
struct lk_rescore_pair {
  const lk_probe_bound *probe;
  const lk_tile *tile;
  const lk_row_bound *row;
  float dot; /* of the float probe and the row's code */
};

LK_DEVICE lk_rescore_pair lk_rescore_look(const lk_cuda_pass &pass, const lk_cuda_placement *placement, uint32_t probe,
                                          uint32_t row) {
  size_t coded = (size_t)lk_coded_centre(pass.metric, placement->centre) * pass.probes + probe;
  const int8_t *code = placement->codes + lk_packed_at(pass.chunks, LK_TILE_ROWS, row, 0);
  return {&pass.bounds[(size_t)placement->centre * pass.probes + probe], &placement->tiles[row / LK_TILE_ROWS],
          &placement->bounds[row],
          lk_rescore_dot(code, (size_t)LK_TILE_ROWS * LK_CHUNK, row, pass.rotated + coded * pass.chunks * LK_CHUNK,
                         pass.chunks)};
}

LK_DEVICE bool lk_rescore_reaches(const lk_cuda_pass &pass, const lk_rescore_pair &pair, float bar) {
  return lk_bound_reaches(pass.metric, pass.dim, pair.probe, pair.tile, pair.row, bar, pair.dot);
}

/* Holds a score against the row's code: one that the code does not allow fails the search. */
LK_DEVICE void lk_rescore_certify(const lk_cuda_pass &pass, const lk_rescore_pair &pair, uint32_t row, float score) {
  if (!lk_bound_allows(pass.metric, pass.dim, pair.probe, pair.tile, pair.row, score, pair.dot))
    lk_raise(pass.damaged, (uint64_t)row + 1);
}

LK_DEVICE float lk_rescore_element(lk_store store, const void *x, uint32_t i) {
  if (store == LK_STORE_F16) return lk_half_to_float(((const uint16_t *)x)[i]);
  return ((const float *)x)[i];
}

/* The canonical score: each lane of the warp is one of the 32 lanes of kernels/score.h. Lane 0 gets the score. */
LK_DEVICE float lk_rescore_score(const lk_cuda_pass &pass, const float *q, const void *x, double reciprocals) {
  double sum = 0;
  for (uint32_t i = lk_thread() % LK_WARP; i < pass.dim; i += LK_LANES) {
    double element = lk_rescore_element(pass.store, x, i);
    if (pass.metric == LK_L2) {
      double d = (double)q[i] - element;
      sum = fma(d, d, sum);
    } else {
      sum += (double)q[i] * element;
    }
  }
  for (uint32_t width = LK_LANES / 2; width > 0; width /= 2) sum += lk_shuffle_down(sum, width);
  return lk_score_round((pass.metric == LK_L2 ? -sum : sum) * reciprocals);
}

LK_DEVICE void lk_rescore_keep(const lk_cuda_pass &pass, lk_cuda_pair pair, float score) {
  uint32_t slot = lk_add(&pass.new_counts[pair.probe], 1u);
  uint64_t at = lk_add(&pass.counters->hits, (uint64_t)1);
  pass.scored[at] = {pair.probe, pair.row, slot, score};
}

/* Does nothing with a list that overflowed. */
LK_KERNEL(LK_RESCORE_THREADS, 4) lk_rescore_kernel(const lk_cuda_pass pass) {
  uint32_t lane = lk_thread() % LK_WARP, warps = lk_threads() / LK_WARP;
  uint64_t pairs = lk_overflowed(pass) ? 0 : lk_peek(&pass.counters->pairs), rescored = 0;
  for (uint64_t i = (uint64_t)lk_block() * warps + lk_thread() / LK_WARP; i < pairs;
       i += (uint64_t)lk_blocks() * warps) {
    lk_cuda_pair pair = pass.pairs[i];
    const lk_cuda_placement *placement = lk_cuda_placement_of_row(&pass, pair.row);
    uint32_t row = pair.row - placement->first_row;
    float bar = pass.bars[pair.probe];
    lk_rescore_pair seen = lk_rescore_look(pass, placement, pair.probe, row);
    if (pass.rescreens && !lk_rescore_reaches(pass, seen, bar)) continue;
    rescored++;
    const char *x = (const char *)placement->exact + (size_t)row * pass.dim * lk_store_bytes(pass.store);
    double reciprocals = pass.reciprocals[pair.probe] * lk_cuda_reciprocal(placement, row);
    float score = lk_rescore_score(pass, pass.exact + (size_t)pair.probe * pass.dim, x, reciprocals);
    if (lane == 0) lk_rescore_certify(pass, seen, pair.row, score);
    if (lane == 0 && score >= bar) lk_rescore_keep(pass, pair, score);
  }
  if (lane == 0 && rescored > 0) lk_add(&pass.counters->rescored, rescored);
}

#endif
