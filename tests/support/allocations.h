/* Allocations that fail when a test says so: those of the program itself, of jansson and of libcsv, and with them the
 * threads, maps and folder streams that it asks the system for. The executable is linked with ALLOCATIONS_WRAP
 * (tests/CMakeLists.txt). Any thread may allocate; one thread decides what fails. */
#ifndef TESTS_SUPPORT_ALLOCATIONS_H
#define TESTS_SUPPORT_ALLOCATIONS_H

#include <stdbool.h>
#include <stdint.h>

/* The `nth` allocation from now (from 1) fails; with `all_after`, every later one too. */
void allocations_fail(uint32_t nth, bool all_after);
/* No allocation fails any more. Whether one did. */
bool allocations_stop(void);
/* Whether what failed was asked for by jansson. */
bool allocations_failed_in_jansson(void);

/* Blocks that were allocated and not freed. */
int64_t allocations_live(void);

#endif
