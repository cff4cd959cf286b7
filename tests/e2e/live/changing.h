/* Jobs that change the gallery "faces", and what becomes of them, for tests of its log. Whatever goes wrong here fails
 * the test. */
#ifndef TESTS_E2E_LIVE_CHANGING_H
#define TESTS_E2E_LIVE_CHANGING_H

#include <jansson.h>
#include <stdbool.h>

#include "tests/e2e/e2e.h"

enum { CHANGING_ID = 48 };

/* Adds a job to `server`'s queue of the gallery with these further fields, names and values (the last is NULL), and one
 * row or probe (NULL: none). */
void changing_send(redis_server *server, const char *id, const char *op, const float *vector, ...)
    __attribute__((sentinel));

/* Waits for the reply to this job, which must come next, be OK, and tell a change; writes the id of its entry in the
 * log to `entry` (may be NULL). Returns the receipt's member `templates`. */
int64_t changing_expect(redis_server *server, const char *id, char entry[CHANGING_ID]);

/* Whether a search that sees the log up to `entry` finds this key for the vector, at distance 0. */
bool changing_finds(redis_server *server, const float *vector, const char *key, const char *entry);

/* The vector of this number, unlike all others; static, for one call. */
const float *changing_vector(uint32_t number);

/* The templates of a gallery's folder as `likeness list` has them, sorted; the caller frees them. */
char *changing_list(const char *folder);

/* Waits until the worker owns the log of the gallery. */
void changing_await_owner(process *worker);

/* Whether a file in the folder, or below it, has these bytes. */
bool changing_has_bytes(const char *folder, const void *bytes, size_t size);

#endif
