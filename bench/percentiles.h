/* How values are spread, in buckets of equal width within each power of two (as HdrHistogram's): any number of values
 * in fixed memory, each known to within 1 part in 64, and to 1 below 128. */
#ifndef BENCH_PERCENTILES_H
#define BENCH_PERCENTILES_H

#include <stdint.h>

enum { PERCENTILES_BUCKETS = 59 * 64 };

typedef struct percentiles {
  uint64_t counts[PERCENTILES_BUCKETS], count, most;
  double sum;
} percentiles;

void percentiles_add(percentiles *percentiles, uint64_t value);

/* The least value that at least `share` (0 to 1) of all values do not exceed, rounded up to the greatest of its bucket,
 * but never above the greatest value that was added. 0 of none. */
uint64_t percentiles_at(const percentiles *percentiles, double share);

double percentiles_mean(const percentiles *percentiles); /* 0 of none */

#endif
