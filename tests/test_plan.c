#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/plan.h"
#include "kernels/quant.h"

static const uint32_t all_k[] = {1, 10, 100, 1000, 4096};
#define K_COUNT (sizeof all_k / sizeof all_k[0])
#define MOST_TILES 20000

static uint64_t rows_of(uint32_t tiles) { return (uint64_t)tiles * LK_TILE_ROWS; }

static void check_tiles(uint32_t tiles) {
  static bool seen[MOST_TILES];
  memset(seen, 0, sizeof seen);
  lk_plan plan = lk_plan_make(rows_of(tiles), tiles, 10);
  for (uint32_t i = 0; i < tiles; i++) {
    uint32_t tile = lk_plan_tile(&plan, tiles, i);
    cr_assert_lt(tile, tiles);
    cr_assert(!seen[tile], "%u tiles: %u comes twice", tiles, tile);
    seen[tile] = true;
  }
}

Test(plan, tile_order_is_a_permutation) {
  for (uint32_t tiles = 1; tiles < 1000; tiles++) check_tiles(tiles);
  for (uint32_t tiles = 1000; tiles < MOST_TILES; tiles += 997) check_tiles(tiles);
}

Test(plan, rounds_cover_each_tile_once) {
  for (size_t i = 0; i < K_COUNT; i++)
    for (uint32_t tiles = 1; tiles < MOST_TILES; tiles += 1 + tiles / 7) {
      lk_plan plan = lk_plan_make(rows_of(tiles), tiles, all_k[i]);
      uint32_t begin = 0, rounds = 0;
      for (uint32_t end; begin < tiles; begin = end, rounds++) {
        end = lk_plan_round_end(&plan, tiles, begin);
        cr_assert(begin < end && end <= tiles, "%u tiles: %u to %u", tiles, begin, end);
      }
      cr_assert_leq(rounds, 16);
    }
}

Test(plan, seed_rows_are_distinct_and_in_range) {
  for (size_t i = 0; i < K_COUNT; i++)
    for (uint64_t rows = 1; rows < UINT32_MAX; rows += 1 + rows / 3) {
      lk_plan plan = lk_plan_make(rows, (uint32_t)(rows / LK_TILE_ROWS + 1), all_k[i]);
      cr_assert(plan.seed_rows == 0 || plan.seed_rows >= all_k[i], "a seed below k raises no bar");
      for (uint32_t s = 0; s < plan.seed_rows; s++) {
        cr_assert_lt(lk_plan_seed_row(&plan, rows, s), rows);
        if (s > 0) cr_assert_gt(lk_plan_seed_row(&plan, rows, s), lk_plan_seed_row(&plan, rows, s - 1));
      }
    }
}

/* A round is a sample of the whole gallery: no half of it is left out of the first eighth of the order. */
Test(plan, rounds_sample_all_segments) {
  const uint32_t tiles = 4096, parts = 16;
  lk_plan plan = lk_plan_make(rows_of(tiles), tiles, 10);
  uint32_t met[16] = {0};
  for (uint32_t i = 0; i < tiles / 8; i++) met[lk_plan_tile(&plan, tiles, i) / (tiles / parts)]++;
  for (uint32_t p = 0; p < parts; p++) cr_assert(met[p] >= 24 && met[p] <= 40, "part %u has %u tiles of 32", p, met[p]);
}

Test(plan, an_empty_gallery) {
  lk_plan plan = lk_plan_make(0, 0, 10);
  cr_assert_eq(plan.seed_rows, 0);
  cr_assert(plan.probes >= 1 && plan.probes <= LK_PASS_PROBES);
}

Test(plan, the_wide_scan_begins_where_settling_in_vain_costs_more) {
  lk_round none = {0}, hits = {.settled = 90000, .hits = 89000}, waste = {.settled = 12000, .hits = 1000};
  cr_assert(!lk_plan_widens(100000, 100, &none));
  cr_assert(!lk_plan_widens(100000, 100, &hits), "what reached the bar was not in vain");
  cr_assert(lk_plan_widens(100000, 100, &waste));
  cr_assert(!lk_plan_widens(100000, 1, &waste), "one probe alone pays for the reading of all rows");
}
