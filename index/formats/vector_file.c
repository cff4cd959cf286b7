#include <likeness/vector_file.h>

#include <string.h>

#include "base/fail.h"
#include "base/file.h"
#include "index/formats/npy.h"
#include "index/formats/vecs.h"

typedef lk_status parse_image(const char *name, const void *data, size_t size, lk_vectors *vectors, lk_error *error);

static lk_status parse_fvecs(const char *name, const void *data, size_t size, lk_vectors *vectors, lk_error *error) {
  return lk_vecs_parse(name, data, size, LK_F32, vectors, error);
}

static lk_status parse_bvecs(const char *name, const void *data, size_t size, lk_vectors *vectors, lk_error *error) {
  return lk_vecs_parse(name, data, size, LK_U8, vectors, error);
}

static const struct {
  const char *extension;
  parse_image *parse;
} formats[] = {{".npy", lk_npy_parse}, {".fvecs", parse_fvecs}, {".bvecs", parse_bvecs}};

enum { FORMATS = sizeof formats / sizeof formats[0] };

lk_status lk_vector_file_open(const char *path, lk_vector_file *file, lk_error *error) {
  *file = (lk_vector_file){0};
  const char *extension = strrchr(path, '.');
  int format = 0;
  while (format < FORMATS && (extension == NULL || strcmp(extension, formats[format].extension) != 0)) format++;
  if (format == FORMATS)
    return lk_fail(error, LK_EFORMAT, "%s: the name of a vector file must end in .npy, .fvecs or .bvecs", path);
  lk_file mapped;
  lk_status status = lk_file_map(path, &mapped, error);
  if (status != LK_OK) return status;
  status = formats[format].parse(path, mapped.data, mapped.size, &file->vectors, error);
  if (status != LK_OK) {
    lk_file_unmap(&mapped);
    return status;
  }
  file->map = mapped.data;
  file->map_bytes = mapped.size;
  return LK_OK;
}

void lk_vector_file_close(lk_vector_file *file) {
  lk_file_unmap(&(lk_file){.data = file->map, .size = file->map_bytes, .mapping = lk_mapping_find(file->map)});
  *file = (lk_vector_file){0};
}
