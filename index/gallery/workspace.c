#include "index/gallery/workspace.h"

#include "kernels/search/device.h"

lk_status lk_workspace_search(lk_workspace *workspace, const lk_query *query, const lk_plain_search *plain,
                              lk_candidate_lists *lists, lk_search_stats *stats, lk_error *error) {
  const lk_gallery *gallery = workspace->gallery;
  lk_batch batch = {.shape = lk_gallery_shape(gallery),
                    .blocks = workspace->sight->catalog->residents,
                    .blocks_count = workspace->sight->catalog->parts_count,
                    .probes = plain->probes,
                    .count = plain->count,
                    .k = plain->k,
                    .thresholds = plain->thresholds,
                    .by_subject = plain->by_subject,
                    .filter = lk_sight_filter(workspace->sight),
                    .control = query->control};
  batch.filter.tags = query->tags;
  batch.filter.mask = query->mask;
  if (lk_query_lists(query) || workspace->without_count > 0) batch.filter.allowed = workspace->bitmaps.data;
  return lk_search(gallery->contents->device, &batch, lists, stats, error);
}

void lk_workspace_free(lk_workspace *w) {
  lk_candidate_lists_free(&w->parts);
  lk_buffer *buffers[] = {&w->runs_buffer, &w->prepared,    &w->thresholds, &w->centres,
                          &w->means,       &w->reciprocals, &w->allowed,    &w->bitmaps};
  for (size_t i = 0; i < sizeof buffers / sizeof buffers[0]; i++) lk_buffer_free(buffers[i]);
}
