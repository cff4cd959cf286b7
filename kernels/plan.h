/* How a search is divided into passes and rounds. Pure functions: numbers in, numbers out.
 *
 * The bar of a round is fixed while the round runs, so the fewer rows the bar comes from, the more rows survive. A
 * strided sample of rows seeds it; each round then multiplies the number of scanned tiles by `growth`. Rounds take
 * tiles in a fixed permuted order, so every round is itself a sample over all segments, and an ordered gallery does no
 * harm. */
#ifndef KERNELS_PLAN_H
#define KERNELS_PLAN_H

#include <stdbool.h>
#include <stdint.h>

#include <likeness/device.h>
#include "kernels/codes.h"

typedef struct lk_plan {
  uint32_t probes;      /* most probes in one pass over the gallery */
  uint32_t seed_rows;   /* rows whose exact scores seed the bar, at most LK_SEED_ROWS_MAX; 0: none */
  uint32_t first_tiles; /* tiles of the first round */
  uint32_t growth;      /* the next round ends where the rounds so far end, times this */
  uint64_t tile_stride; /* coprime to the number of tiles */
} lk_plan;

/* Most probes that a pass may have, whatever k is. */
#define LK_PASS_PROBES 1024

/* Most rounds of a search, most rows that seed its bars, and probes that a backend may scan for at once. */
#define LK_ROUNDS_MAX 32
#define LK_SEED_ROWS_MAX 8192
#define LK_PLAN_GROUP 128

/* Plans a search for `probes` probes; `tiles_at_once` is the backend's. */
lk_plan lk_plan_make(uint64_t rows, uint32_t tiles, uint32_t k, uint32_t probes, uint32_t tiles_at_once);

/* Most pairs that the seed of a pass of `probes` probes leaves, in any search. */
uint64_t lk_plan_seed_pairs(uint32_t k, uint32_t probes, uint32_t tiles_at_once);

/* Whether so few rows are visible that scoring them all exactly is cheaper than a scan. */
bool lk_plan_wants_exact_scan(uint64_t rows, uint64_t visible, uint32_t k);

/* Whether a round that scanned codes rescored so many pairs in vain that the float scan is cheaper for later rounds.
 * Measured on two cores with AVX2 at 512 dimensions: rescoring a pair takes 290 ns, most of it waiting for memory, the
 * float scan 22 ns a pair and 210 ns a row, which it reads and centres once for all probes. */
LK_INLINE bool lk_plan_wants_float_scan(uint32_t tiles, uint32_t probes, uint64_t rescored, uint64_t hits) {
  uint64_t rows = (uint64_t)tiles * LK_TILE_ROWS;
  return (rescored - hits) * 14 > rows * probes + rows * 10;
}

/* The tile at `position` of the permuted order. */
uint32_t lk_plan_tile(const lk_plan *plan, uint32_t tiles, uint32_t position);

/* Where the round that starts at `begin` ends. */
uint32_t lk_plan_round_end(const lk_plan *plan, uint32_t tiles, uint32_t begin);

/* The i-th row of the seed sample. */
uint64_t lk_plan_seed_row(const lk_plan *plan, uint64_t rows, uint32_t i);

#endif
