/* A thread between the workers and Redis: it passes bytes on, and cuts connections in the middle of calls when told to.
 * What it forwards to is the server in use, so that a failover is followed as behind a moving address. */
#ifndef TESTS_FAULTS_PROXY_H
#define TESTS_FAULTS_PROXY_H

#include "tests/faults/store.h"

typedef struct proxy proxy;

/* One address for each server, each for its own; or, not `fixed`, one address for that in use. Ends the process where
 * that fails. */
proxy *proxy_open(store *store, uint64_t seed, bool fixed);
void proxy_close(proxy *proxy);

/* For --redis. */
const char *proxy_url(const proxy *proxy);

/* From now on each connection is cut after a random number of bytes; or no more. */
void proxy_cuts(proxy *proxy, bool cuts);
/* Cuts all that there are. */
void proxy_cut_all(proxy *proxy);
uint32_t proxy_cut_count(const proxy *proxy);

#endif
