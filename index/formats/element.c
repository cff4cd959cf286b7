#include "index/formats/element.h"

#include <string.h>

#include "kernels/half.h"

uint32_t lk_element_bytes(lk_element element) {
  static const uint8_t bytes[] = {[LK_F32] = 4, [LK_F64] = 8, [LK_F16] = 2, [LK_U8] = 1,  [LK_I8] = 1, [LK_U16] = 2,
                                  [LK_I16] = 2, [LK_U32] = 4, [LK_I32] = 4, [LK_U64] = 8, [LK_I64] = 8};
  return bytes[element];
}

static float f32_of(uint32_t bits) {
  float value;
  memcpy(&value, &bits, sizeof value);
  return value;
}

static float f64_of(uint64_t bits) {
  double value;
  memcpy(&value, &bits, sizeof value);
  return (float)value;
}

#define KEEP(bits) (bits)

/* The loop of one type: `bits` is an element, its first byte the lowest. */
#define CONVERT(type, swap, value)                           \
  for (uint32_t i = 0; i < count; i++, at += stride_bytes) { \
    type bits;                                               \
    memcpy(&bits, at, sizeof bits);                          \
    if (big_endian) bits = swap(bits);                       \
    out[i] = (value);                                        \
  }                                                          \
  break

void lk_element_to_f32(lk_element element, bool big_endian, const void *from, uint64_t stride_bytes, uint32_t count,
                       float *out) {
  const char *at = from;
  if (element == LK_F32 && !big_endian && stride_bytes == sizeof *out) {
    memcpy(out, from, count * sizeof *out);
    return;
  }
  switch (element) {
    case LK_F32:
      CONVERT(uint32_t, __builtin_bswap32, f32_of(bits));
    case LK_F64:
      CONVERT(uint64_t, __builtin_bswap64, f64_of(bits));
    case LK_F16:
      CONVERT(uint16_t, __builtin_bswap16, lk_half_to_float(bits));
    case LK_U8:
      CONVERT(uint8_t, KEEP, (float)bits);
    case LK_I8:
      CONVERT(uint8_t, KEEP, (float)(int8_t)bits);
    case LK_U16:
      CONVERT(uint16_t, __builtin_bswap16, (float)bits);
    case LK_I16:
      CONVERT(uint16_t, __builtin_bswap16, (float)(int16_t)bits);
    case LK_U32:
      CONVERT(uint32_t, __builtin_bswap32, (float)bits);
    case LK_I32:
      CONVERT(uint32_t, __builtin_bswap32, (float)(int32_t)bits);
    case LK_U64:
      CONVERT(uint64_t, __builtin_bswap64, (float)bits);
    case LK_I64:
      CONVERT(uint64_t, __builtin_bswap64, (float)(int64_t)bits);
  }
}
