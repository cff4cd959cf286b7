#include "index/formats/id_list.h"

#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/text.h"

static lk_status add_text(lk_id_list *lines, lk_text text, lk_error *error) {
  if (lines->count == lines->capacity) {
    size_t capacity = lines->capacity > 0 ? 2 * lines->capacity : 64;
    lk_text *grown = capacity <= UINT32_MAX ? realloc(lines->texts, capacity * sizeof *grown) : NULL;
    if (grown == NULL) return lk_fail_memory(error);
    lines->texts = grown;
    lines->capacity = capacity;
  }
  lines->texts[lines->count++] = text;
  return LK_OK;
}

static lk_status take_lines(const char *name, const char *at, const char *end, lk_id_list *lines, lk_error *error) {
  lk_status status = LK_OK;
  for (unsigned long long number = 1; status == LK_OK && at < end; number++) {
    lk_text text = lk_text_take_line(&at, end);
    const char *fault = lk_text_fault(text);
    if (fault != NULL)
      status = lk_fail(error, LK_EFORMAT, "%s: line %llu %s", name, number, fault);
    else if (text.length > 0)
      status = add_text(lines, text, error);
  }
  return status;
}

lk_status lk_id_list_parse(const char *name, const void *data, size_t size, lk_id_list *lines, lk_error *error) {
  *lines = (lk_id_list){0};
  if (size == 0) return lk_fail(error, LK_EFORMAT, "%s: the file is empty", name);
  const char *first = data;
  size_t mark = size >= 3 && memcmp(first, "\xef\xbb\xbf", 3) == 0 ? 3 : 0; /* a byte order mark */
  lk_status status = take_lines(name, first + mark, first + size, lines, error);
  if (status == LK_OK && lines->count == 0)
    status = lk_fail(error, LK_EFORMAT, "%s: the list is empty: no line has a key or subject", name);
  if (status != LK_OK) lk_id_list_close(lines);
  return status;
}

lk_status lk_id_list_open(const char *path, lk_id_list *lines, lk_error *error) {
  lk_file file;
  lk_status status = lk_file_read(path, &file, error);
  if (status != LK_OK) return status;
  status = lk_id_list_parse(path, file.data, file.size, lines, error);
  if (status == LK_OK)
    lines->file = file;
  else
    lk_file_free(&file);
  return status;
}

void lk_id_list_close(lk_id_list *lines) {
  free(lines->texts);
  lk_file_free(&lines->file);
  *lines = (lk_id_list){0};
}
