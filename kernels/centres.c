#include "kernels/centres.h"

#include <string.h>

bool lk_centres_start(lk_centres *centres, lk_shape shape, uint32_t blocks) {
  centres->metric = shape.metric;
  centres->dim = shape.dim;
  centres->count = 0;
  centres->means = lk_buffer_reserve(&centres->buffer, blocks, sizeof *centres->means);
  return centres->means != NULL;
}

uint32_t lk_centres_add(lk_centres *centres, const float *mean) {
  for (uint32_t c = 0; c < centres->count; c++)
    if (memcmp(centres->means[c], mean, centres->dim * sizeof *mean) == 0) return c;
  centres->means[centres->count] = mean;
  return centres->count++;
}

uint32_t lk_centres_coded(const lk_centres *centres) {
  return centres->metric == LK_L2 || centres->count == 0 ? centres->count : 1;
}

void lk_centres_bound(const lk_centres *centres, const float *q, double reciprocal, lk_probe_bound *bounds,
                      size_t stride) {
  for (uint32_t c = 1; centres->metric != LK_L2 && c < centres->count; c++) {
    bounds[c * stride] = bounds[0];
    lk_codes_set_offset(centres->metric, q, reciprocal, centres->dim, centres->means[c], &bounds[c * stride]);
  }
}

void lk_centres_free(lk_centres *centres) { lk_buffer_free(&centres->buffer); }
