/* A client's connection to Redis, which is made again, after growing pauses, whenever it breaks. While it is down,
 * sending does nothing and there are no replies. Unlike a worker's lk_redis_session it never sleeps and logs nothing:
 * the client goes on printing meanwhile. One thread uses it. */
#ifndef ENGINE_QUEUE_CLIENT_LINE_H
#define ENGINE_QUEUE_CLIENT_LINE_H

#include <stdbool.h>

#include "engine/queue/redis.h"

/* Do not move a line that was opened: its connection knows where it is. */
typedef struct lk_line {
  lk_route route;
  uint32_t timeout_ms; /* of a call */
  lk_redis *redis;     /* NULL: it is down, */
  uint64_t down_us;    /* since then (lk_clock_us), */
  uint64_t retry_us;   /* and not to be tried before then, */
  uint32_t pause_ms;   /* this long after it broke */
  lk_error trouble;    /* what broke it last */
} lk_line;

/* It is down at first, and breaks where a call lasts for `timeout_s`. What the route points to must outlive it. */
void lk_line_make(lk_line *line, const lk_route *route, uint32_t timeout_s);
void lk_line_close(lk_line *line);

/* Tries to connect, once the pause is over. *opened: it is up again, and what was sent before may be lost. LK_EPOLICY:
 * Redis refuses the user, password or database, and another try would be in vain. */
lk_status lk_line_open(lk_line *line, bool *opened, lk_error *error);

void lk_line_break(lk_line *line, const char *why);

void lk_line_send(lk_line *line, const lk_command *command);
void lk_line_send_words(lk_line *line, size_t count, const char *const *words);
/* The next reply; the caller frees it. NULL: the line is down. */
lk_redis_reply *lk_line_receive(lk_line *line);
/* Sends and waits. Ask first on a new line: a cluster says then where the keys are, and only a call follows it. */
lk_redis_reply *lk_line_ask(lk_line *line, size_t count, const char *const *words);

/* For a reply that is a refusal of `what`: LK_EPOLICY with the reason. Where it is worth another try, breaks the line
 * and returns LK_OK. */
lk_status lk_line_refused(lk_line *line, const char *what, const lk_redis_reply *reply, lk_error *error);

#endif
