#include "kernels/candidate_lists.h"

#include <stdlib.h>

void lk_candidate_lists_clear(lk_candidate_lists *lists) { lists->count = 0; }

void lk_candidate_lists_free(lk_candidate_lists *lists) {
  free(lists->hits);
  free(lists->ends);
  *lists = (lk_candidate_lists){0};
}

static bool grow(void **data, size_t *room, size_t needed, size_t size) {
  if (needed <= *room && *data != NULL) return true;
  size_t wanted = needed > *room + *room / 2 ? needed : *room + *room / 2 + 1;
  void *grown = realloc(*data, wanted * size);
  if (grown == NULL) return false;
  *data = grown;
  *room = wanted;
  return true;
}

lk_status lk_candidate_lists_reserve(lk_candidate_lists *lists, uint32_t count, uint64_t hits, lk_error *error) {
  size_t all_hits = lk_candidate_lists_begin(lists, lists->count) + hits, all_lists = (size_t)lists->count + count;
  if (grow((void **)&lists->hits, &lists->hits_room, all_hits, sizeof *lists->hits) &&
      grow((void **)&lists->ends, &lists->ends_room, all_lists, sizeof *lists->ends))
    return LK_OK;
  return lk_fail(error, LK_ENOMEM, "out of memory for %zu candidates", all_hits);
}
