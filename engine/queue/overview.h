/* What the queue of a gallery has at the moment, for whoever looks after it. Reads only, and takes no part: the figures
 * are of some moments, one after the other. */
#ifndef ENGINE_QUEUE_OVERVIEW_H
#define ENGINE_QUEUE_OVERVIEW_H

#include <jansson.h>

#include "engine/queue/redis.h"

/* The names of the galleries that have a queue here, sorted: a list of texts, which the caller releases. In a cluster,
 * those of one node. LK_EIO: also where Redis refuses to list its keys. LK_ENOMEM. */
lk_status lk_overview_galleries(lk_redis *redis, json_t **names, lk_error *error);

/* Of one gallery; the caller releases it:
 *   {"gallery", "hi": {"jobs", "held", "oldest_ms"}, "lo": ...,
 *    "workers": [{"worker", "lease_ms", "held", "searching"}], "dead", "deaths", "counts": {...}}
 * `held` jobs are with a worker, `searching` those of them that it searches for. A worker without a lease, whose
 * lease_ms is null, has died, or is `returned`, which keeps what was handed back. oldest_ms: how long ago the oldest
 * job came; null: there is none. LK_EINVAL: the name is none. LK_EIO, LK_ENOMEM. */
lk_status lk_overview_read(lk_redis *redis, const char *gallery, json_t **overview, lk_error *error);

#endif
