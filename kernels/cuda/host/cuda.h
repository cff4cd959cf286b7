/* The CUDA backend: a GPU keeps codes and rows in its memory, and scans and rescores them. */
#ifndef KERNELS_CUDA_HOST_CUDA_H
#define KERNELS_CUDA_HOST_CUDA_H

#include "kernels/backend.h"
#include "kernels/cuda/host/gpu.h"

/* `device`: "cuda" (the first GPU) or "cuda:" and a number. Behind the number may stand ":generic" for the kernels that
 * every GPU from sm_80 on runs, or ":hopper" for those of sm_90a. Without either the backend takes the generic ones,
 * until the others have run on a GPU (bench/results/GPU.md). `threads`: of the host; 0: as many as this process may run
 * on. */
lk_status lk_cuda_open(const char *device, uint32_t threads, lk_backend **backend, lk_error *error);

/* Makes a backend of a GPU, which the backend closes; where this fails the GPU stays the caller's. `hopper`: the
 * backend takes the kernels of sm_90a if the GPU runs them and they pass the self-test; its name says which kernels it
 * took, and why. LK_EINTERNAL: the generic kernels do not pass the self-test. */
lk_status lk_cuda_make(lk_gpu *gpu, bool hopper, uint32_t threads, lk_backend **backend, lk_error *error);

#endif
