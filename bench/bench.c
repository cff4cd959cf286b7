#include "bench/bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { FEWEST_RUNS = 5, MOST_RUNS = 101 };

void bench_fail(const char *why) {
  fprintf(stderr, "bench: %s\n", why);
  exit(1);
}

void *bench_allocate(size_t count, size_t size) {
  void *memory = calloc(count + 1, size);
  if (memory == NULL) bench_fail("out of memory");
  return memory;
}

double bench_now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static int compare(const void *a, const void *b) {
  double left = *(const double *)a, right = *(const double *)b;
  return (left > right) - (left < right);
}

double bench_quantile(const double *values, size_t count, double share) {
  if (count == 0) return 0;
  double *sorted = bench_allocate(count, sizeof *sorted);
  memcpy(sorted, values, count * sizeof *sorted);
  qsort(sorted, count, sizeof *sorted, compare);
  double value = sorted[(size_t)(share * (double)(count - 1))];
  free(sorted);
  return value;
}

double bench_median_time(void (*run)(void *context), void *context) {
  double times[MOST_RUNS], begin = bench_now();
  size_t runs = 0;
  run(context); /* warm */
  while (runs < FEWEST_RUNS || (runs < MOST_RUNS && bench_now() - begin < 2)) {
    double start = bench_now();
    run(context);
    times[runs++] = bench_now() - start;
  }
  return bench_quantile(times, runs, 0.5);
}
