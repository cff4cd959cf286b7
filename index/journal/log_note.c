#include "index/journal/log_note.h"

#include <string.h>

#include "base/fail.h"

/* What a note begins with on the disk; the text, the fields, and the key and subject that were found follow. */
typedef struct head {
  uint64_t ms, n, seq, term, number, rows, numbered_from, templates, replaced, unchanged;
  uint64_t searched, total, found_number;
  uint32_t status, text_bytes, fields_bytes, flags, probe;
  float score;
  uint32_t key_bytes, subject_bytes;
  char hash[LK_LOG_HASH_DIGITS], prev[LK_LOG_HASH_DIGITS];
} head;

_Static_assert(sizeof(head) == 216, "as docs/format.md says");

enum { SEARCHED = 1, FOUND = 2, ERASES = 4 }; /* flags */

static lk_status fail(const char *field, lk_error *error) {
  return lk_fail(error, LK_EINVAL, "its %s is out of range", field);
}

/* What it cannot have is zeros: its bits are compared, since a score may be none. */
static bool check_finding(const lk_log_finding *f) {
  uint32_t score;
  memcpy(&score, &f->score, sizeof score);
  bool is_empty = f->number == 0 && f->probe == 0 && score == 0 && f->key.length == 0 && f->subject.length == 0;
  if (!f->made) return !f->found && is_empty && f->searched == 0 && f->total == 0;
  if (!f->found) return is_empty;
  return f->number <= INT64_MAX && f->key.length <= LK_TEXT_MAX && f->subject.length <= LK_TEXT_MAX;
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
  if (note->fields_bytes > LK_LOG_FIELDS_BYTES) return fail("number of bytes of fields", error);
  return check_finding(&note->finding) ? LK_OK : fail("finding", error);
}

uint32_t lk_log_note_bytes(const lk_log_note *note) {
  const lk_log_finding *f = &note->finding;
  return (uint32_t)sizeof(head) + note->text_bytes + note->fields_bytes + f->key.length + f->subject.length;
}

static char *append(char *at, const void *bytes, size_t size) {
  if (size > 0) memcpy(at, bytes, size);
  return at + size;
}

void lk_log_note_encode(const lk_log_note *note, void *bytes) {
  const lk_log_mark *mark = &note->mark;
  const lk_log_finding *f = &note->finding;
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
                .searched = f->searched,
                .total = f->total,
                .found_number = f->number,
                .status = note->status,
                .text_bytes = note->text_bytes,
                .fields_bytes = note->fields_bytes,
                .flags = (f->made ? SEARCHED : 0) | (f->found ? FOUND : 0) | (note->erases ? ERASES : 0),
                .probe = f->probe,
                .score = f->score,
                .key_bytes = f->key.length,
                .subject_bytes = f->subject.length};
  memcpy(begin.hash, mark->hash, sizeof begin.hash);
  memcpy(begin.prev, note->prev, sizeof begin.prev);
  char *at = append(bytes, &begin, sizeof begin);
  at = append(at, note->text, note->text_bytes);
  at = append(at, note->fields, note->fields_bytes);
  at = append(at, f->key.bytes, f->key.length);
  append(at, f->subject.bytes, f->subject.length);
}

static lk_log_finding finding_of(const head *begin, const char *texts) {
  return (lk_log_finding){.made = (begin->flags & SEARCHED) != 0,
                          .found = (begin->flags & FOUND) != 0,
                          .searched = begin->searched,
                          .total = begin->total,
                          .number = begin->found_number,
                          .probe = begin->probe,
                          .score = begin->score,
                          .key = {.bytes = texts, .length = begin->key_bytes},
                          .subject = {.bytes = texts + begin->key_bytes, .length = begin->subject_bytes}};
}

lk_status lk_log_note_decode(const void *bytes, size_t size, lk_log_note *note, lk_error *error) {
  head begin;
  const char *texts = (const char *)bytes + sizeof begin;
  if (size < sizeof begin) return lk_fail(error, LK_EINVAL, "its entry is too short");
  memcpy(&begin, bytes, sizeof begin);
  uint64_t lengths = (uint64_t)begin.text_bytes + begin.fields_bytes + begin.key_bytes + begin.subject_bytes;
  if (begin.flags > (SEARCHED | FOUND | ERASES)) return fail("flags", error);
  if (lengths != size - sizeof begin) return lk_fail(error, LK_EINVAL, "its entry's lengths do not add up to its size");
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
                        .fields_bytes = begin.fields_bytes,
                        .finding = finding_of(&begin, texts + begin.text_bytes + begin.fields_bytes),
                        .erases = (begin.flags & ERASES) != 0};
  memcpy(note->mark.hash, begin.hash, sizeof begin.hash);
  memcpy(note->prev, begin.prev, sizeof begin.prev);
  return lk_log_note_check(note, error);
}
