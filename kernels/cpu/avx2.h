/* The inner loops of avx2.c that wider instruction sets use too. */
#ifndef KERNELS_CPU_AVX2_H
#define KERNELS_CPU_AVX2_H

#include "kernels/cpu/isa.h"

float lk_avx2_dot(const uint8_t *row, uint32_t width, const float *rotated);
float lk_avx2_score(lk_metric metric, const float *q, const float *x, uint32_t dim);

#endif
