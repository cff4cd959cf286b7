/* Memory of candidate lists. */
#ifndef KERNELS_CANDIDATE_LISTS_H
#define KERNELS_CANDIDATE_LISTS_H

#include "kernels/backend.h"

/* Removes all lists and keeps their memory. */
void lk_candidate_lists_clear(lk_candidate_lists *lists);
/* The same, and overwrites their memory: nothing is left of what they held. */
void lk_candidate_lists_erase(lk_candidate_lists *lists);
void lk_candidate_lists_free(lk_candidate_lists *lists);

/* Makes room for `hits` more hits in `count` more lists. */
lk_status lk_candidate_lists_reserve(lk_candidate_lists *lists, uint32_t count, uint64_t hits, lk_error *error);

/* Where a list begins in `hits`; that of lists->count is where the next list would begin. */
static inline uint64_t lk_candidate_lists_begin(const lk_candidate_lists *lists, uint32_t list) {
  return list == 0 ? 0 : lists->ends[list - 1];
}

#endif
