/* Numbers in IEEE 754 binary16, as files have them, and rows of them. */
#ifndef KERNELS_HALF_H
#define KERNELS_HALF_H

#include <math.h>
#include <stdint.h>
#include <string.h>

#include <likeness/types.h>
#include "kernels/portable.h"

LK_INLINE uint32_t lk_store_bytes(lk_store store) { return store == LK_STORE_F16 ? 2 : 4; }

LK_INLINE float lk_half_to_float(uint16_t half) {
  uint32_t exponent = half >> 10 & 31, fraction = half & 1023, bits;
  if (exponent == 0) return (half >> 15 ? -0x1p-24f : 0x1p-24f) * (float)fraction;
  bits = (uint32_t)(half >> 15) << 31 | (exponent == 31 ? 255 : exponent + 112) << 23 | fraction << 13;
  float value;
  memcpy(&value, &bits, sizeof value);
  return value;
}

/* Rounds to nearest, ties to even; a value beyond the largest half becomes infinite. */
LK_INLINE uint16_t lk_half_from_float(float value) {
  uint32_t bits;
  memcpy(&bits, &value, sizeof bits);
  uint16_t sign = (uint16_t)(bits >> 16 & 0x8000);
  bits &= 0x7fffffff;
  float magnitude = fabsf(value);
  if (isnan(value)) return (uint16_t)(sign | 0x7e00);
  if (magnitude >= 65520.0f) return (uint16_t)(sign | 0x7c00);
  if (magnitude < 0x1p-14f) return (uint16_t)(sign | (uint16_t)nearbyintf(magnitude * 0x1p24f));
  uint32_t rounded = (bits + 0xfff + (bits >> 13 & 1)) >> 13;
  return (uint16_t)(sign | (rounded - (112 << 10)));
}

/* Row `row` of rows x dim stored elements, as floats: floats where they lie, halves converted into `room` (dim floats).
 */
LK_INLINE const float *lk_stored_row(lk_store store, const void *rows, size_t row, uint32_t dim, float *room) {
  if (store == LK_STORE_F32) return (const float *)rows + row * dim;
  const uint16_t *halves = (const uint16_t *)rows + row * dim;
  for (uint32_t i = 0; i < dim; i++) room[i] = lk_half_to_float(halves[i]);
  return room;
}

#endif
