/* What the journal keeps of an entry of the gallery's log: the content of a record LOG, which comes before those of
 * what the entry has changed. docs/format.md draws its bytes.
 *
 * As a record, a note can be encoded if and only if it can be decoded. */
#ifndef INDEX_JOURNAL_LOG_NOTE_H
#define INDEX_JOURNAL_LOG_NOTE_H

#include <stddef.h>

#include <likeness/status.h>
#include <likeness/types.h>
#include "index/journal/log_mark.h"

#define LK_LOG_FIELDS_BYTES (UINT32_C(16) << 20) /* most of `fields` */

/* What the search for matches of an enrollment found, which refuses it. */
typedef struct lk_log_finding {
  bool made; /* else all else is zeros */
  bool found;
  uint64_t searched, total;
  uint64_t number; /* these: of what was found */
  uint32_t probe;
  float score;
  lk_text key, subject;
} lk_log_finding;

/* It owns nothing that it points to. */
typedef struct lk_log_note {
  lk_log_mark mark;
  char prev[LK_LOG_HASH_DIGITS + 1];                      /* the hash of the entry before */
  uint64_t number;                                        /* that the log gave its first row */
  uint64_t rows;                                          /* of its enrollment */
  uint64_t numbered_from, templates, replaced, unchanged; /* what was done */
  lk_status status;
  const char *text; /* why it was refused */
  uint32_t text_bytes;
  const void *fields; /* what the log has of it: opaque */
  uint32_t fields_bytes;
  lk_log_finding finding;
  bool erases; /* it asks that what was deleted be erased */
} lk_log_note;

/* LK_EINVAL: the text says which field is not what it can be. */
lk_status lk_log_note_check(const lk_log_note *note, lk_error *error);

/* The size of one that was checked, and so many bytes. */
uint32_t lk_log_note_bytes(const lk_log_note *note);
void lk_log_note_encode(const lk_log_note *note, void *bytes);

/* Reads exactly `size` bytes; the note points into them. LK_EINVAL. */
lk_status lk_log_note_decode(const void *bytes, size_t size, lk_log_note *note, lk_error *error);

#endif
