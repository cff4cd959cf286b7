#include "kernels/reference.h"

#include <stdlib.h>

static int compare(const void *a, const void *b) { return lk_hit_before(a, b) ? -1 : lk_hit_before(b, a) ? 1 : 0; }

static uint32_t score_all(const lk_block *blocks, uint32_t blocks_count, const lk_batch *batch, uint32_t p,
                          lk_hit *all) {
  lk_shape shape = batch->shape;
  const float *probe = batch->probes + (size_t)p * shape.dim;
  float threshold = batch->thresholds != NULL ? batch->thresholds[p] : -INFINITY, room[LK_DIM_MAX];
  double reciprocal = lk_score_reciprocal(shape.metric, probe, shape.dim);
  uint32_t found = 0, row = 0;
  for (uint32_t b = 0; b < blocks_count; b++) {
    const uint64_t *allowed = batch->filter.allowed != NULL ? batch->filter.allowed[b] : NULL;
    for (uint32_t r = 0; r < blocks[b].rows; r++, row++) {
      if (r % LK_TILE_ROWS == 0 && !lk_control_goes_on(batch->control)) return 0;
      if (!lk_visible(&blocks[b].visibility, &batch->filter, allowed, r)) continue;
      lk_hit hit = {.number = blocks[b].numbers[r], .row = row};
      const float *x = lk_stored_row(shape.store, blocks[b].exact, r, shape.dim, room);
      hit.score = lk_score_known(shape.metric, probe, x, shape.dim,
                                 reciprocal * lk_score_reciprocal(shape.metric, x, shape.dim));
      if (batch->by_subject) hit.subject = blocks[b].subjects[r];
      if (hit.score >= threshold) all[found++] = hit;
    }
  }
  return found;
}

static uint64_t count_visible(const lk_block *blocks, uint32_t blocks_count, const lk_filter *filter) {
  uint64_t visible = 0;
  for (uint32_t b = 0; b < blocks_count; b++)
    for (uint32_t r = 0; r < blocks[b].rows; r++)
      visible += lk_visible(&blocks[b].visibility, filter, filter->allowed != NULL ? filter->allowed[b] : NULL, r);
  return visible;
}

static bool is_new_subject(const lk_hit *list, uint64_t count, uint32_t subject) {
  for (uint64_t i = 0; i < count; i++)
    if (list[i].subject == subject) return false;
  return true;
}

/* Appends the best of `all`, which is in order. */
static lk_status append_best(const lk_batch *batch, const lk_hit *all, uint32_t found, lk_candidate_lists *lists,
                             lk_error *error) {
  lk_status status = lk_candidate_lists_reserve(lists, 1, found, error);
  if (status != LK_OK) return status;
  uint64_t begin = lk_candidate_lists_begin(lists, lists->count), end = begin;
  for (uint32_t i = 0; i < found && (batch->k == LK_K_ALL || end - begin < batch->k); i++)
    if (!batch->by_subject || is_new_subject(lists->hits + begin, end - begin, all[i].subject))
      lists->hits[end++] = all[i];
  lists->ends[lists->count++] = end;
  return LK_OK;
}

lk_status lk_reference_search(const lk_block *blocks, uint32_t blocks_count, const lk_batch *batch,
                              lk_candidate_lists *lists, lk_error *error) {
  size_t rows = 0;
  for (uint32_t b = 0; b < blocks_count; b++) rows += blocks[b].rows;
  lk_hit *all = malloc((rows + 1) * sizeof *all);
  if (all == NULL) return lk_fail_memory(error);
  lk_status status = LK_OK;
  lk_candidate_lists_clear(lists);
  lists->visible = count_visible(blocks, blocks_count, &batch->filter);
  for (uint32_t p = 0; status == LK_OK && p < batch->count; p++) {
    uint32_t found = score_all(blocks, blocks_count, batch, p, all);
    qsort(all, found, sizeof *all, compare);
    status = append_best(batch, all, found, lists, error);
    if (status == LK_OK) status = lk_control_check(batch->control, error);
  }
  free(all);
  if (status == LK_ECANCELLED) lk_candidate_lists_clear(lists);
  return status;
}
