/* What Hopper adds to ptx.cuh. Code for other GPUs gets the names only, since Hopper's kernel is never launched there.
 */
#ifndef KERNELS_CUDA_DEVICE_PTX_HOPPER_CUH
#define KERNELS_CUDA_DEVICE_PTX_HOPPER_CUH

#if defined(__CUDA_ARCH__) && !defined(__CUDA_ARCH_FEAT_SM90_ALL)
#include "kernels/cuda/device/ptx_absent.cuh"
#else
#include "kernels/cuda/device/ptx_sm90a.cuh"
#endif

#endif
