/* Inner loops of avx512vnni.c that amx.c uses for few probes. */
#ifndef KERNELS_CPU_AVX512VNNI_H
#define KERNELS_CPU_AVX512VNNI_H

#include "kernels/cpu/isa.h"

size_t lk_avx512vnni_scan(const uint8_t *tile, uint32_t strips, uint32_t width, const int8_t *probes, uint32_t count,
                          const int32_t *thresholds, uint16_t *survivors);
void lk_avx512vnni_sum(const uint8_t *tile, uint32_t strips, uint32_t width, const int8_t *probes, uint32_t count,
                       int32_t *sums);

#endif
