/* A worker that runs for long takes no more memory and no more descriptors than one that has just warmed up. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/e2e/e2e.h"

/* By chance, up to 2 MiB more are in the allocator's hands. A task has more than 1 KiB. */
enum { ROUND = 2000, ROUNDS = 5, MORE_KIB_MOST = 4096 };

static process worker;

static void teardown(void) {
  process_close(&worker);
  e2e_teardown();
}

TestSuite(soak, .init = e2e_setup_with_redis, .fini = teardown);

/* What the kernel says of the worker's own memory. */
static long resident_kib(void) {
  char path[64], line[128];
  long kib = -1;
  snprintf(path, sizeof path, "/proc/%d/status", (int)worker.pid);
  FILE *status = fopen(path, "r");
  cr_assert_not_null(status);
  while (kib < 0 && fgets(line, sizeof line, status) != NULL)
    if (sscanf(line, "RssAnon: %ld kB", &kib) != 1) kib = -1;
  fclose(status);
  cr_assert_gt(kib, 0);
  return kib;
}

static uint32_t descriptors(void) {
  char path[64];
  snprintf(path, sizeof path, "/proc/%d/fd", (int)worker.pid);
  return files_count(path);
}

static void run_round(bool breaks) {
  send_jobs(breaks ? FACES_HI : FACES_LO, "x", "me", ROUND);
  if (breaks) redis_do(&redis, "CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes", NULL);
  cr_assert(redis_reaches(&redis, ROUND, "LLEN", FACES_REPLIES "me", NULL));
  cr_assert_eq(redis_number(&redis, "LLEN", FACES_REPLIES "me", NULL), ROUND);
  redis_do(&redis, "DEL", FACES_REPLIES "me", NULL);
}

typedef struct usage {
  long kib;             /* the least */
  uint32_t descriptors; /* the most */
} usage;

/* Ten thousand jobs. `breaks`: all connections break in each round. */
static usage run_rounds(bool breaks) {
  usage all = {.kib = LONG_MAX};
  for (int round = 0; round < ROUNDS; round++) {
    run_round(breaks);
    long kib = resident_kib();
    uint32_t count = descriptors();
    if (kib < all.kib) all.kib = kib;
    if (count > all.descriptors) all.descriptors = count;
  }
  return all;
}

Test(soak, fifty_thousand_jobs) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  cr_skip_test("a sanitizer's allocator keeps what was freed");
#endif
  setenv("MALLOC_ARENA_MAX", "1", 1);
  worker_start(&worker, "--device", "cpu", NULL);
  usage broken = run_rounds(true), warm = run_rounds(false), last = warm;
  for (int i = 0; i < 3; i++) last = run_rounds(false);
  cr_assert_leq(last.kib, warm.kib + MORE_KIB_MOST, "%ld KiB, after %ld KiB", last.kib, warm.kib);
  cr_assert_leq(last.descriptors, broken.descriptors, "%u, after %u", last.descriptors, broken.descriptors);
  cr_assert_leq(run_rounds(true).descriptors, broken.descriptors);
  worker_stop(&worker);
}
