/* Finds an element of a sequence by where it begins, on host and device. */
#ifndef KERNELS_BEGINS_H
#define KERNELS_BEGINS_H

#include <stddef.h>
#include <stdint.h>

#include "kernels/portable.h"

/* Returns the number of the last of `count` elements that begins at or before `value`. Begins never fall, and the first
 * one is at or before `value`. So an empty element, which begins where the next one does, is never found. `begins`
 * points to the begin of the first element; the begin of each further one lies `stride` bytes behind the one before. */
LK_INLINE uint32_t lk_last_begin(const void *begins, size_t stride, uint32_t count, uint32_t value) {
  uint32_t low = 0, high = count;
  while (high - low > 1) {
    uint32_t middle = low + (high - low) / 2;
    if (*(const uint32_t *)((const char *)begins + middle * stride) <= value)
      low = middle;
    else
      high = middle;
  }
  return low;
}

#endif
