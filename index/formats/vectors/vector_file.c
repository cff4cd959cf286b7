#include <likeness/vector_file.h>

#include "index/formats/member_path.h"
#include "index/formats/vectors/vector_format.h"

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
  lk_member_path split;
  lk_member_path_split(path, &split);
  lk_vector_source source = {.name = path, .path = split.file, .member = split.member, .role = role};
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
