/* The specification: it scores every row in canonical arithmetic and sorts them all. It is slow on purpose; what it
 * returns is right by definition, and every backend must return the same bits. */
#ifndef KERNELS_REFERENCE_H
#define KERNELS_REFERENCE_H

#include "kernels/candidate_lists.h"

/* Reads neither the blocks' codes, tiles, bounds and reciprocals nor the batch's resident blocks. */
lk_status lk_reference_search(const lk_block *blocks, uint32_t blocks_count, const lk_batch *batch,
                              lk_candidate_lists *lists, lk_error *error);

#endif
