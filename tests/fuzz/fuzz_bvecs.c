#include <stdlib.h>

#include "index/formats/vecs.h"
#include "index/formats/vector.h"

/* What is accepted is all of the file, and each of its rows can be read. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  lk_vectors vectors;
  if (lk_vecs_parse("fuzz", data, size, LK_U8, &vectors, NULL) != LK_OK) return 0;
  if (vectors.rows * (4 + vectors.dim) != size) abort();
  static float row[LK_DIM_MAX];
  for (uint64_t r = 0; r < vectors.rows; r++) lk_vector_prepare((lk_metric)(r % 3), &vectors, r, row);
  return 0;
}
