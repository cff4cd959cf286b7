/* A search by several parts of a device at once, each over the blocks that it holds, as if one had done it. Every part
 * has bars of its own: what a part leaves out has k better ones in that part alone. */
#ifndef KERNELS_SEARCH_SHARDED_SEARCH_H
#define KERNELS_SEARCH_SHARDED_SEARCH_H

#include "kernels/search/backend_search.h"

typedef struct lk_sharded_search lk_sharded_search;

/* The parts must outlive it. */
lk_status lk_sharded_search_open(lk_backend_search *parts, uint32_t count, lk_sharded_search **several,
                                 lk_error *error);
/* NULL closes nothing. */
void lk_sharded_search_close(lk_sharded_search *several);

/* As lk_backend_search_run, over holds of which each names its part. */
lk_status lk_sharded_search_run(lk_sharded_search *several, const lk_batch *batch, lk_candidate_lists *lists,
                                lk_search_stats *stats, lk_error *error);

#endif
