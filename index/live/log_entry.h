/* An entry of a gallery's log on its way to the owner that applies it (index/live/log.h). */
#ifndef INDEX_LIVE_LOG_ENTRY_H
#define INDEX_LIVE_LOG_ENTRY_H

#include <stddef.h>

#include <likeness/owner.h>
#include "index/gallery/finding.h"
#include "index/journal/log_note.h"

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
  bool erases;       /* it asks for lk_owner_log_erase, once it is acknowledged */

  /* In: not LK_OK: it was found to be no change, and is noted with this status and text. Out: what became of it. */
  lk_status status;
  lk_error error;
  lk_receipt receipt; /* out: with LK_OK; the epoch is this gallery's own */
  bool matched;       /* out: the search for matches was made: */
  lk_finding finding; /* as the text tells it; its epoch is the receipt's */
} lk_log_entry;

#endif
