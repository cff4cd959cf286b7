/* What the benchmarks share: failing, memory, time. */
#ifndef BENCH_BENCH_H
#define BENCH_BENCH_H

#include <stddef.h>

/* Prints why and ends the process. */
_Noreturn void bench_fail(const char *why);

/* Zeroed memory; ends the process where there is none. */
void *bench_allocate(size_t count, size_t size);

/* Seconds on a clock that only goes forward. */
double bench_now(void);

/* The value below which `share` (0 to 1) of the values lie. */
double bench_quantile(const double *values, size_t count, double share);

/* Median time of as many runs as fit into two seconds, and of 5 at least. */
double bench_median_time(void (*run)(void *context), void *context);

#endif
