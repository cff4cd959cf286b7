/* A worker's place at a gallery's log: it asks for the log in time, and gives back to a Redis that lost a part of it
 * what this worker has applied. */
#ifndef ENGINE_WORKER_LOG_LEASE_H
#define ENGINE_WORKER_LOG_LEASE_H

#include <stdio.h>

#include "engine/worker/log/ownership.h"
#include "index/live/log.h"

enum { LK_NONCE_DIGITS = 32 };

typedef struct lk_lease {
  lk_owner *owner;
  const lk_keys *keys;
  const char *worker;
  FILE *log;
  char nonce[LK_NONCE_DIGITS + 1]; /* which run of the worker */
  lk_ownership own;                /* as Redis said it last */
  uint64_t asked_us;
} lk_lease;

lk_lease lk_lease_of(lk_owner *owner, const lk_keys *keys, const char *worker, FILE *log);

/* Asks, where it is time to. LK_STANDING_DIVERGED: this gallery cannot follow the log. Not LK_OK: as of
 * lk_ownership_ask and lk_rewinder_append. */
lk_status lk_lease_renew(lk_lease *lease, lk_redis *redis, lk_error *error);

/* Another worker need not wait until the lease is over. `redis` may be NULL: there is no connection. */
void lk_lease_leave(lk_lease *lease, lk_redis *redis);

#endif
