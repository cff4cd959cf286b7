/* One round of a search by a backend. */
#ifndef TESTS_SUPPORT_ROUND_HITS_H
#define TESTS_SUPPORT_ROUND_HITS_H

#include "kernels/backend.h"

/* The number of rows, of a block of one tile, that one round finds to score at least the bar; with codes, or in_float.
 */
uint64_t round_hits(lk_backend *backend, lk_shape shape, const lk_block *block, const float *q, float bar,
                    bool in_float);

#endif
