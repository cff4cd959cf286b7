#include <stdlib.h>

#include "index/formats/vector.h"
#include "index/formats/vectors/vector_format.h"

/* Of FORMAT: what is accepted lies within memory, and each of its rows can be read. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static float row[LK_DIM_MAX];
  lk_file decoded = {0};
  lk_vectors vectors;
  lk_vector_source source = {
      .format = &FORMAT, .name = "fuzz", .path = "fuzz", .fd = -1, .file = {.data = data, .size = size}};
  if (size == 0) return 0;
  if (FORMAT.open(&source, &decoded, &vectors, NULL) == LK_OK) {
    if (lk_vectors_check(&vectors, NULL) != LK_OK) abort();
    for (uint64_t r = 0; r < vectors.rows; r++) lk_vector_prepare((lk_metric)(r % 3), &vectors, r, row);
  }
  lk_file_unmap(&decoded);
  return 0;
}
