/* The worker: takes jobs from Redis, searches, and answers. Three stages overlap: intake reads and checks,
 * compute searches batches, finish writes replies and acknowledges. A thread each, but for compute, which has as many
 * as the device runs searches. */
#ifndef ENGINE_WORKER_WORKER_H
#define ENGINE_WORKER_WORKER_H

#include <stdatomic.h>
#include <stdio.h>

#include <likeness/likeness.h>
#include "engine/queue/address.h"
#include "governance/governance.h"

typedef struct lk_worker_options {
  lk_address address;
  lk_gallery **galleries; /* loaded */
  uint32_t galleries_count;
  uint32_t searches;         /* that run side by side, of lk_device_searches; at least 1 */
  uint32_t batch_probes;     /* preferred */
  uint64_t max_delay_us;     /* a job waits for company at most so long */
  lk_governance *governance; /* NULL: nothing is asked and nothing kept */
  atomic_bool *reload;       /* when it turns true, the governance is read again and it turns false */
  const atomic_bool *stop;   /* when it turns true, the worker finishes what it took and returns */
  FILE *log;
} lk_worker_options;

/* Runs until stopped. An error means that Redis refused the password, or that replies could not be delivered in time
 * after the stop; their jobs stay pending in Redis. */
lk_status lk_worker_run(const lk_worker_options *options, lk_error *error);

#endif
