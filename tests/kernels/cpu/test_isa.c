/* The scan of each instruction set against plain arithmetic, with codes that drive its sums to their limits. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/cpu/isa.h"
#include "tests/support/random.h"

enum { MOST_DIM = 200, MOST_STRIDE = 256 };

static uint32_t padded(uint32_t dim) { return (dim + LK_STEP - 1) / LK_STEP * LK_STEP; }

/* Makes codes as large as the kernel takes, with long runs of one sign: it makes some smaller until all fit. */
static void fill_probe(const lk_isa *isa, int8_t *probe, uint32_t dim, random_state *random) {
  uint32_t stretch = random_log_uniform(random, 1, 64);
  for (uint32_t i = 0; i < dim; i++)
    probe[i] = (int8_t)((i / stretch % 2 == 0 ? 1 : -1) * (int)random_below(random, (uint32_t)isa->probe_limit + 1));
  while (isa->adds_runs && lk_isa_run_sum(probe, padded(dim)) > LK_RUN_LIMIT) {
    int8_t *code = &probe[random_below(random, dim)];
    *code = (int8_t)(*code - (*code > 0) + (*code < 0));
  }
}

/* Half of the rows have the largest product that is possible with one of the probes, or the smallest. */
static void fill_rows(int8_t *rows, uint32_t dim, const int8_t *probes, uint32_t count, random_state *random) {
  size_t stride = lk_probe_stride(padded(dim));
  for (uint32_t r = 0; r < LK_TILE_ROWS; r++) {
    const int8_t *probe = probes + random_below(random, count) * stride;
    int sign = random_one_in(random, 2) ? 1 : -1;
    bool extreme = random_one_in(random, 2);
    for (uint32_t i = 0; i < dim; i++)
      rows[r * dim + i] = (int8_t)(extreme ? (probe[i] * sign >= 0 ? LK_CODE_MAX : -LK_CODE_MAX)
                                           : (int)random_below(random, 2 * LK_CODE_MAX + 1) - LK_CODE_MAX);
  }
}

static int32_t product(const int8_t *probe, const int8_t *row, uint32_t dim) {
  int32_t sum = 0;
  for (uint32_t i = 0; i < dim; i++) sum += probe[i] * (row[i] + LK_CODE_SHIFT);
  return sum;
}

static void check_scan(const lk_isa *isa, uint32_t dim, uint32_t count, random_state *random) {
  static int8_t rows[LK_TILE_ROWS * MOST_DIM];
  static uint8_t tile[LK_TILE_ROWS * MOST_DIM + LK_TILE_SLACK];
  static int8_t probes[LK_SCAN_PROBES * MOST_STRIDE];
  uint32_t width = padded(dim), strips = 1 + random_below(random, LK_TILE_STRIPS);
  size_t stride = lk_probe_stride(width);
  memset(tile, 0xff, sizeof tile);
  memset(probes, 0, sizeof probes);
  for (uint32_t p = 0; p < count; p++) fill_probe(isa, probes + p * stride, dim, random);
  fill_rows(rows, dim, probes, count, random);
  lk_isa_pack(rows, LK_TILE_ROWS, dim, width, tile);
  int32_t thresholds[LK_SCAN_PROBES];
  static bool wanted[LK_SCAN_PROBES * LK_TILE_ROWS];
  for (uint32_t p = 0; p < count; p++) {
    thresholds[p] = product(probes + p * stride, rows + random_below(random, LK_TILE_ROWS) * dim, dim);
    for (uint32_t r = 0; r < LK_TILE_ROWS; r++)
      wanted[p * LK_TILE_ROWS + r] =
          r < strips * LK_STRIP_ROWS && product(probes + p * stride, rows + r * dim, dim) >= thresholds[p];
  }
  static uint16_t survivors[LK_SCAN_PROBES * LK_TILE_ROWS];
  size_t found = isa->scan(tile, strips, width, probes, count, thresholds, survivors);
  for (size_t i = 0; i < found; i++) {
    cr_assert(wanted[survivors[i]], "%s, dim %u: pair %u is too low", isa->name, dim, survivors[i]);
    wanted[survivors[i]] = false;
  }
  for (uint32_t i = 0; i < count * LK_TILE_ROWS; i++)
    cr_assert(!wanted[i], "%s, dim %u: pair %u is missing", isa->name, dim, i);
}

Test(isa, scans_are_exact_at_the_limits_of_their_sums) {
  static const char *names[] = {"portable", "avx2", "avx512vnni", "amx"};
  for (size_t n = 0; n < sizeof names / sizeof names[0]; n++) {
    const lk_isa *isa = lk_isa_find(names[n]);
    random_state random = {n};
    for (int i = 0; isa != NULL && i < 600; i++)
      check_scan(isa, random_log_uniform(&random, 1, MOST_DIM), 1 + random_below(&random, isa->scan_probes), &random);
  }
}

Test(isa, sums_of_a_run) {
  int8_t probe[3 * LK_RUN] = {0};
  cr_assert_eq(lk_isa_run_sum(probe, 3 * LK_RUN), 0);
  probe[0] = 60, probe[1] = 50, probe[2] = 7;     /* the third goes into another sum, */
  probe[LK_RUN - 3] = -90, probe[LK_RUN - 4] = 5; /* other signs add up by themselves, */
  probe[LK_RUN] = 64;                             /* and so does the next run */
  cr_assert_eq(lk_isa_run_sum(probe, 3 * LK_RUN), 115);
  probe[2 * LK_RUN + 2] = -64, probe[2 * LK_RUN + 7] = -63;
  cr_assert_eq(lk_isa_run_sum(probe, 3 * LK_RUN), 127);
}
