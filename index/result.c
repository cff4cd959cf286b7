#include "index/result.h"

#include <stdlib.h>

#include "kernels/search.h"

lk_status lk_result_open(lk_result **result, lk_error *error) {
  *result = calloc(1, sizeof **result);
  return *result != NULL ? LK_OK : lk_fail_memory(error);
}

void lk_result_close(lk_result *result) {
  if (result == NULL) return;
  lk_lists_free(&result->lists);
  lk_lists_free(&result->parts);
  lk_room *rooms[] = {&result->prepared, &result->thresholds, &result->centres,
                      &result->means,    &result->allowed,    &result->bitmaps};
  for (size_t i = 0; i < sizeof rooms / sizeof rooms[0]; i++) free(rooms[i]->data);
  free(result);
}

uint32_t lk_result_count(const lk_result *result, uint32_t probe) {
  return (uint32_t)(result->lists.ends[probe] - lk_lists_begin(&result->lists, probe));
}

lk_candidate lk_result_candidate(const lk_result *result, uint32_t probe, uint32_t rank) {
  const lk_hit *hit = &result->lists.hits[lk_lists_begin(&result->lists, probe) + rank];
  return (lk_candidate){.found = lk_gallery_template_of_row(result->gallery, hit->row), .score = hit->score};
}

void lk_result_list(const lk_result *result, uint32_t probe, uint64_t *numbers, float *scores) {
  const lk_hit *hits = result->lists.hits + lk_lists_begin(&result->lists, probe);
  for (uint32_t rank = 0; rank < lk_result_count(result, probe); rank++) {
    numbers[rank] = hits[rank].number;
    scores[rank] = hits[rank].score;
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

lk_status lk_result_search(lk_result *result, const lk_query *query, const lk_plain_search *plain, lk_lists *lists,
                           lk_search_stats *stats, lk_error *error) {
  const lk_gallery *gallery = result->gallery;
  lk_batch batch = {.shape = lk_gallery_shape(gallery),
                    .holds = gallery->holds,
                    .holds_count = gallery->manifest.segments_count,
                    .probes = plain->probes,
                    .count = plain->count,
                    .k = plain->k,
                    .thresholds = plain->thresholds,
                    .by_subject = plain->by_subject,
                    .filter = {.tags = query->tags, .mask = query->mask}};
  if (lk_query_lists(query)) batch.filter.allowed = result->bitmaps.data;
  return lk_search(gallery->device, &batch, lists, stats, error);
}
