/* Serving: takes jobs from Redis, searches, and answers. Three stages overlap: intake reads and checks,
 * compute searches batches, finish writes replies and acknowledges. A thread each, but for compute, which has as many
 * as the device runs searches. */
#ifndef ENGINE_WORKER_SERVE_H
#define ENGINE_WORKER_SERVE_H

#include "engine/worker/worker_options.h"

/* Runs until stopped. An error means that Redis refused the password, or that replies could not be delivered in time
 * after the stop; their jobs stay pending in Redis. */
lk_status lk_serve(const lk_worker_options *options, lk_error *error);

#endif
