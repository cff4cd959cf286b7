#include <likeness/vector_file.h>

#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "index/formats/vectors/vector_format.h"

/* Splits FILE:MEMBER where FILE exists, unless there is a file of the whole name. */
static void split(const char *name, char *path, lk_vector_source *source) {
  if (access(name, F_OK) == 0) return;
  for (const char *colon = strchr(name, ':'); colon != NULL; colon = strchr(colon + 1, ':')) {
    size_t length = (size_t)(colon - name);
    if (length >= PATH_MAX) return;
    memcpy(path, name, length);
    path[length] = '\0';
    if (access(path, F_OK) != 0) continue;
    source->path = path;
    source->member = colon + 1;
    return;
  }
}

static lk_status read_source(const lk_vector_source *source, lk_file *decoded, lk_vectors *vectors, lk_error *error) {
  if (source->file.size == 0) return lk_fail(error, LK_EFORMAT, "%s: the file is empty", source->name);
  const lk_vector_format *format;
  lk_status status = lk_vector_format_find(source, &format, error);
  if (status == LK_OK) status = format->open(source, decoded, vectors, error);
  if (status == LK_OK && decoded->data != NULL) status = lk_file_check(&source->file, source->name, error);
  return status;
}

lk_status lk_vector_file_open(const char *path, lk_vector_role role, lk_vector_file *file, lk_error *error) {
  *file = (lk_vector_file){0};
  char of_file[PATH_MAX];
  lk_vector_source source = {.name = path, .path = path, .role = role};
  split(path, of_file, &source);
  lk_status status = lk_file_map(source.path, &source.file, error);
  if (status != LK_OK) return status;
  lk_file decoded = {0};
  status = read_source(&source, &decoded, &file->vectors, error);
  bool in_place = status == LK_OK && decoded.data == NULL;
  if (!in_place) lk_file_unmap(&source.file);
  if (status != LK_OK) {
    lk_file_unmap(&decoded);
    return status;
  }
  file->map = in_place ? source.file.data : decoded.data;
  file->map_bytes = in_place ? source.file.size : decoded.size;
  return LK_OK;
}

void lk_vector_file_close(lk_vector_file *file) {
  lk_file_unmap(&(lk_file){.data = file->map, .size = file->map_bytes, .mapping = lk_mapping_find(file->map)});
  *file = (lk_vector_file){0};
}
