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

/* Whether the pair can still reach the bar; all lanes get the same. */
LK_DEVICE bool lk_rescore_rescreen(const lk_cuda_pass &pass, const lk_cuda_placement *placement, uint32_t probe,
                                   uint32_t row, float bar) {
  size_t coded = (size_t)lk_coded_centre(pass.metric, placement->centre) * pass.probes + probe;
  const int8_t *code = placement->codes + lk_packed_at(pass.chunks, LK_TILE_ROWS, row, 0);
  float dot = lk_rescore_dot(code, (size_t)LK_TILE_ROWS * LK_CHUNK, row, pass.rotated + coded * pass.chunks * LK_CHUNK,
                             pass.chunks);
  return lk_bound_reaches(pass.metric, pass.dim, &pass.bounds[(size_t)placement->centre * pass.probes + probe],
                          &placement->tiles[row / LK_TILE_ROWS], &placement->bounds[row], bar, dot);
}

LK_DEVICE float lk_rescore_element(lk_store store, const void *x, uint32_t i) {
  if (store == LK_STORE_F16) return lk_half_to_float(((const uint16_t *)x)[i]);
  return ((const float *)x)[i];
}

/* The canonical score: each lane of the warp is one of the 32 lanes of kernels/score.h. Lane 0 gets the score. */
LK_DEVICE float lk_rescore_score(const lk_cuda_pass &pass, const float *q, const void *x) {
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
  return lk_score_round(pass.metric == LK_L2 ? -sum : sum);
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
    if (pass.rescreens && !lk_rescore_rescreen(pass, placement, pair.probe, row, bar)) continue;
    rescored++;
    const char *x = (const char *)placement->exact + (size_t)row * pass.dim * lk_store_bytes(pass.store);
    float score = lk_rescore_score(pass, pass.exact + (size_t)pair.probe * pass.dim, x);
    if (lane == 0 && score >= bar) lk_rescore_keep(pass, pair, score);
  }
  if (lane == 0 && rescored > 0) lk_add(&pass.counters->rescored, rescored);
}

#endif
