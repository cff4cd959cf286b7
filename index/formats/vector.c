#include "index/formats/vector.h"

#include <inttypes.h>
#include <math.h>
#include <stddef.h>
#include <string.h>

#include "base/fail.h"
#include "index/formats/element.h"
#include "kernels/half.h"

static uint64_t element_stride(const lk_vectors *v) {
  return v->element_stride_bytes != 0 ? v->element_stride_bytes : lk_element_bytes(v->element);
}

static uint64_t stride_of(const lk_vectors *v) {
  return v->stride_bytes != 0 ? v->stride_bytes : v->dim * (uint64_t)lk_element_bytes(v->element);
}

/* False: the vectors reach beyond the end of memory. */
static bool has_extent(const lk_vectors *v) {
  uint64_t rows, row, bytes;
  return v->dim == 0 ||
         (!__builtin_mul_overflow(v->rows - 1, stride_of(v), &rows) &&
          !__builtin_mul_overflow(v->dim - 1, element_stride(v), &row) && !__builtin_add_overflow(rows, row, &bytes) &&
          !__builtin_add_overflow(bytes, lk_element_bytes(v->element), &bytes) && bytes <= PTRDIFF_MAX);
}

lk_status lk_vectors_check(const lk_vectors *v, lk_error *error) {
  if ((unsigned)v->element > LK_I64)
    return lk_fail(error, LK_EINVAL, "%s: invalid element %d", v->name, (int)v->element);
  if (v->rows == 0) return LK_OK;
  if (v->data == NULL) return lk_fail(error, LK_EINVAL, "%s: %" PRIu64 " rows, but no data", v->name, v->rows);
  if (!has_extent(v))
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

void lk_vector_to_f32(const lk_vectors *vectors, uint64_t first, uint64_t rows, float *out) {
  for (uint64_t r = first; r < first + rows; r++, out += vectors->dim)
    lk_element_to_f32(vectors->element, vectors->big_endian, lk_vector_at(vectors, r), element_stride(vectors),
                      vectors->dim, out);
}

/* Whether the row itself has an infinite element: that of a float may also come of a double beyond its range. */
static bool has_infinity(const lk_vectors *vectors, uint64_t row) {
  if (vectors->element != LK_F64) return true;
  const char *at = lk_vector_at(vectors, row);
  for (uint32_t i = 0; i < vectors->dim; i++, at += element_stride(vectors)) {
    uint64_t bits;
    memcpy(&bits, at, sizeof bits);
    if (vectors->big_endian) bits = __builtin_bswap64(bits);
    if (bits << 1 == UINT64_C(0x7ff) << 53) return true;
  }
  return false;
}

const char *lk_vector_prepare(lk_metric metric, const lk_vectors *vectors, uint64_t row, float *out) {
  lk_vector_to_f32(vectors, row, 1, out);
  double squares = 0;
  for (uint32_t i = 0; i < vectors->dim; i++) squares += (double)out[i] * out[i];
  if (isnan(squares)) return "has a NaN";
  if (isinf(squares) && has_infinity(vectors, row)) return "has an infinite element";
  double norm = sqrt(squares);
  if (norm == 0 && metric == LK_COSINE) return "is all zeros";
  if (norm != 0 && (norm < 0x1p-40 || norm > 0x1p40)) return "has a length outside 2^-40 .. 2^40";
  return NULL;
}

/* Whether halves lose more of the vector than they do of numbers in their normal range: 2^-11 of its length. */
static bool is_beyond_halves(const float *v, uint32_t dim) {
  double lost = 0, squares = 0;
  for (uint32_t i = 0; i < dim; i++) {
    double difference = lk_half_to_float(lk_half_from_float(v[i])) - (double)v[i];
    lost += difference * difference;
    squares += (double)v[i] * v[i];
  }
  return !(lost <= squares * 0x1p-22);
}

/* Multiplies it with the power of two that takes its largest element into 1/2 .. 1. */
static void scale_to_halves(float *v, uint32_t dim) {
  float peak = 0;
  int exponent;
  for (uint32_t i = 0; i < dim; i++) peak = fmaxf(peak, fabsf(v[i]));
  frexpf(peak, &exponent);
  for (uint32_t i = 0; i < dim; i++) v[i] = ldexpf(v[i], -exponent);
}

const char *lk_vector_round(lk_metric metric, lk_store store, float *v, uint32_t dim) {
  if (store == LK_STORE_F32) return NULL;
  if (metric == LK_COSINE && is_beyond_halves(v, dim)) scale_to_halves(v, dim);
  bool was_zero = true, is_zero = true;
  for (uint32_t i = 0; i < dim; i++) {
    was_zero &= v[i] == 0;
    v[i] = lk_half_to_float(lk_half_from_float(v[i]));
    if (isinf(v[i])) return "has an element beyond 65504, the largest of an f16 gallery";
    is_zero &= v[i] == 0;
  }
  return is_zero && !was_zero ? "is too small for an f16 gallery: all its elements become zero" : NULL;
}
