/* Several probes of one subject, fused into one candidate list: exactly, whatever the probes are. */
#ifndef INDEX_GALLERY_FUSION_H
#define INDEX_GALLERY_FUSION_H

#include "index/gallery/result.h"

/* Searches for the runs of the result's workspace and appends a list a run to its answer. Of the query its probes and
 * threshold are not read. */
lk_status lk_fuse_max(lk_result *result, const lk_query *query, lk_search_stats *stats, lk_error *error);
lk_status lk_fuse_mean(lk_result *result, const lk_query *query, lk_search_stats *stats, lk_error *error);

#endif
