/* Calls of the functions of a gallery's log. */
#ifndef TESTS_E2E_LOG_CALLS_H
#define TESTS_E2E_LOG_CALLS_H

#include "tests/e2e/functions/calls.h"

#define FACES_LOG "lk:{faces}:log"
#define FACES_STATE "lk:{faces}:log:state"
#define FACES_READERS "lk:{faces}:log:readers"
#define FACES_VECTORS "lk:{faces}:v:"

#define ZEROS "0000000000000000000000000000000000000000"
#define EVER "9007199254740991"
#define ONES "1111111111111111111111111111111111111111"

/* An entry of the log: its fields' names and values in turn, from `seq` on. */
typedef struct log_entry {
  char id[48], words[32][64];
  size_t count;
} log_entry;

extern const log_entry log_nothing;
const char *log_seq(const log_entry *entry);
const char *log_hash(const log_entry *entry);

/* The log's entries; it must have so many. */
void log_read(log_entry *entries, size_t count);

/* The first call of lk_own gives the workers a lease to ask in. */
void log_settle(void);

/* lk_own by the worker whose nonce and name this is; it has applied up to `last`, and would give the number 0. */
void expect_own(const char *pattern, const char *nonce, const log_entry *last);
/* The same with a wish. */
void expect_wish(const char *pattern, const char *nonce, const log_entry *last, const char *wish);
/* Ends the owner's lease. */
void log_end_lease(void);

/* lk_mutate of the job in this entry of FACES_LO: it enrolls two rows, "vectors", for the client `me`. */
void expect_mutate(const char *pattern, const char *entry, const char *id);
/* Delivers it, and expects it to be logged. */
void log_add(const char *entry, const char *id);
/* `a` owns the log, and has logged the jobs `j1` to `j3`. */
void log_three_of(log_entry entries[3]);

/* lk_append of this entry, with the vectors that expect_mutate gave it. */
void expect_append(const char *pattern, const char *nonce, const log_entry *entry);

/* Redis is killed, and comes back with what it saved. */
void log_restart(void);

#endif
