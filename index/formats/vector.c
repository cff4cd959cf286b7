#include "index/formats/vector.h"

#include <inttypes.h>
#include <math.h>
#include <stddef.h>
#include <string.h>

#include "base/fail.h"
#include "kernels/half.h"

static uint64_t row_bytes(const lk_vectors *vectors) {
  static const uint64_t sizes[] = {[LK_F32] = 4, [LK_F64] = 8, [LK_F16] = 2, [LK_U8] = 1};
  return vectors->dim * sizes[vectors->element];
}

static uint64_t stride_of(const lk_vectors *vectors) {
  return vectors->stride_bytes != 0 ? vectors->stride_bytes : row_bytes(vectors);
}

lk_status lk_vectors_check(const lk_vectors *v, lk_error *error) {
  uint64_t bytes;
  if ((unsigned)v->element > LK_U8)
    return lk_fail(error, LK_EINVAL, "%s: invalid element %d", v->name, (int)v->element);
  if (v->rows == 0) return LK_OK;
  if (v->data == NULL) return lk_fail(error, LK_EINVAL, "%s: %" PRIu64 " rows, but no data", v->name, v->rows);
  if (__builtin_mul_overflow(v->rows - 1, stride_of(v), &bytes) ||
      __builtin_add_overflow(bytes, row_bytes(v), &bytes) || bytes > PTRDIFF_MAX)
    return lk_fail(error, LK_EINVAL, "%s: %" PRIu64 " rows, each %" PRIu64 " bytes after the one before, exceed memory",
                   v->name, v->rows, stride_of(v));
  return LK_OK;
}

const void *lk_vector_at(const lk_vectors *vectors, uint64_t row) {
  return (const char *)vectors->data + row * stride_of(vectors);
}

lk_vectors lk_vector_part(const lk_vectors *vectors, uint64_t first, uint64_t most) {
  lk_vectors part = *vectors;
  part.data = lk_vector_at(vectors, first);
  part.rows = vectors->rows - first < most ? vectors->rows - first : most;
  return part;
}

static float element_at(lk_element element, const char *row, size_t i) {
  float f32;
  double f64;
  uint16_t f16;
  switch (element) {
    case LK_F32:
      memcpy(&f32, row + i * sizeof f32, sizeof f32);
      return f32;
    case LK_F64:
      memcpy(&f64, row + i * sizeof f64, sizeof f64);
      return (float)f64;
    case LK_F16:
      memcpy(&f16, row + i * sizeof f16, sizeof f16);
      return lk_half_to_float(f16);
    case LK_U8:
      break;
  }
  return ((const uint8_t *)row)[i];
}

void lk_vector_to_f32(const lk_vectors *vectors, uint64_t first, uint64_t rows, float *out) {
  for (uint64_t r = first; r < first + rows; r++) {
    const char *row = lk_vector_at(vectors, r);
    for (uint32_t i = 0; i < vectors->dim; i++) *out++ = element_at(vectors->element, row, i);
  }
}

const char *lk_vector_prepare(lk_metric metric, const lk_vectors *vectors, uint64_t row, float *out) {
  lk_vector_to_f32(vectors, row, 1, out);
  double squares = 0;
  for (uint32_t i = 0; i < vectors->dim; i++) squares += (double)out[i] * out[i];
  if (isnan(squares)) return "has a NaN";
  if (isinf(squares)) return "has an infinite element";
  double norm = sqrt(squares);
  if (norm == 0 && metric == LK_COSINE) return "is all zeros";
  if (norm != 0 && (norm < 0x1p-40 || norm > 0x1p40)) return "has a length outside 2^-40 .. 2^40";
  for (uint32_t i = 0; metric == LK_COSINE && i < vectors->dim; i++) out[i] = (float)(out[i] / norm);
  return NULL;
}

const char *lk_vector_round(lk_store store, float *v, uint32_t dim) {
  if (store == LK_STORE_F32) return NULL;
  bool was_zero = true, is_zero = true;
  for (uint32_t i = 0; i < dim; i++) {
    was_zero &= v[i] == 0;
    v[i] = lk_half_to_float(lk_half_from_float(v[i]));
    if (isinf(v[i])) return "has an element beyond 65504, the largest of an f16 gallery";
    is_zero &= v[i] == 0;
  }
  return is_zero && !was_zero ? "is too small for an f16 gallery: all its elements become zero" : NULL;
}
