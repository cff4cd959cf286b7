/* Calls the functions of engine/queue/functions/ at a private Redis, and compares what comes back as text: numbers and
 * strings as they are, a list as "(a b)", an empty one and nothing as "0", an error as "!text". A pattern may have `*`,
 * as in fnmatch(3). */
#ifndef TESTS_E2E_CALLS_H
#define TESTS_E2E_CALLS_H

#include "engine/queue/functions.h"
#include "tests/e2e/e2e.h"

#define FACES_LO_3 "lk:{faces}:q:lo:3"
#define FACES_COUNTS "lk:{faces}:counts"
#define FACES_MY_REPLIES FACES_REPLIES "me"

/* Of a job's reply: without time limits. */
#define ALWAYS "0", "9007199254740992"

enum { CALL_WORDS = 48 };

/* A Redis with the functions, and the group on FACES_LO. */
void calls_setup(void);
void calls_teardown(void);

/* Calls a function, as lk_functions_call does: its name, the number of its keys, keys and arguments; expects this
 * answer. */
void expect_call(const char *pattern, ...) __attribute__((sentinel));
/* The same for a command of Redis. */
void expect_redis(const char *pattern, ...) __attribute__((sentinel));

/* Expects the call, whose words end with NULL, to be refused for `words`, and to change nothing. */
void expect_refused(const char *words, const char *const *call);

/* Leaves Redis `percent` of the memory that it uses. */
void limit_to(int64_t percent);

/* Adds a job with this id for the client `me` to FACES_LO, and gives all jobs that wait there to the worker. */
void deliver(const char *entry, const char *worker);

#endif
