#include "engine/queue/text_list.h"

#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/text.h"

/* The text at `at`, up to the next line feed or the end. One that is too long stays too long in 32 bits. */
static lk_text text_at(const char *bytes, size_t length, size_t at) {
  const char *end = memchr(bytes + at, '\n', length - at);
  size_t size = end != NULL ? (size_t)(end - bytes) - at : length - at;
  return (lk_text){.bytes = bytes + at, .length = size < UINT32_MAX ? (uint32_t)size : UINT32_MAX};
}

const char *lk_text_list_read(const char *bytes, size_t length, lk_text_list *list) {
  *list = (lk_text_list){.given = true, .bytes = bytes, .length = length};
  for (size_t at = 0; length > 0 && at <= length; list->count++) {
    lk_text text = text_at(bytes, length, at);
    const char *fault = lk_text_fault(text);
    if (list->count == LK_TEXT_LIST_MOST) return "is one too many: at most 4096 are allowed";
    if (text.length == 0) return "is empty";
    if (fault != NULL) return fault;
    at += (size_t)text.length + 1;
  }
  return NULL;
}

void lk_text_list_split(const lk_text_list *list, lk_text *texts) {
  for (size_t at = 0, i = 0; i < list->count; at += (size_t)texts[i++].length + 1)
    texts[i] = text_at(list->bytes, list->length, at);
}

lk_status lk_text_list_join(const char *name, const lk_text *texts, uint32_t count, lk_text_list *list,
                            lk_error *error) {
  if (count > LK_TEXT_LIST_MOST)
    return lk_fail(error, LK_EINVAL, "%s: %u keys or subjects; a job may list at most %d", name, count,
                   LK_TEXT_LIST_MOST);
  size_t length = 0;
  for (uint32_t i = 0; i < count; i++) length += (size_t)texts[i].length + (i > 0);
  char *bytes = malloc(length + 1), *end = bytes;
  if (bytes == NULL) return lk_fail_memory(error);
  for (uint32_t i = 0; i < count; i++) {
    if (i > 0) *end++ = '\n';
    memcpy(end, texts[i].bytes, texts[i].length);
    end += texts[i].length;
  }
  *list = (lk_text_list){.given = true, .count = count, .bytes = bytes, .length = length};
  return LK_OK;
}

void lk_text_list_free(lk_text_list *list) {
  free((void *)list->bytes);
  *list = (lk_text_list){0};
}
