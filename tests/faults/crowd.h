/* The clients of the fault suite: threads that send jobs and read replies, each in its way. They come back after every
 * broken connection and send again what Redis did not acknowledge.
 *
 * patient   sends with XADD and reads its list with LRANGE, then removes what it read, so that it loses nothing
 * idempotent  sends with lk_submit_5, reads with LPOP, sends again what is not answered, and cancels now and then a job
 * fickle    sends under a name, goes without reading, and comes back to that name's list later
 */
#ifndef TESTS_FAULTS_CROWD_H
#define TESTS_FAULTS_CROWD_H

#include <likeness/signing_key.h>

#include "tests/faults/store.h"

enum { CROWD_CLIENTS = 6, CROWD_POISONED = 256 };

typedef struct crowd crowd;

typedef struct crowd_options {
  store *store;
  account *account;
  uint64_t seed;
  uint32_t jobs;             /* that they send, */
  uint64_t lasts_ms;         /* during this time */
  const lk_signing_key *key; /* half of the jobs are signed by "desk"; NULL: none is */
} crowd_options;

/* The clients begin to send at once. Ends the process where they cannot be started. */
crowd *crowd_open(const crowd_options *options);
/* Ends the threads: what is unread is left. */
void crowd_close(crowd *crowd);

/* One of them soon sends CROWD_POISONED jobs more, at once, one of which is poison. */
void crowd_poison(crowd *crowd);

/* No client begins a call from here on until the gate is opened again; waits until each has ended the one that it is
 * in.
 */
void crowd_shut(crowd *crowd);
void crowd_let(crowd *crowd);

/* Nobody sends any more new jobs; all lists are read. */
void crowd_rest(crowd *crowd);

#endif
