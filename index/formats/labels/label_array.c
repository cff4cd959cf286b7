/* NumPy's arrays of texts or whole numbers, in .npy files or .npz archives: the subject of each row. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/text.h"
#include "index/formats/labels/label_format.h"
#include "index/formats/labels/plain_text.h"
#include "index/formats/vectors/npy_header.h"
#include "index/formats/vectors/npz.h"

enum { NUMBER_ROOM = 21 };

static uint64_t number_at(const char *at, uint64_t bytes, bool big_endian) {
  uint64_t number = 0;
  for (uint64_t i = 0; i < bytes; i++) number = number << 8 | (unsigned char)at[big_endian ? i : bytes - 1 - i];
  return number;
}

/* Each of these writes an item and returns where its text ends; NULL: it has no text. */
static char *put_number(const lk_npy_header *h, const char *item, char *to) {
  uint64_t number = number_at(item, h->item_bytes, h->big_endian), unused = 64 - 8 * h->item_bytes;
  if (h->kind == 'u') return to + sprintf(to, "%" PRIu64, number);
  return to + sprintf(to, "%" PRId64, (int64_t)(number << unused) >> unused);
}

static char *put_bytes(const lk_npy_header *h, const char *item, char *to) {
  uint64_t length = h->item_bytes;
  while (length > 0 && item[length - 1] == '\0') length--;
  memcpy(to, item, length);
  return to + length;
}

static char *put_characters(const lk_npy_header *h, const char *item, char *to) {
  uint64_t length = h->element_size;
  while (length > 0 && number_at(item + 4 * (length - 1), 4, false) == 0) length--;
  for (uint64_t i = 0; i < length && to != NULL; i++)
    to = lk_plain_text_put(to, (uint32_t)number_at(item + 4 * i, 4, h->big_endian));
  return to;
}

typedef char *put_item(const lk_npy_header *header, const char *item, char *to);

static put_item *writer_of(const lk_npy_header *h) {
  if (h->is_structured) return NULL;
  if (h->kind == 'S') return put_bytes;
  if (h->kind == 'U' && h->item_bytes == 4 * h->element_size) return put_characters;
  bool whole = h->kind == 'i' || h->kind == 'u';
  return whole && (h->item_bytes == 1 || h->item_bytes == 2 || h->item_bytes == 4 || h->item_bytes == 8) ? put_number
                                                                                                         : NULL;
}

static lk_status refuse_type(const char *name, const lk_npy_header *h, lk_error *error) {
  return lk_fail(error, LK_EFORMAT, "%s: labels are texts or whole numbers, not '%s'%s", name,
                 h->is_structured ? "records" : h->descr,
                 h->kind == 'O' ? "; save Python's objects as texts: a.astype(str)" : "");
}

/* (n), (n, 1) and (1, n) are n labels. */
static bool find_count(const lk_npy_header *h, uint64_t *count) {
  if (h->dimensions != 1 && (h->dimensions != 2 || (h->shape[0] != 1 && h->shape[1] != 1))) return false;
  *count = h->dimensions == 1 || h->shape[0] != 1 ? h->shape[0] : h->shape[1];
  return true;
}

static lk_status put_all(const lk_label_source *source, const lk_npy_header *h, const char *items, put_item *put,
                         lk_label_file *labels, lk_error *error) {
  char *to = labels->texts;
  for (uint64_t row = 0; row < labels->rows; row++) {
    char *end = put(h, items + row * h->item_bytes, to);
    size_t length = end != NULL ? (size_t)(end - to) : 0;
    lk_text subject = {.bytes = to, .length = length > LK_TEXT_MAX ? LK_TEXT_MAX + 1 : (uint32_t)length};
    const char *fault = end != NULL ? lk_text_fault(subject) : "is not Unicode";
    if (fault != NULL) return lk_fail(error, LK_EFORMAT, "%s: label %" PRIu64 " %s", source->name, row, fault);
    labels->of_row[row].subject = subject;
    to = end;
  }
  return LK_OK;
}

static lk_status read_npy(const lk_label_source *source, const lk_file *npy, lk_label_file *labels, lk_error *error) {
  lk_npy_header h;
  uint64_t count;
  lk_status status = lk_npy_header_read(source->name, npy->data, npy->size, &h, error);
  if (status != LK_OK) return status;
  put_item *put = writer_of(&h);
  if (put == NULL) return refuse_type(source->name, &h, error);
  if (!find_count(&h, &count))
    return lk_fail(error, LK_EFORMAT, "%s: labels are an array of one dimension", source->name);
  status = lk_npy_header_check_body(source->name, &h, count, npy->size, error);
  if (status == LK_OK) status = lk_label_check_count(source, count, labels->rows, error);
  if (status != LK_OK) return status;
  labels->texts = malloc(npy->size + (count + 1) * NUMBER_ROOM);
  if (labels->texts == NULL) return lk_fail_memory(error);
  return put_all(source, &h, (const char *)npy->data + h.body, put, labels, error);
}

lk_status lk_label_array_read(const lk_label_source *source, lk_label_file *labels, lk_error *error) {
  lk_file npy = {.data = source->data, .size = source->size}, decoded = {0};
  lk_status status = LK_OK;
  if (source->data[0] == 'P')
    status = lk_npz_find(source->name, source->data, source->size, source->member, &decoded, &npy, error);
  if (status == LK_OK) status = read_npy(source, &npy, labels, error);
  lk_file_unmap(&decoded);
  return status;
}
