#include "kernels/cpu/reference.h"

#include <stdlib.h>
#include <string.h>

static int compare(const void *a, const void *b) { return lk_hit_before(a, b) ? -1 : lk_hit_before(b, a) ? 1 : 0; }

static uint32_t score_all(lk_shape shape, const lk_block *blocks, uint32_t blocks_count, const float *probe,
                          float threshold, lk_hit *all) {
  uint32_t found = 0, row = 0;
  for (uint32_t b = 0; b < blocks_count; b++)
    for (uint32_t r = 0; r < blocks[b].rows; r++, row++) {
      float score = lk_score(shape.metric, probe, blocks[b].exact + (size_t)r * shape.dim, shape.dim);
      if (score >= threshold) all[found++] = (lk_hit){.number = blocks[b].numbers[r], .score = score, .row = row};
    }
  return found;
}

lk_status lk_reference_search(lk_shape shape, const lk_block *blocks, uint32_t blocks_count, const float *probes,
                              uint32_t count, uint32_t k, float threshold, lk_hit *hits, uint32_t *counts,
                              lk_error *error) {
  size_t rows = 0;
  for (uint32_t b = 0; b < blocks_count; b++) rows += blocks[b].rows;
  lk_hit *all = malloc((rows + 1) * sizeof *all);
  if (all == NULL) return lk_fail_memory(error);
  for (uint32_t p = 0; p < count; p++) {
    uint32_t found = score_all(shape, blocks, blocks_count, probes + (size_t)p * shape.dim, threshold, all);
    qsort(all, found, sizeof *all, compare);
    counts[p] = found < k ? found : k;
    memcpy(hits + (size_t)p * k, all, counts[p] * sizeof *all);
  }
  free(all);
  return LK_OK;
}
