/* The specification: every row looked at, scored in canonical arithmetic, all of them sorted. Slow on purpose; what it
 * returns is right by definition, and every backend must return the same bits. */
#ifndef KERNELS_REFERENCE_H
#define KERNELS_REFERENCE_H

#include "kernels/candidate_lists.h"

/* Of the blocks neither codes nor anything about them is read; of the batch not the holds. */
lk_status lk_reference_search(const lk_block *blocks, uint32_t blocks_count, const lk_batch *batch,
                              lk_candidate_lists *lists, lk_error *error);

#endif
