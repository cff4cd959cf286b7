/* Serves galleries: takes jobs from Redis, searches, and answers. Three stages overlap: intake reads and checks jobs,
 * compute searches batches, finish writes replies and acknowledges. Each has a thread; compute has one per search that
 * the device runs at a time. */
#ifndef ENGINE_WORKER_SERVE_H
#define ENGINE_WORKER_SERVE_H

#include "engine/worker/worker_options.h"

/* Runs until `stop` turns true. Fails if Redis refuses the password, or if replies cannot be delivered in time after
 * the stop; their jobs then stay pending in Redis. */
lk_status lk_serve(const lk_worker_options *options, lk_error *error);

#endif
