/* How a warp appends what its lanes found to a list that all warps share: with one atomic addition. */
#ifndef KERNELS_CUDA_DEVICE_APPEND_KERNEL_CUH
#define KERNELS_CUDA_DEVICE_APPEND_KERNEL_CUH

#include "kernels/cuda/device/pass.h"
#include "kernels/cuda/device/ptx.cuh"

/* Counts `count` entries of this lane, and returns where they begin. All lanes of the warp call it together. */
LK_DEVICE uint64_t lk_reserve(uint64_t *counter, uint32_t count) {
  uint32_t lane = lk_thread() % LK_WARP, end = count;
  for (uint32_t step = 1; step < LK_WARP; step *= 2) {
    uint32_t before = lk_shuffle_up(end, step);
    if (lane >= step) end += before;
  }
  uint64_t base = 0;
  if (lane == LK_WARP - 1) base = lk_add(counter, (uint64_t)end);
  return lk_shuffle(base, LK_WARP - 1) + end - count;
}

/* A pair that finds no room is not written, but has been counted: so the host sees that the round overflowed. */
LK_DEVICE void lk_put_pair(const lk_cuda_pass &pass, uint64_t at, uint32_t probe, uint32_t row) {
  if (at < pass.room) pass.pairs[at] = {probe, row};
}

LK_DEVICE bool lk_overflowed(const lk_cuda_pass &pass) { return lk_peek(&pass.counters->pairs) > pass.room; }

/* All threads of a round see the same, since no round counts as far as that. */
LK_DEVICE bool lk_left_out(const lk_cuda_pass &pass) { return lk_peek(&pass.counters->pairs) >= LK_CUDA_LEFT_OUT; }

#endif
