#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "index/formats/vector.h"
#include "index/formats/vectors/hdf5_dataset.h"

/* Of a damaged file libhdf5 loses memory, and asks for much more than there is. */
int __lsan_is_turned_off(void);
int __lsan_is_turned_off(void) { return 1; }
const char *__asan_default_options(void);
const char *__asan_default_options(void) { return "allocator_may_return_null=1"; }

int LLVMFuzzerInitialize(int *count, char ***words);
int LLVMFuzzerInitialize(int *count, char ***words) {
  static char limit[] = "-malloc_limit_mb=1000000000";
  char **more = calloc((size_t)*count + 2, sizeof *more);
  memcpy(more, *words, (size_t)*count * sizeof *more);
  more[(*count)++] = limit;
  *words = more;
  return 0;
}

static char path[] = "/tmp/fuzz_hdf5-XXXXXX";

static void remove_file(void) { unlink(path); }

/* A file of the data, since the library takes no bytes, and none without a name. */
static int save(const uint8_t *data, size_t size) {
  static int fd = -1;
  if (fd < 0) {
    fd = mkstemp(path);
    atexit(remove_file);
  }
  if (ftruncate(fd, 0) != 0 || pwrite(fd, data, size, 0) != (ssize_t)size) abort();
  return fd;
}

/* As for the other formats. True: the library has not failed on the file. An exit of a sanitizer is LK_EIO. */
static bool is_survived(const lk_vector_source *source) {
  static float row[LK_DIM_MAX];
  lk_file decoded = {0};
  lk_vectors vectors;
  lk_error error = {0};
  lk_status status = lk_hdf5_format.open(source, &decoded, &vectors, &error);
  if (status == LK_EIO || (status == LK_OK && lk_vectors_check(&vectors, NULL) != LK_OK)) abort();
  for (uint64_t r = 0; status == LK_OK && r < vectors.rows; r++)
    lk_vector_prepare((lk_metric)(r % 3), &vectors, r, row);
  lk_file_unmap(&decoded);
  return status == LK_OK || strstr(error.text, "its library failed") == NULL;
}

static void go_on(void *context) { (void)context; }

/* What the child process survives is read once more here, where the fuzzer sees which ways that takes. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (size == 0) return 0;
  lk_vector_source source = {.format = &lk_hdf5_format,
                             .name = "fuzz",
                             .path = "fuzz",
                             .fd = save(data, size),
                             .file = {.data = data, .size = size}};
  if (!is_survived(&source)) return 0;
  lk_hdf5_dataset dataset;
  lk_hdf5_going going = {.on = go_on};
  lk_scratch scratch;
  lk_scratch_open("fuzz", &scratch);
  lk_hdf5_dataset_read(&source, &scratch, &going, &dataset, NULL);
  lk_scratch_close(&scratch);
  return 0;
}
