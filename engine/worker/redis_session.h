/* A connection that comes back: opened again, with growing pauses, whenever it broke. */
#ifndef ENGINE_WORKER_REDIS_SESSION_H
#define ENGINE_WORKER_REDIS_SESSION_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>

#include "engine/queue/redis.h"

typedef struct lk_redis_session {
  const lk_address *address;
  const char *stage; /* for the log */
  FILE *log;
  lk_redis *redis;   /* NULL while it is down */
  uint32_t failures; /* since a call last went well */
  lk_error said;     /* the last remark, which is not made twice in a row */
} lk_redis_session;

/* Tries once to have a connection; where there is none, logs why (once for each outage) and pauses: 50 ms, doubling
 * up to 2 s with each failure until a call goes well. LK_EPOLICY (a refused password) is for the caller to give up on.
 */
lk_status lk_redis_session_open(lk_redis_session *link, lk_error *error);

/* After a call went well. */
void lk_redis_session_works(lk_redis_session *link);

/* After a call failed: logs why, closes, and pauses. */
void lk_redis_session_broke(lk_redis_session *link, const lk_error *error);
void lk_redis_session_close(lk_redis_session *link);

#endif
