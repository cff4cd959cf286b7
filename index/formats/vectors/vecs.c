#include "index/formats/vectors/vecs.h"

#include <inttypes.h>
#include <string.h>

#include "base/fail.h"
#include "index/formats/element.h"
#include "index/formats/vectors/vector_format.h"

enum { HEAD = sizeof(int32_t) };

static int32_t dim_at(const char *row) {
  int32_t dim;
  memcpy(&dim, row, sizeof dim);
  return dim;
}

/* Checks also the last row if it is cut off: a wrong dimension may be why it seems cut off. */
static lk_status check_dims(const char *name, const char *data, size_t size, size_t stride, lk_error *error) {
  int32_t dim = dim_at(data);
  for (size_t at = stride; at <= size - HEAD; at += stride)
    if (dim_at(data + at) != dim)
      return lk_fail(error, LK_EFORMAT, "%s: row %zu has dimension %" PRId32 "; row 0 has %" PRId32, name, at / stride,
                     dim_at(data + at), dim);
  return LK_OK;
}

lk_status lk_vecs_parse(const char *name, const void *data, size_t size, lk_element element, lk_vectors *vectors,
                        lk_error *error) {
  if (size == 0) return lk_fail(error, LK_EFORMAT, "%s: the file is empty", name);
  if (size < HEAD)
    return lk_fail(error, LK_EFORMAT, "%s: the file has %zu bytes; row 0 must begin with the %d bytes of its dimension",
                   name, size, HEAD);
  int32_t dim = dim_at(data);
  if (dim < 1 || dim > LK_DIM_MAX)
    return lk_fail(error, LK_EDIM, "%s: row 0 has dimension %" PRId32 "; 1 to %d can be searched", name, dim,
                   LK_DIM_MAX);
  size_t stride = HEAD + (size_t)dim * lk_element_bytes(element), rest = size % stride;
  lk_status status = check_dims(name, data, size, stride, error);
  if (status == LK_OK && rest != 0)
    status = lk_fail(
        error, LK_EFORMAT,
        "%s: row %zu is cut off: a row has %zu bytes, the file has %zu of it (%zu are missing, or %zu are too many)",
        name, size / stride, stride, rest, stride - rest, rest);
  if (status != LK_OK) return status;
  *vectors = (lk_vectors){.name = name,
                          .data = (const char *)data + HEAD,
                          .rows = size / stride,
                          .dim = (uint32_t)dim,
                          .element = element,
                          .stride_bytes = stride};
  return LK_OK;
}

static lk_status open_vecs(const lk_vector_source *source, lk_file *decoded, lk_vectors *vectors, lk_error *error) {
  (void)decoded;
  return lk_vecs_parse(source->name, source->file.data, source->file.size, source->format->element, vectors, error);
}

const lk_vector_format lk_fvecs_format = {.name = "TEXMEX file of floats",
                                          .endings = ".fvecs",
                                          .holds = "rows of float32",
                                          .element = LK_F32,
                                          .open = open_vecs};
const lk_vector_format lk_bvecs_format = {
    .name = "TEXMEX file of bytes", .endings = ".bvecs", .holds = "rows of uint8", .element = LK_U8, .open = open_vecs};
const lk_vector_format lk_ivecs_format = {.name = "TEXMEX file of integers",
                                          .endings = ".ivecs",
                                          .holds = "rows of int32",
                                          .element = LK_I32,
                                          .open = open_vecs};
