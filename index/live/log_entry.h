/* An entry of a gallery's log on its way to the owner that applies it (index/live/log.h). */
#ifndef INDEX_LIVE_LOG_ENTRY_H
#define INDEX_LIVE_LOG_ENTRY_H

#include <stddef.h>

#include <likeness/owner.h>
#include "index/journal/log_note.h"

/* What the search for matches of an enrollment looked at, and the best match: of which row, and with which template. */
typedef struct lk_log_match {
  uint64_t epoch, searched, total;
  bool found;
  uint32_t row;
  uint64_t number;
  float score; /* NaN: it is not told */
} lk_log_match;

/* It owns nothing that it points to. */
typedef struct lk_log_entry {
  lk_log_mark mark;
  char prev[LK_LOG_HASH_DIGITS + 1]; /* the hash of the entry before */
  uint64_t number;                   /* enrollment: of the first row that is new; the others follow */
  const void *fields;                /* what the log has of it: opaque, and kept with it; up to LK_LOG_FIELDS_BYTES */
  size_t fields_bytes;
  const lk_enrollment *enrollment; /* or */
  const lk_change *changes;        /* or neither: it changes nothing of the gallery, and is only noted */
  uint32_t count;
  bool tells_scores; /* the text of a match has its score */

  /* In: not LK_OK: it was found to be no change, and is noted with this status and text. Out: what became of it. */
  lk_status status;
  lk_error error;
  lk_receipt receipt; /* out: with LK_OK; the epoch is this gallery's own */
  lk_log_match match; /* out: what the search for matches has found; zeros where none was made */
} lk_log_entry;

#endif
