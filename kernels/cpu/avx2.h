/* Inner loops of avx2.c that avx512vnni.c and amx.c use too. */
#ifndef KERNELS_CPU_AVX2_H
#define KERNELS_CPU_AVX2_H

#include "kernels/cpu/isa.h"

float lk_avx2_dot(const uint8_t *row, uint32_t width, const float *rotated);
void lk_avx2_multiply(const float *rows, uint32_t rows_count, const float *probes, uint32_t probes_count,
                      uint32_t width, float *product);
void lk_avx2_widen(const uint16_t *halves, uint32_t count, float *out);
float lk_avx2_score(lk_metric metric, const float *q, const float *x, uint32_t dim, double reciprocals);

#endif
