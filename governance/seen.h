/* Remembers which signed jobs were decided, for as long as their signatures are accepted: each counts once. The entry
 * of the queue that brought a job first may come again until it is answered; everything else that has its signed
 * message is a copy. */
#ifndef GOVERNANCE_SEEN_H
#define GOVERNANCE_SEEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { LK_ONCE_HASH = 65, LK_ONCE_ENTRY = 64 };

/* How far a signer's clock may be ahead of the clock that decides. */
#define LK_SIGNED_AHEAD_MS UINT64_C(300000)

/* What identifies a signed job. */
typedef struct lk_once {
  char hash[LK_ONCE_HASH];   /* SHA-256 of the signed message, in hex; "": the job is not signed */
  char entry[LK_ONCE_ENTRY]; /* that brings it: "q:lo 5-1"; "": not known */
  uint64_t signed_ms;        /* at most LK_SIGNED_AHEAD_MS after the time of the decision */
  bool waits;                /* the queue remembers this entry as the first that brought it, and as not answered */
} lk_once;

/* A slot of an open-addressing table: the first half of the hash, of which zeros mark an empty slot; half of a hash of
 * the entry, of which zeros mean that it is not known; and when the job was decided last. */
typedef struct lk_seen_slot {
  uint64_t hash[2], entry[2];
  uint64_t decided_ms;
  bool counted;  /* its probes count for its case */
  bool answered; /* an answer may have been sent */
} lk_seen_slot;

typedef struct lk_seen {
  lk_seen_slot *slots;
  size_t capacity, count; /* slots, a power of two; those in use */
  /* A job that was signed at or before this time may have been forgotten. It lies behind the clock, unless the clock is
   * set back. */
  uint64_t floor_ms;
} lk_seen;

/* Whether the job was decided, or may have been and was forgotten; unless its own entry brings it again, and is not
 * answered. Where an answer may have been sent, only the queue knows whether it arrived. */
bool lk_seen_refuses(const lk_seen *seen, const lk_once *once);

/* Adds a job that is about to be decided, or finds it. `valid_ms`: how old a signature may be; jobs whose signature is
 * older by now may be forgotten. The slot is valid until the next call. NULL: out of memory. */
lk_seen_slot *lk_seen_take(lk_seen *seen, const lk_once *once, uint64_t now_ms, uint64_t valid_ms);

/* The job was decided. A refusal is its answer. */
void lk_seen_decide(lk_seen_slot *slot, bool permitted);
/* An answer is about to be sent. */
void lk_seen_answer(lk_seen *seen, const lk_once *once);

void lk_seen_free(lk_seen *seen);

#endif
