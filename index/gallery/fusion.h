/* Several probes of one subject, fused into one candidate list: exactly, whatever the probes are. */
#ifndef INDEX_GALLERY_FUSION_H
#define INDEX_GALLERY_FUSION_H

#include "index/gallery/result.h"

/* Searches for the query's runs of probes, which are prepared in `result`, and puts a list a run into it. */
lk_status lk_fuse_max(lk_result *result, const lk_query *query, lk_search_stats *stats, lk_error *error);
lk_status lk_fuse_mean(lk_result *result, const lk_query *query, lk_search_stats *stats, lk_error *error);

#endif
