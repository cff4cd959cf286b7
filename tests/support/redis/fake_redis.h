/* A server on loopback that answers as a script says, whatever it is asked, in a thread of the test. */
#ifndef TESTS_SUPPORT_REDIS_FAKE_REDIS_H
#define TESTS_SUPPORT_REDIS_FAKE_REDIS_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

enum { FAKE_CONNECTIONS = 16, FAKE_HEARD = 1 << 14 };

/* Answers that are no bytes. */
extern const char FAKE_CLOSE[];   /* closes the connection */
extern const char FAKE_TRICKLE[]; /* sends a byte of a long string every 10 ms */
extern const char FAKE_SLOW[];    /* the same of a string of 50 bytes */

typedef struct fake_connection {
  int fd; /* 0: none */
  char *in;
  size_t length;
  int trickles; /* bytes that are left to send */
} fake_connection;

typedef struct fake_redis {
  int listener, port;
  char url[64];              /* redis://127.0.0.1:port */
  const char *const *script; /* an answer for each command but PING, which is answered by +PONG; ends with NULL */
  char heard[FAKE_HEARD];    /* the commands but PING: words with blanks between them, a line each */
  fake_connection connections[FAKE_CONNECTIONS];
  bool runs;
  atomic_bool stop;
  atomic_int answered; /* commands so far but PING */
  atomic_int accepted; /* connections so far */
  pthread_t thread;
} fake_redis;

/* After the script's end it says nothing more. The script must live as long as it. */
void fake_redis_start(fake_redis *fake, const char *const *script);
/* Stops it, if it runs; then `heard` can be read. */
void fake_redis_stop(fake_redis *fake);

#endif
