/* Counts the probes of each case. */
#ifndef GOVERNANCE_CASES_H
#define GOVERNANCE_CASES_H

#include <stddef.h>

#include <likeness/types.h>

/* A slot of an open-addressing table. The 128-bit hash of its id identifies the case; a hash of zeros: an empty slot.
 */
typedef struct lk_case {
  uint64_t hash[2];
  uint64_t probes;
} lk_case;

typedef struct lk_cases {
  lk_case *slots;
  size_t capacity, count; /* slots, a power of two; those in use */
} lk_cases;

/* The probes of the case; 0 for an unknown case and for "". */
uint64_t lk_cases_probes(const lk_cases *cases, lk_text id);

/* Adds to the probes of the case; "" is ignored. Returns false when out of memory. With `probes` 0 it only reserves the
 * case's slot, so that a later call cannot fail. */
bool lk_cases_add(lk_cases *cases, lk_text id, uint64_t probes);

void lk_cases_free(lk_cases *cases);

#endif
