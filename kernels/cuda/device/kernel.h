/* The kernels by name, for the host that asks for them and for the table that has them (kernels.cuh). */
#ifndef KERNELS_CUDA_DEVICE_KERNEL_H
#define KERNELS_CUDA_DEVICE_KERNEL_H

typedef enum lk_kernel {
  LK_KERNEL_SCAN_16, /* probes in a group */
  LK_KERNEL_SCAN_32,
  LK_KERNEL_SCAN_64,
  LK_KERNEL_SCAN_128,
  LK_KERNEL_HOPPER,
  LK_KERNEL_RESCORE,
  LK_KERNEL_STARTS,
  LK_KERNEL_SCATTER,
  LK_KERNEL_SELECT,
  LK_KERNEL_VISIBLE,
  LK_KERNEL_SEED,
  LK_KERNEL_LIST,
  LK_KERNEL_PAIRS,
  LK_KERNEL_CENTRE,
  LK_KERNEL_PRODUCT,
  LK_KERNEL_FLOAT,
  LK_KERNELS
} lk_kernel;

#endif
