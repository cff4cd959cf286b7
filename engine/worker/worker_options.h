/* The options of a worker. */
#ifndef ENGINE_WORKER_WORKER_OPTIONS_H
#define ENGINE_WORKER_WORKER_OPTIONS_H

#include <stdatomic.h>
#include <stdio.h>

#include <likeness/owner.h>
#include "engine/queue/address.h"
#include "governance/governance.h"

typedef struct lk_worker_options {
  lk_address address;
  lk_gallery **galleries;     /* loaded, each of another name, since their streams are named after them */
  lk_owner **owners;          /* of each; NULL: another process changes it, and this worker follows */
  const char *const *folders; /* of each that it owns */
  uint32_t galleries_count;
  uint32_t replicas;         /* of Redis, that should have a change before it is answered */
  uint32_t searches;         /* that run side by side, of lk_device_searches; at least 1 */
  uint32_t batch_probes;     /* preferred */
  uint64_t max_delay_us;     /* a job waits for company at most so long */
  lk_governance *governance; /* NULL: nothing is asked and nothing kept */
  atomic_bool *reload;       /* when it turns true, the governance is read again and it turns false */
  const atomic_bool *stop;   /* when it turns true, the worker finishes what it took and returns */
  FILE *log;
} lk_worker_options;

#endif
