/* The centres of one search: the different means of its blocks. Blocks with equal means share a centre, and each probe
 * is bounded once for each centre. Under l2 it is also coded once for each, since it is centred as the rows are; for
 * dot products its code does not depend on the mean, and one code serves all centres. */
#ifndef KERNELS_CENTRES_H
#define KERNELS_CENTRES_H

#include <stdbool.h>

#include "base/buffer.h"
#include "kernels/backend.h"

typedef struct lk_centres {
  lk_metric metric;
  uint32_t dim;
  const float **means; /* one a centre; the blocks' memory */
  uint32_t count;
  lk_buffer buffer;
} lk_centres;

/* Starts with no centres, and with room for those of `blocks` blocks. False: out of memory. */
bool lk_centres_start(lk_centres *centres, lk_shape shape, uint32_t blocks);
/* The number of the centre with this mean, which is added where no block before had it. */
uint32_t lk_centres_add(lk_centres *centres, const float *mean);
/* For how many centres a probe is coded. */
uint32_t lk_centres_coded(const lk_centres *centres);
/* Bounds a probe for the centres that share its code. Its bound for centre c is bounds[c * stride]; the first is there
 * already. Under l2 no centres share a code: it does nothing. */
void lk_centres_bound(const lk_centres *centres, const float *q, double reciprocal, lk_probe_bound *bounds,
                      size_t stride);
void lk_centres_free(lk_centres *centres);

#endif
