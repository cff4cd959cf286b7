#include "index/gallery/result.h"

#include <stdlib.h>

#include "base/text.h"
#include "kernels/search/device.h"

lk_status lk_result_open(lk_result **result, lk_error *error) {
  *result = calloc(1, sizeof **result);
  return *result != NULL ? LK_OK : lk_fail_memory(error);
}

void lk_result_close(lk_result *result) {
  if (result == NULL) return;
  free(result->governed);
  lk_candidate_lists_free(&result->lists);
  lk_candidate_lists_free(&result->parts);
  lk_room *rooms[] = {&result->prepared, &result->thresholds, &result->centres,
                      &result->means,    &result->allowed,    &result->bitmaps};
  for (size_t i = 0; i < sizeof rooms / sizeof rooms[0]; i++) free(rooms[i]->data);
  free(result);
}

uint32_t lk_result_count(const lk_result *result, uint32_t probe) {
  if (probe >= result->lists.count) return 0;
  return (uint32_t)(result->lists.ends[probe] - lk_candidate_lists_begin(&result->lists, probe));
}

lk_candidate lk_result_candidate(const lk_result *result, uint32_t probe, uint32_t rank) {
  const lk_hit *hit = &result->lists.hits[lk_candidate_lists_begin(&result->lists, probe) + rank];
  return (lk_candidate){.found = lk_gallery_template_of_row(result->gallery, hit->row), .score = hit->score};
}

void lk_result_list(const lk_result *result, uint32_t probe, uint64_t *numbers, float *scores) {
  const lk_hit *hits = result->lists.hits + lk_candidate_lists_begin(&result->lists, probe);
  for (uint32_t rank = 0; rank < lk_result_count(result, probe); rank++) {
    numbers[rank] = hits[rank].number;
    scores[rank] = hits[rank].score;
  }
}

lk_text lk_result_decision(const lk_result *result) { return result->decision; }

void lk_result_decide(lk_result *result, char *decision) {
  free(result->governed);
  result->governed = decision;
  result->decision = decision != NULL ? lk_text_of(decision) : (lk_text){0};
}

void lk_result_decide_none(lk_result *result) {
  lk_result_decide(result, NULL);
  result->decision = lk_text_of("{\"policy\":\"none\"}");
}

uint64_t lk_result_candidates(const lk_result *result) {
  return lk_candidate_lists_begin(&result->lists, result->lists.count);
}

/* Candidates come best first, so those that stay are a prefix of each list. */
void lk_result_tighten(lk_result *result, uint32_t k, float threshold) {
  lk_candidate_lists *lists = &result->lists;
  uint64_t begin = 0, kept = 0;
  for (uint32_t list = 0; list < lists->count; list++) {
    uint64_t end = lists->ends[list];
    for (uint64_t at = begin; at < end && at - begin < k && lists->hits[at].score >= threshold; at++)
      lists->hits[kept++] = lists->hits[at];
    lists->ends[list] = kept;
    begin = end;
  }
}

void *lk_room_take(lk_room *room, size_t count, size_t size) {
  if (room->data == NULL || room->room < count) {
    free(room->data);
    room->data = malloc(count > 0 ? count * size : size);
    room->room = room->data != NULL ? count : 0;
  }
  return room->data;
}

lk_status lk_result_search(lk_result *result, const lk_query *query, const lk_plain_search *plain,
                           lk_candidate_lists *lists, lk_search_stats *stats, lk_error *error) {
  const lk_gallery *gallery = result->gallery;
  lk_batch batch = {.shape = lk_gallery_shape(gallery),
                    .blocks = gallery->holds,
                    .blocks_count = gallery->manifest.segments_count,
                    .probes = plain->probes,
                    .count = plain->count,
                    .k = plain->k,
                    .thresholds = plain->thresholds,
                    .by_subject = plain->by_subject,
                    .filter = {.tags = query->tags, .mask = query->mask}};
  if (lk_query_lists(query)) batch.filter.allowed = result->bitmaps.data;
  return lk_search(gallery->device, &batch, lists, stats, error);
}
