/* What must be left when all faults are over: no open job, and a Redis that is as it was. */
#ifndef TESTS_FAULTS_AFTERMATH_H
#define TESTS_FAULTS_AFTERMATH_H

#include "tests/faults/weather.h"

/* Redis' data at a moment, in bytes, without what its connections and its log take. */
int64_t aftermath_data(store *store);

/* Waits until every accepted job is answered, or until none was for 15 s. Notes how long it took. */
void aftermath_await(weather *weather);
/* Waits until nothing is pending, the streams are trimmed, and the consumers and leases are those of the workers that
 * live. Writes what is not so; returns whether all of it is. */
bool aftermath_settles(weather *weather, FILE *out);
/* The same of what stays when clients and workers have gone: no leases, no replies, and Redis' data (`before`: at the
 * start) but for what expires by itself and for 2 MiB, since a trim leaves some entries of each stream. */
bool aftermath_is_clean(store *store, int64_t before, FILE *out);

#endif
