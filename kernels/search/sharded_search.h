/* A search by several parts of a device at once, each over the blocks that it holds, as if one had done it. Every part
 * has bars of its own: what a part leaves out has k better ones in that part alone. */
#ifndef KERNELS_SEARCH_SHARDED_SEARCH_H
#define KERNELS_SEARCH_SHARDED_SEARCH_H

#include "kernels/search/backend_search.h"

typedef struct lk_several lk_several;

/* The parts must outlive it. */
lk_status lk_several_open(lk_part *parts, uint32_t count, lk_several **several, lk_error *error);
/* NULL closes nothing. */
void lk_several_close(lk_several *several);

/* As lk_part_search, over holds of which each names its part. */
lk_status lk_several_search(lk_several *several, const lk_batch *batch, lk_lists *lists, lk_search_stats *stats,
                            lk_error *error);

#endif
