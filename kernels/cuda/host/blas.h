/* cuBLAS, which is opened for the first product. Most searches do not need this library of hundreds of megabytes, and a
 * program that was linked with it would not start on a machine that lacks it. */
#ifndef KERNELS_CUDA_HOST_BLAS_H
#define KERNELS_CUDA_HOST_BLAS_H

#include <cuda_runtime.h>
#include <stdint.h>

typedef struct lk_blas lk_blas;

/* NULL where the machine has no cuBLAS, or it does not start. */
lk_blas *lk_blas_open(cudaStream_t stream);
void lk_blas_close(lk_blas *blas);

/* Computes product (rows x probes) = rows (rows x dim) times probes (probes x dim), in float. Returns what went wrong,
 * or NULL. */
const char *lk_blas_multiply(lk_blas *blas, const float *rows, uint32_t rows_count, const float *probes,
                             uint32_t probes_count, uint32_t dim, float *product);

#endif
