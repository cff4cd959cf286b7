/* The specification: every row scored in canonical arithmetic, all of them sorted. Slow on purpose; what it returns
 * is right by definition, and every backend must return the same bits. */
#ifndef KERNELS_CPU_REFERENCE_H
#define KERNELS_CPU_REFERENCE_H

#include "kernels/scan.h"

/* Of the blocks only rows, exact and numbers are read. hits is count x k, counts is count. */
lk_status lk_reference_search(lk_shape shape, const lk_block *blocks, uint32_t blocks_count, const float *probes,
                              uint32_t count, uint32_t k, float threshold, lk_hit *hits, uint32_t *counts,
                              lk_error *error);

#endif
