#include <likeness/label_file.h>

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/file.h"
#include "index/formats/labels/label_format.h"
#include "index/formats/member_path.h"
#include "index/formats/vectors/foreign.h"

lk_status lk_label_check_count(const lk_label_source *source, uint64_t count, uint64_t rows, lk_error *error) {
  if (count == rows) return LK_OK;
  return lk_fail(error, LK_EFORMAT, "%s: has %" PRIu64 " labels, but there are %" PRIu64 " vectors", source->name,
                 count, rows);
}

static bool begins_with(const lk_label_source *source, const char *bytes, size_t length) {
  return source->size >= length && memcmp(source->data, bytes, length) == 0;
}

enum { LINE_MOST = 1024 };

/* What of the first line is ASCII, as the known columns are: without a byte order mark, and UTF-16's zeros. */
static lk_text first_line(const lk_label_source *source, char line[LINE_MOST]) {
  lk_text text = {.bytes = line};
  for (size_t i = 0; i < source->size && text.length < LINE_MOST; i++) {
    char c = source->data[i];
    if (c == '\n' || c == '\r') break;
    if (c != '\0' && (c & 0x80) == 0) line[text.length++] = c;
  }
  return text;
}

static lk_label_reader *reader_of(const lk_label_source *source) {
  char line[LINE_MOST];
  if (begins_with(source, "\x93NUMPY", 6) || begins_with(source, "PK\3\4", 4)) return lk_label_array_read;
  if (lk_label_csv_has_header(first_line(source, line), source->key_column)) return lk_label_csv_read;
  return lk_vector_format_is_named(".txt", source->path) ? lk_label_lines_read : lk_label_csv_read;
}

static lk_status read_as_named(const lk_label_source *source, uint64_t rows, lk_label_file *labels, lk_error *error) {
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

static lk_status parse(const lk_label_source *source, uint64_t rows, lk_label_file *labels, lk_error *error) {
  const lk_vector_source as_vectors = {
      .name = source->name, .path = source->path, .file = {.data = source->data, .size = source->size}};
  *labels = (lk_label_file){0};
  if (source->size == 0) return lk_fail(error, LK_EFORMAT, "%s: the file is empty", source->name);
  lk_status status = lk_foreign_refuse_name(&as_vectors, error);
  if (status != LK_OK) return status;
  status = read_as_named(source, rows, labels, error);
  lk_status foreign = status == LK_EFORMAT ? lk_foreign_refuse_content(&as_vectors, error) : LK_OK;
  return foreign != LK_OK ? foreign : status;
}

lk_status lk_label_file_parse(const char *name, const void *data, size_t size, const char *key_column, uint64_t rows,
                              lk_label_file *labels, lk_error *error) {
  const lk_label_source source = {.name = name, .path = name, .data = data, .size = size, .key_column = key_column};
  return parse(&source, rows, labels, error);
}

lk_status lk_label_file_open(const char *path, const char *key_column, uint64_t rows, lk_label_file *labels,
                             lk_error *error) {
  lk_member_path split;
  lk_file file;
  lk_member_path_split(path, &split);
  lk_status status = lk_file_read(split.file, &file, error);
  if (status != LK_OK) return status;
  const lk_label_source source = {.name = path,
                                  .path = split.file,
                                  .data = file.data,
                                  .size = file.size,
                                  .key_column = key_column,
                                  .member = split.member};
  status = parse(&source, rows, labels, error);
  lk_file_free(&file);
  return status;
}

void lk_label_file_close(lk_label_file *labels) {
  free(labels->of_row);
  free(labels->texts);
  *labels = (lk_label_file){0};
}
