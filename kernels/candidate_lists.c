#include "kernels/candidate_lists.h"

#include <string.h>

void lk_candidate_lists_clear(lk_candidate_lists *lists) {
  lists->count = 0;
  lists->visible = 0;
}

void lk_candidate_lists_erase(lk_candidate_lists *lists) {
  lk_candidate_lists_clear(lists);
  if (lists->hits_buffer.size > 0) memset(lists->hits_buffer.data, 0, lists->hits_buffer.size);
  if (lists->ends_buffer.size > 0) memset(lists->ends_buffer.data, 0, lists->ends_buffer.size);
}

void lk_candidate_lists_free(lk_candidate_lists *lists) {
  lk_buffer_free(&lists->hits_buffer);
  lk_buffer_free(&lists->ends_buffer);
  *lists = (lk_candidate_lists){0};
}

lk_status lk_candidate_lists_reserve(lk_candidate_lists *lists, uint32_t count, uint64_t hits, lk_error *error) {
  size_t all_hits = lk_candidate_lists_begin(lists, lists->count) + hits, all_lists = (size_t)lists->count + count;
  lk_hit *grown_hits = lk_buffer_grow(&lists->hits_buffer, all_hits, sizeof *lists->hits);
  uint64_t *grown_ends = lk_buffer_grow(&lists->ends_buffer, all_lists, sizeof *lists->ends);
  if (grown_hits != NULL) lists->hits = grown_hits;
  if (grown_ends != NULL) lists->ends = grown_ends;
  if (grown_hits != NULL && grown_ends != NULL) return LK_OK;
  return lk_fail(error, LK_ENOMEM, "out of memory for %zu candidates", all_hits);
}
