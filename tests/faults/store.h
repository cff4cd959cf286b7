/* The Redis of the fault suite: one server or, with a replica, two, on loopback; one of them is in use. The main thread
 * owns it; other threads only ask which one is in use. */
#ifndef TESTS_FAULTS_STORE_H
#define TESTS_FAULTS_STORE_H

#include <stdatomic.h>

#include "tests/faults/account.h"
#include "tests/support/redis/redis_server.h"

enum { STORE_SERVERS = 2, STORE_LANES = 16, STORE_STREAMS = 2 * STORE_LANES };

typedef struct store {
  redis_server servers[STORE_SERVERS];
  int ports[STORE_SERVERS];
  char clock[96]; /* the servers' (redis_clock_set) */
  bool always, replica;
  atomic_uint used; /* the number of the one in use */
} store;

int store_free_port(void);

/* Starts it. Ends the process where that fails. */
void store_open(store *store, const char *folder, bool always, bool replica);
void store_close(store *store);

/* Calls the server in use, once more where the connection was broken. NULL: there is no answer. An error from Redis is
 * written to stderr and returned. */
lk_redis_reply *store_ask(store *store, ...) __attribute__((sentinel));
/* The same for what answers with a number; 0 where there is no answer. */
int64_t store_number(store *store, ...) __attribute__((sentinel));
void store_do(store *store, ...) __attribute__((sentinel));
/* A number of the server's INFO; 0 where it has none of this name. */
int64_t store_info(store *store, const char *section, const char *name);

/* SIGKILL of the server in use, and its start with the data that it had written. */
void store_kill(store *store);
void store_restart(store *store);
/* Whether the replica is connected and has had all data once. */
bool store_follows(store *store);
/* The replica takes over once it has everything; returns false, with nothing changed, where it does not come that far.
 */
bool store_fail_over(store *store);
/* The replica takes over from a server that was killed, which then starts as the replica. */
void store_promote(store *store);

/* The key of a stream by its number: lanes 0 .. 15 of hi, then those of lo. */
const char *store_stream(uint32_t stream);
/* The newest entry that the stream ever had, as the server in use knows it. */
lk_entry store_last_entry(store *store, uint32_t stream);

#endif
