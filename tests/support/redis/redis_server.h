/* A private redis-server on a unix socket, in a folder of the caller's, and a connection to it. Whatever cannot be done
 * here fails the test. */
#ifndef TESTS_SUPPORT_REDIS_REDIS_SERVER_H
#define TESTS_SUPPORT_REDIS_REDIS_SERVER_H

#include "engine/queue/redis.h"
#include "tests/support/process.h"

typedef struct redis_server {
  char socket[108], folder[96];
  char url[120];        /* for --redis */
  const char *more[16]; /* set before the start: further words of its command line */
  const char *password; /* set before the start; NULL: none */
  const char *clock;    /* set before the start: a file of redis_clock_set; NULL: its clock is the machine's */
  bool appendonly;      /* set before the start: what is acknowledged survives its death */
  process process;
  lk_redis *link;
} redis_server;

void redis_server_name(redis_server *server, const char *folder);
/* A port of loopback that nobody listens at. */
int redis_free_port(void);
/* Returns when it answers; or, without `wait`, at once and without a connection. */
void redis_server_start(redis_server *server, bool wait);
/* Sets the wall clock of the servers that have this file so far ahead of the machine's; makes the file. */
void redis_clock_set(const char *clock, int64_t ahead_ms);
/* SIGKILL. */
void redis_server_kill(redis_server *server);
void redis_server_close(redis_server *server);

/* Calls with plain words, the last of which is NULL; an error from Redis fails the test. The caller frees the reply. */
lk_redis_reply *redis_ask(redis_server *server, ...) __attribute__((sentinel));
int64_t redis_number(redis_server *server, ...) __attribute__((sentinel));
void redis_do(redis_server *server, ...) __attribute__((sentinel));

/* Waits until the call with these words (which ends with NULL) gives a number at or above `least`; false: it did not.
 */
bool redis_reaches(redis_server *server, int64_t least, ...) __attribute__((sentinel));

#endif
