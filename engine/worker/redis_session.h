/* A session with Redis that connects again, after growing pauses, whenever the connection breaks. One thread uses it.
 */
#ifndef ENGINE_WORKER_REDIS_SESSION_H
#define ENGINE_WORKER_REDIS_SESSION_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>

#include "engine/queue/redis.h"

/* Do not move a session that was opened: its connection knows where it is. */
typedef struct lk_redis_session {
  lk_route route;    /* its address and give_up are the caller's */
  const char *stage; /* for the log */
  FILE *log;
  const atomic_bool *stop; /* once it is true, pauses are short */
  atomic_bool *reached;    /* of all sessions of the process: whether one was ever connected */
  lk_redis *redis;         /* NULL while it is down */
  uint32_t failures;       /* since a call last went well */
  lk_error logged;         /* the last line, which is not logged twice in a row */
} lk_redis_session;

/* Connects if there is no connection. On failure it logs why (once per outage) and pauses: 50 ms, doubled by each
 * failure up to 2 s, until a call succeeds. LK_EPOLICY: the user, password or database is refused, and was never
 * accepted; the caller should give up. Later they may have been changed, and will be taken again: LK_EIO. */
lk_status lk_redis_session_open(lk_redis_session *session, lk_error *error);

/* Call it after a call that succeeded. */
void lk_redis_session_works(lk_redis_session *session);

/* Call it after a call that failed: it logs why, closes the connection, and pauses. */
void lk_redis_session_broke(lk_redis_session *session, const lk_error *error);
void lk_redis_session_close(lk_redis_session *session);

#endif
