/* Allocations that fail when a test says so: those of the program itself, of jansson and of libcsv, and with them the
 * threads, maps and folder streams that it asks the system for. The executable is linked with ALLOCATIONS_WRAP
 * (tests/CMakeLists.txt). Any thread may allocate; one thread decides what fails. */
#ifndef TESTS_SUPPORT_ALLOCATIONS_H
#define TESTS_SUPPORT_ALLOCATIONS_H

#include <stdbool.h>
#include <stdint.h>

#include <likeness/status.h>

/* The `nth` allocation from now (from 1) fails; with `all_after`, every later one too. */
void allocations_fail(uint32_t nth, bool all_after);
/* No allocation fails any more. Whether one did. */
bool allocations_stop(void);
/* Whether what failed was asked for by jansson. */
bool allocations_failed_in_jansson(void);

/* Blocks that were allocated and not freed. */
int64_t allocations_live(void);

/* What is tried: `run` with a failure at each of its allocations. */
typedef struct allocations_trial {
  const char *name;
  void (*prepare)(void);
  lk_status (*run)(lk_error *error);
  void (*check_nothing_done)(void); /* after a failure; NULL: nothing to see */
  void (*check_done)(void);
  void (*clean)(void);
} allocations_trial;

/* Runs it with a failure at its first allocation, its second, and so on, and then with failures from there on. It must
 * make `at_least` allocations. */
void allocations_try_all(const allocations_trial *trial, uint32_t at_least);

/* For a step that has nothing to do. */
void allocations_nothing(void);

#endif
