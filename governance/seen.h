/* Remembers which signed jobs were decided, for as long as their signatures are accepted. */
#ifndef GOVERNANCE_SEEN_H
#define GOVERNANCE_SEEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { LK_SEEN_HASH = 32 };

/* How far a signer's clock may be ahead of the clock that decides. */
#define LK_SIGNED_AHEAD_MS UINT64_C(300000)

/* A slot of an open-addressing table: the first half of the hash, of which zeros mark an empty slot, and when the job
 * was decided. */
typedef struct lk_seen_slot {
  uint64_t hash[2];
  uint64_t decided_ms;
} lk_seen_slot;

typedef struct lk_seen {
  lk_seen_slot *slots;
  size_t capacity, count; /* slots, a power of two; those in use */
  /* A job that was signed at or before this time may have been forgotten. It lies behind the clock, unless the clock is
   * set back. */
  uint64_t floor_ms;
} lk_seen;

/* Whether the job with this hash was decided, or may have been and was forgotten. `hash` has LK_SEEN_HASH bytes. */
bool lk_seen_has(const lk_seen *seen, const uint8_t *hash, uint64_t signed_ms);

/* Adds a job that was signed at most LK_SIGNED_AHEAD_MS after `now_ms`. `valid_ms`: how old a signature may be; jobs
 * whose signature is older by now may be forgotten. Returns false when out of memory. */
bool lk_seen_add(lk_seen *seen, const uint8_t *hash, uint64_t now_ms, uint64_t valid_ms);

void lk_seen_free(lk_seen *seen);

#endif
