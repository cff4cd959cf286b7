/* A session with Redis that connects again, after growing pauses, whenever the connection breaks. */
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
  lk_error logged;   /* the last line, which is not logged twice in a row */
} lk_redis_session;

/* Connects if there is no connection. On failure it logs why (once per outage) and pauses: 50 ms, doubled by each
 * failure up to 2 s, until a call succeeds. LK_EPOLICY: the password is refused; the caller should give up. */
lk_status lk_redis_session_open(lk_redis_session *session, lk_error *error);

/* Call it after a call that succeeded. */
void lk_redis_session_works(lk_redis_session *session);

/* Call it after a call that failed: it logs why, closes the connection, and pauses. */
void lk_redis_session_broke(lk_redis_session *session, const lk_error *error);
void lk_redis_session_close(lk_redis_session *session);

#endif
