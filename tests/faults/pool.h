/* The workers of the fault suite. Whoever dies is replaced, as by a service manager. The main thread owns it. */
#ifndef TESTS_FAULTS_POOL_H
#define TESTS_FAULTS_POOL_H

#include "tests/faults/plan.h"
#include "tests/support/process.h"

typedef struct pool_worker {
  process process;
  bool frozen;                         /* SIGSTOP was sent, and no SIGCONT yet */
  uint64_t cont_ms, kill_ms, start_ms; /* when what comes next is due; 0: nothing is */
  uint64_t term_ms;                    /* when SIGTERM was sent; 0: it was not */
  bool told;                           /* it was told to go */
} pool_worker;

typedef struct pool {
  const char *const *words; /* of a worker's command line */
  pool_worker workers[PLAN_WORKERS];
  uint32_t started, killed, ended_well, ended_badly; /* by SIGTERM: exit code 0, or 1 */
  uint32_t poisoned;                                 /* died of a segmentation fault */
  uint32_t unasked, late; /* ended without being told; not out 10 s after SIGTERM: both are failures */
  uint64_t slowest_term_ms;
} pool;

/* `words` must live as long as the pool, and ends with NULL. Returns when all serve; ends the process where that fails.
 */
void pool_open(pool *pool, const char *const *words);
void pool_close(pool *pool);

/* The first worker from this number on that runs and that no fault has struck yet; -1: there is none. */
int pool_find(const pool *pool, uint32_t from);

void pool_kill(pool *pool, int number);
void pool_term(pool *pool, int number);
/* SIGSTOP, and after so long SIGCONT or SIGKILL. */
void pool_stop(pool *pool, int number, uint32_t length_ms, bool kills);

/* Does what is due, and sees who has died. */
void pool_tick(pool *pool);
/* Continues or kills whoever is stopped, and waits until all serve. */
void pool_recover(pool *pool);
/* SIGTERM to all, with a healthy Redis; returns whether all left with 0 in time. */
bool pool_end(pool *pool);
/* Whether no worker ended unasked, or late; writes what is wrong. */
bool pool_judge(const pool *pool, FILE *out);

#endif
