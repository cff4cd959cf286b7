#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "index/formats/vector.h"
#include "index/formats/vectors/vector_format.h"

/* A file of the data, for a library that takes only paths. */
static const char *save(const uint8_t *data, size_t size) {
  static char path[64];
  static int fd = -1;
  if (fd < 0) fd = memfd_create("fuzz", 0);
  snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
  if (ftruncate(fd, 0) != 0 || pwrite(fd, data, size, 0) != (ssize_t)size) abort();
  return path;
}

/* Of FORMAT: what is accepted lies within memory, and each of its rows can be read. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static float row[LK_DIM_MAX];
  lk_file decoded = {0};
  lk_vectors vectors;
  lk_vector_source source = {.name = "fuzz", .path = save(data, size), .file = {.data = data, .size = size}};
  if (size == 0) return 0;
  if (FORMAT.open(&source, &decoded, &vectors, NULL) == LK_OK) {
    if (lk_vectors_check(&vectors, NULL) != LK_OK) abort();
    for (uint64_t r = 0; r < vectors.rows; r++) lk_vector_prepare((lk_metric)(r % 3), &vectors, r, row);
  }
  lk_file_unmap(&decoded);
  return 0;
}
