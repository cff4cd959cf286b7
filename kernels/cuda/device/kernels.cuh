/* The table of all kernels: name, device function, threads and bytes of shared memory of a block. */
#ifndef KERNELS_CUDA_DEVICE_KERNELS_CUH
#define KERNELS_CUDA_DEVICE_KERNELS_CUH

#include "kernels/cuda/device/float_kernel.cuh"
#include "kernels/cuda/device/hopper_kernel.cuh"
#include "kernels/cuda/device/kernel.h"
#include "kernels/cuda/device/product_kernel.cuh"
#include "kernels/cuda/device/rescore_kernel.cuh"
#include "kernels/cuda/device/rows_kernel.cuh"
#include "kernels/cuda/device/scan_kernel.cuh"
#include "kernels/cuda/device/select_kernel.cuh"

typedef void lk_kernel_function(const lk_cuda_pass);

typedef struct lk_kernel_entry {
  lk_kernel kernel;
  lk_kernel_function *function;
  uint32_t threads;
  uint32_t shared_bytes;
} lk_kernel_entry;

static const lk_kernel_entry lk_kernels[] = {
    {LK_KERNEL_SCAN_16, lk_scan_kernel<16>, LK_SCAN_THREADS, lk_scan_shape<16>::bytes},
    {LK_KERNEL_SCAN_32, lk_scan_kernel<32>, LK_SCAN_THREADS, lk_scan_shape<32>::bytes},
    {LK_KERNEL_SCAN_64, lk_scan_kernel<64>, LK_SCAN_THREADS, lk_scan_shape<64>::bytes},
    {LK_KERNEL_SCAN_128, lk_scan_kernel<128>, LK_SCAN_THREADS, lk_scan_shape<128>::bytes},
    {LK_KERNEL_HOPPER, lk_hopper_kernel, LK_HOPPER_THREADS, lk_hopper_shape::bytes},
    {LK_KERNEL_RESCORE, lk_rescore_kernel, LK_RESCORE_THREADS, 0},
    {LK_KERNEL_STARTS, lk_starts_kernel, LK_SELECT_THREADS, LK_SELECT_THREADS * sizeof(uint64_t)},
    {LK_KERNEL_SCATTER, lk_scatter_kernel, LK_SELECT_THREADS, 0},
    {LK_KERNEL_SELECT, lk_select_kernel, LK_SELECT_THREADS, LK_SELECT_SHARED * sizeof(lk_hit) + sizeof(uint32_t)},
    {LK_KERNEL_VISIBLE, lk_visible_kernel, LK_ROWS_THREADS, 0},
    {LK_KERNEL_SEED, lk_seed_kernel, LK_ROWS_THREADS, 0},
    {LK_KERNEL_LIST, lk_list_kernel, LK_ROWS_THREADS, 0},
    {LK_KERNEL_PAIRS, lk_pairs_kernel, LK_ROWS_THREADS, 0},
    {LK_KERNEL_CENTRE, lk_centre_kernel, LK_FLOAT_THREADS, 0},
    {LK_KERNEL_PRODUCT, lk_product_kernel, LK_PRODUCT_THREADS, 2 * LK_PRODUCT_FLOATS * sizeof(float)},
    {LK_KERNEL_FLOAT, lk_float_kernel, LK_FLOAT_THREADS, 0},
};

#endif
