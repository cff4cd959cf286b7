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

/* Elements, `stride_bytes` from one to the next. */
typedef struct run {
  const char *at;
  uint64_t stride_bytes;
  bool big_endian;
} run;

#define KEEP(bits) (bits)

/* The loop of one type: `bits` is an element, its first byte the lowest. */
#define CONVERT(name, type, swap, value)                                 \
  static void name(run from, uint32_t count, float *out) {               \
    for (uint32_t i = 0; i < count; i++, from.at += from.stride_bytes) { \
      type bits;                                                         \
      memcpy(&bits, from.at, sizeof bits);                               \
      if (from.big_endian) bits = swap(bits);                            \
      out[i] = (value);                                                  \
    }                                                                    \
  }

CONVERT(convert_f32, uint32_t, __builtin_bswap32, f32_of(bits))
CONVERT(convert_f64, uint64_t, __builtin_bswap64, f64_of(bits))
CONVERT(convert_f16, uint16_t, __builtin_bswap16, lk_half_to_float(bits))
CONVERT(convert_u8, uint8_t, KEEP, (float)bits)
CONVERT(convert_i8, uint8_t, KEEP, (float)(int8_t)bits)
CONVERT(convert_u16, uint16_t, __builtin_bswap16, (float)bits)
CONVERT(convert_i16, uint16_t, __builtin_bswap16, (float)(int16_t)bits)
CONVERT(convert_u32, uint32_t, __builtin_bswap32, (float)bits)
CONVERT(convert_i32, uint32_t, __builtin_bswap32, (float)(int32_t)bits)
CONVERT(convert_u64, uint64_t, __builtin_bswap64, (float)bits)
CONVERT(convert_i64, uint64_t, __builtin_bswap64, (float)(int64_t)bits)

void lk_element_to_f32(lk_element element, bool big_endian, const void *from, uint64_t stride_bytes, uint32_t count,
                       float *out) {
  static void (*const convert[])(run, uint32_t, float *) = {
      [LK_F32] = convert_f32, [LK_F64] = convert_f64, [LK_F16] = convert_f16, [LK_U8] = convert_u8,
      [LK_I8] = convert_i8,   [LK_U16] = convert_u16, [LK_I16] = convert_i16, [LK_U32] = convert_u32,
      [LK_I32] = convert_i32, [LK_U64] = convert_u64, [LK_I64] = convert_i64};
  if (element == LK_F32 && !big_endian && stride_bytes == sizeof *out)
    memcpy(out, from, count * sizeof *out);
  else
    convert[element]((run){.at = from, .stride_bytes = stride_bytes, .big_endian = big_endian}, count, out);
}
