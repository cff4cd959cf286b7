/* The place of an entry in a gallery's log, which is the order of the changes that came through Redis. */
#ifndef INDEX_JOURNAL_LOG_MARK_H
#define INDEX_JOURNAL_LOG_MARK_H

#include <stdbool.h>
#include <stdint.h>

#define LK_LOG_HASH_DIGITS 40

typedef struct lk_log_mark {
  uint64_t ms, n; /* the entry's id in the log; ms is its time, which never falls from an entry to the next */
  uint64_t seq;   /* from 1 on, without gaps; 0: there is no entry, and all else is zeros or "" */
  uint64_t term;  /* of the owner under which it was logged */
  char hash[LK_LOG_HASH_DIGITS + 1]; /* of the entry and all before it; small hexadecimal digits */
} lk_log_mark;

/* What the first entry has as the hash of the entry before it. */
#define LK_LOG_NO_HASH "0000000000000000000000000000000000000000"

/* Whether these are the digits of a hash, terminated. */
bool lk_log_hash_is_valid(const char *hash);

/* Whether an entry with this place, and this hash of the entry before it, comes right after `last`. */
bool lk_log_mark_follows(const lk_log_mark *last, const lk_log_mark *mark, const char *prev);

#endif
