#include "index/formats/vectors/npy.h"

#include <string.h>

#include "base/fail.h"
#include "index/formats/element.h"
#include "index/formats/vectors/npy_header.h"
#include "index/formats/vectors/vector_format.h"

static const struct {
  const char *kind_and_size;
  lk_element element;
} elements[] = {{"f4", LK_F32}, {"f8", LK_F64}, {"f2", LK_F16}, {"u1", LK_U8},  {"i1", LK_I8}, {"u2", LK_U16},
                {"i2", LK_I16}, {"u4", LK_U32}, {"i4", LK_I32}, {"u8", LK_U64}, {"i8", LK_I64}};

static const struct {
  char kind;
  const char *what;
} others[] = {{'b', "truth values (bool); save it as numbers: a.astype('float32')"},
              {'c', "complex numbers; save their parts as floats"},
              {'O', "Python objects; save it as floats: numpy.stack(a).astype('float32')"},
              {'U', "texts; they can be labels, not vectors"},
              {'S', "texts; they can be labels, not vectors"},
              {'V', "bytes without a type"},
              {'f', "floats of a size that is not 2, 4 or 8 bytes; save it as a.astype('float32')"},
              {'M', "dates"},
              {'m', "times"}};

static lk_status find_element(const char *name, const lk_npy_header *h, lk_element *element, lk_error *error) {
  if (!h->is_uniform)
    return lk_fail(error, LK_EFORMAT,
                   "%s: a structured dtype, whose fields are neither floats of one type nor one array of floats", name);
  for (size_t i = 0; i < sizeof elements / sizeof elements[0]; i++)
    if (h->kind != '?' && strcmp(h->descr + 1, elements[i].kind_and_size) == 0) {
      *element = elements[i].element;
      return LK_OK;
    }
  for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
    if (h->kind == others[i].kind)
      return lk_fail(error, LK_EFORMAT, "%s: unsupported element type '%s': %s", name, h->descr, others[i].what);
  return lk_fail(error, LK_EFORMAT, "%s: unsupported element type '%s'", name, h->descr);
}

static lk_status refuse_shape(const char *name, const lk_npy_header *h, lk_error *error) {
  return lk_fail(error, LK_EFORMAT, "%s: has %s%u dimension%s%s; two are needed, rows x elements", name,
                 h->dimensions == LK_NPY_DIMENSIONS ? "at least " : "", h->dimensions, h->dimensions == 1 ? "" : "s",
                 h->is_structured ? " of records" : "");
}

/* The rows and the elements of a row: (d) is one row, and (n, 1, d) and (1, n, d) are n. Records are rows: (n) or
 * (n, 1). */
static lk_status find_shape(const char *name, const lk_npy_header *h, uint64_t *rows, uint64_t *dim, lk_error *error) {
  const uint64_t *shape = h->shape;
  uint32_t dimensions = h->dimensions;
  *dim = h->item_elements;
  if (!h->is_structured) {
    if (dimensions == 0 || dimensions == LK_NPY_DIMENSIONS) return refuse_shape(name, h, error);
    *dim = shape[--dimensions];
  }
  if (dimensions > 2 || (dimensions == 2 && shape[0] != 1 && shape[1] != 1)) return refuse_shape(name, h, error);
  *rows = dimensions == 0 ? 1 : dimensions == 1 ? shape[0] : shape[0] == 1 ? shape[1] : shape[0];
  return LK_OK;
}

lk_status lk_npy_parse(const char *name, const void *data, size_t size, lk_vectors *vectors, lk_error *error) {
  lk_npy_header h;
  lk_element element = LK_F32;
  uint64_t rows = 0, dim = 0, items = 0;
  lk_status status = lk_npy_header_read(name, data, size, &h, error);
  if (status == LK_OK) status = find_element(name, &h, &element, error);
  if (status == LK_OK) status = find_shape(name, &h, &rows, &dim, error);
  if (status == LK_OK) status = lk_vector_format_check_dim(name, dim, error);
  if (status != LK_OK) return status;
  if (__builtin_mul_overflow(rows, h.is_structured ? 1 : dim, &items)) items = UINT64_MAX;
  status = lk_npy_header_check_body(name, &h, items, size, error);
  if (status != LK_OK) return status;
  bool columns = h.fortran && !h.is_structured;
  *vectors = (lk_vectors){.name = name,
                          .data = (const char *)data + h.body + h.first_element,
                          .rows = rows,
                          .dim = (uint32_t)dim,
                          .element = element,
                          .stride_bytes = h.is_structured || columns ? h.item_bytes : 0,
                          .element_stride_bytes = columns ? rows * h.item_bytes : 0,
                          .big_endian = h.big_endian};
  return LK_OK;
}

static lk_status open_npy(const lk_vector_source *source, lk_file *decoded, lk_vectors *vectors, lk_error *error) {
  (void)decoded;
  return lk_npy_parse(source->name, source->file.data, source->file.size, vectors, error);
}

const lk_vector_format lk_npy_format = {
    .name = "NumPy array",
    .endings = ".npy",
    .magic = "\x93NUMPY",
    .magic_bytes = 6,
    .holds = "rows x elements in C or Fortran order, one row, or (n, 1, d); floats of 2, 4 or 8 bytes, integers, in "
             "either byte order; records of floats of one type, or with one array of floats",
    .open = open_npy};
