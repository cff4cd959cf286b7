/* Measures how far products of codes are from true products, pair by pair, over what the bound allows. */
#ifndef BENCH_PAIRS_H
#define BENCH_PAIRS_H

#include "bench/gallery.h"
#include "kernels/cpu/isa.h"

/* The tests of a search, each with a bound of its own: the scan of codes, the rescreening, the float scan. */
typedef enum pairs_test { PAIRS_SCAN, PAIRS_RESCREEN, PAIRS_FLOAT, PAIRS_TESTS } pairs_test;

typedef struct pairs {
  double *ratios[PAIRS_TESTS];
  size_t counts[PAIRS_TESTS]; /* PAIRS_SCAN has no outliers */
  double loss; /* of the scan of codes, over the standard deviation of a probe's scores; the mean over probes */
} pairs;

/* Measures every probe with every row of a sample of tiles, as `isa` multiplies them. */
pairs pairs_measure(const gallery *gallery, const lk_isa *isa, const float *probes, uint32_t probes_count);
void pairs_free(pairs *pairs);

#endif
