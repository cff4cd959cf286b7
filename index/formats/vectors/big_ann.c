/* The files of big-ann-benchmarks: the number of rows and that of a row's elements, two little-endian uint32, then the
 * rows without gaps. */
#include <inttypes.h>
#include <string.h>

#include "base/fail.h"
#include "index/formats/element.h"
#include "index/formats/vectors/vector_format.h"

static lk_status open_bin(const lk_vector_source *source, lk_file *decoded, lk_vectors *vectors, lk_error *error) {
  (void)decoded;
  lk_element element = source->format->element;
  uint32_t head[2];
  size_t size = source->file.size;
  if (size < sizeof head)
    return lk_fail(error, LK_EFORMAT, "%s: the file has %zu bytes; it must begin with the %zu bytes of its sizes",
                   source->name, size, sizeof head);
  memcpy(head, source->file.data, sizeof head);
  lk_status status = lk_vector_format_check_dim(source->name, head[1], error);
  if (status != LK_OK) return status;
  uint64_t row_bytes = (uint64_t)head[1] * lk_element_bytes(element), body = size - sizeof head;
  if (body != head[0] * row_bytes)
    return lk_fail(error, LK_EFORMAT,
                   "%s: its first bytes promise %" PRIu32 " rows of %" PRIu64 " bytes, but %" PRIu64
                   " bytes follow them",
                   source->name, head[0], row_bytes, body);
  *vectors = (lk_vectors){.name = source->name,
                          .data = (const char *)source->file.data + sizeof head,
                          .rows = head[0],
                          .dim = head[1],
                          .element = element};
  return LK_OK;
}

const lk_vector_format lk_fbin_format = {.name = "big-ann-benchmarks file of float32",
                                         .endings = ".fbin",
                                         .holds = "rows of float32",
                                         .element = LK_F32,
                                         .open = open_bin};
const lk_vector_format lk_ibin_format = {.name = "big-ann-benchmarks file of int32",
                                         .endings = ".ibin",
                                         .holds = "rows of int32",
                                         .element = LK_I32,
                                         .open = open_bin};
const lk_vector_format lk_u8bin_format = {.name = "big-ann-benchmarks file of uint8",
                                          .endings = ".u8bin",
                                          .holds = "rows of uint8",
                                          .element = LK_U8,
                                          .open = open_bin};
const lk_vector_format lk_i8bin_format = {.name = "big-ann-benchmarks file of int8",
                                          .endings = ".i8bin",
                                          .holds = "rows of int8",
                                          .element = LK_I8,
                                          .open = open_bin};
