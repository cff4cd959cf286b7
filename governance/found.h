/* Counts the probes that found each subject, so that nobody can ask for one subject's scores without end. */
#ifndef GOVERNANCE_FOUND_H
#define GOVERNANCE_FOUND_H

#include <stddef.h>

#include <likeness/types.h>

enum { LK_FOUND_HOUR_MS = 3600000, LK_FOUND_MOST = 1 << 19 /* subjects within an hour */ };

/* A slot of an open-addressing table; a hash of zeros: an empty slot. */
typedef struct lk_found_slot {
  uint64_t hash[2];  /* of gallery and subject */
  uint64_t since_ms; /* the first of its probes; an hour later it is counted anew */
  uint64_t list;     /* the last candidate list that had it */
  uint64_t probes;
} lk_found_slot;

typedef struct lk_found {
  lk_found_slot *slots;
  size_t capacity, count; /* slots, a power of two; those in use */
  uint64_t list;
  uint64_t full_ms; /* when it was last found full: to look again takes milliseconds */
} lk_found;

/* Begins the candidate list of another probe. */
void lk_found_begin(lk_found *found);

/* Counts a subject of the list, once however many of its templates the list has. Returns the probes that found it
 * within its hour; UINT64_MAX when out of memory, or when LK_FOUND_MOST other subjects were found within an hour. */
uint64_t lk_found_add(lk_found *found, lk_text gallery, lk_text subject, uint64_t now_ms);

/* The subjects in the candidate lists of a result. */
typedef struct lk_finds {
  uint32_t lists;
  uint32_t (*count)(const void *context, uint32_t list);
  lk_text (*subject)(const void *context, uint32_t list, uint32_t rank);
  const void *context;
} lk_finds;

/* Counts all of them, and returns the most probes that found one of them. */
uint64_t lk_found_count(lk_found *found, lk_text gallery, const lk_finds *finds, uint64_t now_ms);

void lk_found_free(lk_found *found);

#endif
