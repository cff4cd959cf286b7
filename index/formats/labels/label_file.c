#include <likeness/label_file.h>

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/fail.h"
#include "base/file.h"
#include "index/formats/labels/label_format.h"
#include "index/formats/member_path.h"

lk_status lk_label_check_count(const lk_label_source *source, uint64_t count, uint64_t rows, lk_error *error) {
  if (count == rows) return LK_OK;
  return lk_fail(error, LK_EFORMAT, "%s: has %" PRIu64 " labels, but there are %" PRIu64 " vectors", source->name,
                 count, rows);
}

static bool begins_with(const lk_label_source *source, const char *bytes, size_t length) {
  return source->size >= length && memcmp(source->data, bytes, length) == 0;
}

static lk_label_reader *reader_of(const lk_label_source *source) {
  size_t length = strlen(source->name);
  if (begins_with(source, "\x93NUMPY", 6) || begins_with(source, "PK\3\4", 4)) return lk_label_array_read;
  bool has_lines = length > 4 && strcasecmp(source->name + length - 4, ".txt") == 0;
  return has_lines ? lk_label_lines_read : lk_label_csv_read;
}

static lk_status parse(const lk_label_source *source, uint64_t rows, lk_label_file *labels, lk_error *error) {
  *labels = (lk_label_file){0};
  if (source->size == 0) return lk_fail(error, LK_EFORMAT, "%s: the file is empty", source->name);
  lk_label_reader *read = reader_of(source);
  if (source->key_column != NULL && read != lk_label_csv_read)
    return lk_fail(error, LK_EFORMAT, "%s: only a csv has columns, of which '%s' could have the keys", source->name,
                   source->key_column);
  if (rows >= SIZE_MAX / sizeof *labels->of_row) return lk_fail_memory(error);
  *labels = (lk_label_file){.of_row = calloc(rows + 1, sizeof *labels->of_row), .rows = rows};
  lk_status status = labels->of_row != NULL ? read(source, labels, error) : lk_fail_memory(error);
  if (status != LK_OK) lk_label_file_close(labels);
  return status;
}

lk_status lk_label_file_parse(const char *name, const void *data, size_t size, const char *key_column, uint64_t rows,
                              lk_label_file *labels, lk_error *error) {
  const lk_label_source source = {.name = name, .data = data, .size = size, .key_column = key_column};
  return parse(&source, rows, labels, error);
}

lk_status lk_label_file_open(const char *path, const char *key_column, uint64_t rows, lk_label_file *labels,
                             lk_error *error) {
  lk_member_path split;
  lk_file file;
  lk_member_path_split(path, &split);
  lk_status status = lk_file_read(split.file, &file, error);
  if (status != LK_OK) return status;
  const lk_label_source source = {
      .name = path, .data = file.data, .size = file.size, .key_column = key_column, .member = split.member};
  status = parse(&source, rows, labels, error);
  lk_file_free(&file);
  return status;
}

void lk_label_file_close(lk_label_file *labels) {
  free(labels->of_row);
  free(labels->texts);
  *labels = (lk_label_file){0};
}
