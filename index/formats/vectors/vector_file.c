#include <likeness/vector_file.h>

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/fail.h"
#include "index/formats/member_path.h"
#include "index/formats/vectors/foreign.h"
#include "index/formats/vectors/vector_format.h"

static lk_status read_source(lk_vector_source *source, lk_file *decoded, lk_vectors *vectors, lk_error *error) {
  if (source->file.size == 0) return lk_fail(error, LK_EFORMAT, "%s: the file is empty", source->name);
  lk_status status = lk_vector_format_find(source, error);
  if (status != LK_OK) return status;
  status = source->format->open(source, decoded, vectors, error);
  /* What has no mark of its own may be anything. */
  lk_status foreign = LK_OK;
  if (status != LK_OK && source->format->magic_bytes == 0) foreign = lk_foreign_refuse_content(source, error);
  if (foreign != LK_OK) status = foreign;
  /* What was read may have been cut off meanwhile. That explains a fault, too. */
  bool was_read = decoded->data != NULL || status != LK_OK;
  lk_status readable = was_read ? lk_file_check(&source->file, source->name, error) : LK_OK;
  return readable != LK_OK ? readable : status;
}

/* The descriptor stays open for who reads by it: it and the map are the same file, whatever the path is by now. */
static lk_status open_source(lk_vector_source *source, lk_error *error) {
  lk_status status = lk_file_open(source->path, &source->fd, error);
  if (status != LK_OK) return status;
  int mapped = fcntl(source->fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
  if (mapped < 0)
    status = lk_fail(error, LK_EIO, "%s: cannot open: %s", source->path, strerror(errno));
  else
    status = lk_file_map_open(mapped, source->path, &source->file, error);
  if (status != LK_OK) close(source->fd);
  return status;
}

lk_status lk_vector_file_open(const char *path, lk_vector_role role, lk_vector_file *file, lk_error *error) {
  *file = (lk_vector_file){0};
  lk_member_path split;
  lk_member_path_split(path, &split);
  lk_vector_source source = {.name = path, .path = split.file, .member = split.member, .role = role};
  lk_status status = open_source(&source, error);
  if (status != LK_OK) return status;
  lk_file decoded = {0};
  status = read_source(&source, &decoded, &file->vectors, error);
  close(source.fd);
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
