#include "kernels/plan.h"

/* Most hits that a pass keeps: probes times k. */
static const uint32_t pass_hits = UINT32_C(1) << 22;

static uint64_t greatest_common_divisor(uint64_t a, uint64_t b) {
  return b == 0 ? a : greatest_common_divisor(b, a % b);
}

/* Near the golden ratio of the tiles, with which prefixes of the permuted order spread evenly (Weyl, Ostrowski). */
static uint64_t coprime_stride(uint32_t tiles) {
  uint64_t stride = (uint64_t)(tiles * 0.6180339887498949);
  if (stride == 0) return 1;
  while (greatest_common_divisor(stride, tiles) != 1) stride++;
  return stride;
}

static uint32_t clamp(uint32_t value, uint32_t low, uint32_t high) {
  return value < low ? low : value > high ? high : value;
}

/* The bar of a range search never rises: it needs no seed, and one round. */
static lk_plan plan_range(uint32_t tiles) {
  return (lk_plan){.probes = LK_PASS_PROBES, .first_tiles = tiles, .growth = 1, .tile_stride = 1};
}

static uint32_t groups(uint32_t probes) { return (probes + LK_PLAN_GROUP - 1) / LK_PLAN_GROUP; }

static uint32_t least_seed(uint32_t k) { return clamp(4 * k, 256, LK_SEED_ROWS_MAX); }

/* A device that scans so many tiles at once spends more on starting an early round than on scanning it: fewer rounds
 * from a larger seed save it more than the additional rescoring costs. */
enum { FEW_ROUNDS = 32 };

/* By measurement (bench/results/2026-11-23-cpu-views.md): a seed of k to 4 k rows costs the same, since the first
 * rounds need not rescore what it rescores; growth 3 and 4 rescore a fifth and a third more than 2, and 1.5 a tenth
 * less in twice the rounds. */
lk_plan lk_plan_make(uint64_t rows, uint32_t tiles, uint32_t k, uint32_t probes, uint32_t tiles_at_once) {
  if (k == LK_K_ALL) return plan_range(tiles);
  lk_plan plan = {.probes = clamp(pass_hits / k, 1, LK_PASS_PROBES), .tile_stride = coprime_stride(tiles)};
  uint32_t at_once = tiles_at_once / groups(clamp(probes, 1, plan.probes)), least = least_seed(k);
  plan.growth = at_once >= FEW_ROUNDS ? 4 : 2;
  uint32_t most = clamp(at_once * LK_TILE_ROWS / plan.growth, least, LK_SEED_ROWS_MAX);
  uint32_t seed_rows = rows / 8 < most ? (uint32_t)(rows / 8) : most;
  plan.seed_rows = seed_rows >= 2 * k ? seed_rows : 0;
  plan.first_tiles = clamp((plan.seed_rows > 0 ? seed_rows * plan.growth : least) / LK_TILE_ROWS, 1, tiles + 1);
  return plan;
}

/* The pass may be the last and smallest of a search; the seed of that search is no larger than with growth 2. */
uint64_t lk_plan_seed_pairs(uint32_t k, uint32_t probes, uint32_t tiles_at_once) {
  uint32_t at_once = tiles_at_once / groups(clamp(probes, 1, LK_PASS_PROBES));
  return (uint64_t)probes * clamp(at_once * LK_TILE_ROWS / 2, least_seed(k), LK_SEED_ROWS_MAX);
}

/* With two threads an exact score costs as much as to scan the codes of about twenty rows. But in an exact scan one
 * thread scores all of a probe's rows, while all threads scan for it; so the share is smaller than one in twenty. */
bool lk_plan_wants_exact_scan(uint64_t rows, uint64_t visible, uint32_t k) {
  return (k != LK_K_ALL && visible <= k) || visible <= rows / 100;
}

uint32_t lk_plan_tile(const lk_plan *plan, uint32_t tiles, uint32_t position) {
  return (uint32_t)(position * plan->tile_stride % tiles);
}

uint32_t lk_plan_round_end(const lk_plan *plan, uint32_t tiles, uint32_t begin) {
  uint64_t end = begin == 0 ? plan->first_tiles : (uint64_t)begin * plan->growth;
  /* A last round of little more than nothing is not worth its synchronisation. */
  return end + end / 4 >= tiles ? tiles : (uint32_t)end;
}

uint64_t lk_plan_seed_row(const lk_plan *plan, uint64_t rows, uint32_t i) { return i * rows / plan->seed_rows; }
