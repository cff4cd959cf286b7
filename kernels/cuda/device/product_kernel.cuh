/* The float scan's product where the machine has no library for it. A block multiplies 64 rows with 64 probes, a thread
 * 4 with 4. A library is several times faster; this kernel is always there. */
#ifndef KERNELS_CUDA_DEVICE_PRODUCT_KERNEL_CUH
#define KERNELS_CUDA_DEVICE_PRODUCT_KERNEL_CUH

#include "kernels/cuda/device/pass.h"
#include "kernels/cuda/device/ptx.cuh"

#define LK_PRODUCT_THREADS 256
#define LK_PRODUCT_DEPTH 16 /* elements at once */
#define LK_PRODUCT_STEP (LK_PRODUCT_SIDE / 4)
#define LK_PRODUCT_STRIDE (LK_PRODUCT_SIDE + 1) /* so that elements of one vector lie in different banks */
#define LK_PRODUCT_FLOATS (LK_PRODUCT_DEPTH * LK_PRODUCT_STRIDE)

/* Loads the elements from `first` on of 64 vectors, transposed; zeros where there is no vector or no element. */
LK_DEVICE void lk_product_load(lk_shared<float> to, const float *from, uint32_t count, uint32_t dim, uint32_t first) {
  for (uint32_t i = lk_thread(); i < LK_PRODUCT_SIDE * LK_PRODUCT_DEPTH; i += LK_PRODUCT_THREADS) {
    uint32_t vector = i / LK_PRODUCT_DEPTH, element = first + i % LK_PRODUCT_DEPTH;
    bool there = vector < count && element < dim;
    to.store(i % LK_PRODUCT_DEPTH * LK_PRODUCT_STRIDE + vector, there ? from[(size_t)vector * dim + element] : 0);
  }
}

LK_DEVICE void lk_product_add(lk_shared<float> rows, lk_shared<float> probes, float (&sums)[4][4]) {
  uint32_t row = lk_thread() / LK_PRODUCT_STEP, probe = lk_thread() % LK_PRODUCT_STEP;
  for (uint32_t k = 0; k < LK_PRODUCT_DEPTH; k++) {
    float x[4], q[4];
    LK_UNROLL
    for (int i = 0; i < 4; i++) {
      x[i] = rows.load(k * LK_PRODUCT_STRIDE + row + i * LK_PRODUCT_STEP);
      q[i] = probes.load(k * LK_PRODUCT_STRIDE + probe + i * LK_PRODUCT_STEP);
    }
    LK_UNROLL
    for (int i = 0; i < 4; i++) LK_UNROLL
    for (int j = 0; j < 4; j++) sums[i][j] += x[i] * q[j];
  }
}

LK_KERNEL(LK_PRODUCT_THREADS, 2) lk_product_kernel(const lk_cuda_pass pass) {
  if (lk_left_out(pass)) return;
  lk_shared<float> rows = lk_shared_array<float>(0, LK_PRODUCT_FLOATS);
  lk_shared<float> probes = lk_shared_array<float>(LK_PRODUCT_FLOATS * sizeof(float), LK_PRODUCT_FLOATS);
  uint32_t groups = lk_groups(pass.probes, LK_PRODUCT_SIDE), first = lk_block() / groups * LK_PRODUCT_SIDE;
  uint32_t first_probe = lk_block() % groups * LK_PRODUCT_SIDE;
  float sums[4][4] = {};
  for (uint32_t at = 0; at < pass.dim; at += LK_PRODUCT_DEPTH) {
    lk_product_load(rows, pass.float_rows + (size_t)first * pass.dim, LK_PRODUCT_SIDE, pass.dim, at);
    lk_product_load(probes, pass.float_probes + (size_t)first_probe * pass.dim, pass.probes - first_probe, pass.dim,
                    at);
    lk_barrier();
    lk_product_add(rows, probes, sums);
    lk_barrier();
  }
  uint32_t row = first + lk_thread() / LK_PRODUCT_STEP, probe = first_probe + lk_thread() % LK_PRODUCT_STEP;
  LK_UNROLL
  for (uint32_t i = 0; i < LK_PRODUCT_SIDE; i += LK_PRODUCT_STEP) LK_UNROLL
  for (uint32_t j = 0; j < LK_PRODUCT_SIDE; j += LK_PRODUCT_STEP)
    if (probe + j < pass.probes)
      pass.float_product[(size_t)(row + i) * pass.probes + probe + j] = sums[i / LK_PRODUCT_STEP][j / LK_PRODUCT_STEP];
}

#endif
