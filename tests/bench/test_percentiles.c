#include <criterion/criterion.h>
#include <stdlib.h>

#include "bench/percentiles.h"
#include "tests/support/random.h"

enum { VALUES = 20000, SEED = 11 };

static percentiles p;

static int compare(const void *a, const void *b) {
  uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;
  return (left > right) - (left < right);
}

Test(percentiles, of_none_are_zero) {
  percentiles none = {0};
  cr_assert_eq(percentiles_at(&none, 0.99), 0);
  cr_assert_eq(percentiles_mean(&none), 0);
}

Test(percentiles, of_small_values_are_exact) {
  for (uint64_t value = 1; value <= 100; value++) percentiles_add(&p, value);
  cr_assert_eq(percentiles_at(&p, 0), 1);
  cr_assert_eq(percentiles_at(&p, 0.5), 50);
  cr_assert_eq(percentiles_at(&p, 0.99), 99);
  cr_assert_eq(percentiles_at(&p, 0.991), 100);
  cr_assert_eq(percentiles_at(&p, 1), 100);
  cr_assert_float_eq(percentiles_mean(&p), 50.5, 1e-9);
}

Test(percentiles, never_exceed_the_greatest_value) {
  percentiles_add(&p, 1000000);
  cr_assert_eq(percentiles_at(&p, 0.5), 1000000);
  cr_assert_float_eq(percentiles_mean(&p), 1e6, 1e-9);
  percentiles_add(&p, UINT64_MAX);
  cr_assert_eq(percentiles_at(&p, 1), UINT64_MAX);
}

/* Against the sorted values themselves. */
Test(percentiles, are_the_values_to_one_part_in_64) {
  static const double shares[] = {0.001, 0.1, 0.5, 0.9, 0.99, 0.999, 1};
  static uint64_t values[VALUES];
  random_state random = random_fork(SEED, 0);
  for (uint32_t i = 0; i < VALUES; i++) {
    values[i] = random_bits(&random) >> random_below(&random, 64);
    percentiles_add(&p, values[i]);
  }
  qsort(values, VALUES, sizeof *values, compare);
  for (size_t s = 0; s < sizeof shares / sizeof shares[0]; s++) {
    uint64_t exact = values[(size_t)(shares[s] * VALUES + 0.999999) - 1], found = percentiles_at(&p, shares[s]);
    cr_assert(found >= exact && found - exact <= exact / 64, "seed %d, share %g: %llu instead of %llu", SEED, shares[s],
              (unsigned long long)found, (unsigned long long)exact);
  }
  cr_assert_eq(p.count, VALUES);
  cr_assert_eq(p.most, values[VALUES - 1]);
}
