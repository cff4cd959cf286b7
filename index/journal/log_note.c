#include "index/journal/log_note.h"

#include <string.h>

#include "base/fail.h"

/* What a note begins with on the disk; the text and the fields follow. */
typedef struct head {
  uint64_t ms, n, seq, term, number, rows, numbered_from, templates, replaced, unchanged;
  uint32_t status, text_bytes, fields_bytes, reserved;
  char hash[LK_LOG_HASH_DIGITS], prev[LK_LOG_HASH_DIGITS];
} head;

_Static_assert(sizeof(head) == 176, "as docs/format.md says");

static lk_status fail(const char *field, lk_error *error) {
  return lk_fail(error, LK_EINVAL, "its %s is out of range", field);
}

/* Integers of JSON end at INT64_MAX, and the manifest has the mark, too. */
lk_status lk_log_note_check(const lk_log_note *note, lk_error *error) {
  const lk_log_mark *mark = &note->mark;
  if (mark->ms > INT64_MAX || mark->n > INT64_MAX) return fail("entry's id", error);
  if (mark->seq == 0 || mark->seq > INT64_MAX) return fail("sequence", error);
  if (mark->term > INT64_MAX) return fail("term", error);
  if (!lk_log_hash_is_valid(mark->hash) || !lk_log_hash_is_valid(note->prev)) return fail("hash", error);
  if (note->number > INT64_MAX) return fail("number", error);
  if (strcmp(lk_status_name(note->status), "?") == 0) return fail("status", error);
  if (note->text_bytes >= sizeof(lk_error)) return fail("text", error);
  return note->fields_bytes <= LK_LOG_FIELDS_BYTES ? LK_OK : fail("number of bytes of fields", error);
}

uint32_t lk_log_note_bytes(const lk_log_note *note) {
  return (uint32_t)sizeof(head) + note->text_bytes + note->fields_bytes;
}

void lk_log_note_encode(const lk_log_note *note, void *bytes) {
  const lk_log_mark *mark = &note->mark;
  head begin = {.ms = mark->ms,
                .n = mark->n,
                .seq = mark->seq,
                .term = mark->term,
                .number = note->number,
                .rows = note->rows,
                .numbered_from = note->numbered_from,
                .templates = note->templates,
                .replaced = note->replaced,
                .unchanged = note->unchanged,
                .status = note->status,
                .text_bytes = note->text_bytes,
                .fields_bytes = note->fields_bytes};
  memcpy(begin.hash, mark->hash, sizeof begin.hash);
  memcpy(begin.prev, note->prev, sizeof begin.prev);
  char *at = bytes;
  memcpy(at, &begin, sizeof begin);
  if (note->text_bytes > 0) memcpy(at + sizeof begin, note->text, note->text_bytes);
  if (note->fields_bytes > 0) memcpy(at + sizeof begin + note->text_bytes, note->fields, note->fields_bytes);
}

lk_status lk_log_note_decode(const void *bytes, size_t size, lk_log_note *note, lk_error *error) {
  head begin;
  const char *texts = (const char *)bytes + sizeof begin;
  if (size < sizeof begin) return lk_fail(error, LK_EINVAL, "its entry is too short");
  memcpy(&begin, bytes, sizeof begin);
  if (begin.reserved != 0 || (uint64_t)begin.text_bytes + begin.fields_bytes != size - sizeof begin)
    return lk_fail(error, LK_EINVAL, "its entry's lengths do not add up to its size");
  *note = (lk_log_note){.mark = {.ms = begin.ms, .n = begin.n, .seq = begin.seq, .term = begin.term},
                        .number = begin.number,
                        .rows = begin.rows,
                        .numbered_from = begin.numbered_from,
                        .templates = begin.templates,
                        .replaced = begin.replaced,
                        .unchanged = begin.unchanged,
                        .status = (lk_status)begin.status,
                        .text = texts,
                        .text_bytes = begin.text_bytes,
                        .fields = texts + begin.text_bytes,
                        .fields_bytes = begin.fields_bytes};
  memcpy(note->mark.hash, begin.hash, sizeof begin.hash);
  memcpy(note->prev, begin.prev, sizeof begin.prev);
  return lk_log_note_check(note, error);
}
