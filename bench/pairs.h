/* How far products of codes are from true products, pair by pair, beside what the bound allows. */
#ifndef BENCH_PAIRS_H
#define BENCH_PAIRS_H

#include "bench/gallery.h"
#include "kernels/cpu/isa.h"

/* The true error of a pair over its bound: of the scan by codes, of the rescreening, of the float scan. */
typedef enum pairs_test { PAIRS_SCAN, PAIRS_RESCREEN, PAIRS_WIDE, PAIRS_TESTS } pairs_test;

typedef struct pairs {
  double *ratios[PAIRS_TESTS];
  size_t counts[PAIRS_TESTS]; /* outliers are not scanned by codes */
  double loss;                /* of the scan, over the standard deviation of a probe's scores; the mean over probes */
} pairs;

/* Every probe with every row of a sample of tiles, as `isa` multiplies them. */
pairs pairs_measure(const gallery *gallery, const lk_isa *isa, const float *probes, uint32_t probes_count);
void pairs_free(pairs *pairs);

#endif
