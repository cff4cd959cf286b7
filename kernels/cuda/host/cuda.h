/* The CUDA backend: codes and rows in a GPU's memory, scan and rescore on its processors. */
#ifndef KERNELS_CUDA_HOST_CUDA_H
#define KERNELS_CUDA_HOST_CUDA_H

#include "kernels/backend.h"
#include "kernels/cuda/host/gpu.h"

/* `device`: "cuda" (the first GPU), "cuda:" and a number, and after that ":generic" for the kernels that every GPU from
 * sm_80 on runs, or ":hopper" for those of sm_90a. Without either it is the generic ones, until the others have been
 * run on a GPU (bench/results/GPU.md). `threads`: for what the host does, 0: as many as this process may run on. */
lk_status lk_cuda_open(const char *device, uint32_t threads, lk_backend **backend, lk_error *error);

/* A backend on a GPU, which it closes; where it fails the GPU stays the caller's. `hopper`: with the kernels of sm_90a
 * where the GPU has them and they pass the self-test; the backend's name says what was taken, and why. LK_EINTERNAL:
 * the generic kernels do not pass it. */
lk_status lk_cuda_make(lk_gpu *gpu, bool hopper, uint32_t threads, lk_backend **backend, lk_error *error);

#endif
