/* IEEE 754 binary16 as it lies in files. */
#ifndef KERNELS_HALF_H
#define KERNELS_HALF_H

#include <math.h>
#include <stdint.h>

#include "kernels/portable.h"

LK_INLINE float lk_half_to_float(uint16_t half) {
  int exponent = half >> 10 & 31, fraction = half & 1023;
  float magnitude = exponent == 0    ? ldexpf((float)fraction, -24)
                    : exponent == 31 ? (fraction == 0 ? INFINITY : NAN)
                                     : ldexpf((float)(1024 + fraction), exponent - 25);
  return half >> 15 ? -magnitude : magnitude;
}

#endif
