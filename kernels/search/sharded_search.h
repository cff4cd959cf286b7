/* A search by several backends at once, each over its shard, the blocks that it has loaded; the result is that of one
 * backend with all blocks. Each shard has bars of its own: of what it drops, k better candidates are in the same shard.
 */
#ifndef KERNELS_SEARCH_SHARDED_SEARCH_H
#define KERNELS_SEARCH_SHARDED_SEARCH_H

#include "kernels/search/backend_search.h"

typedef struct lk_sharded_search lk_sharded_search;

/* `searches`: one for each shard; they must outlive it. */
lk_status lk_sharded_search_open(lk_backend_search *searches, uint32_t count, lk_sharded_search **sharded,
                                 lk_error *error);
/* NULL closes nothing. */
void lk_sharded_search_close(lk_sharded_search *sharded);

/* As lk_backend_search_run; each of the batch's blocks names its shard. */
lk_status lk_sharded_search_run(lk_sharded_search *sharded, const lk_batch *batch, lk_candidate_lists *lists,
                                lk_search_stats *stats, lk_error *error);

#endif
