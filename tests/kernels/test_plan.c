#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/codes.h"
#include "kernels/plan.h"

static const uint32_t all_k[] = {1, 10, 100, 1000, 4096};
#define K_COUNT (sizeof all_k / sizeof all_k[0])
#define MOST_TILES 20000

static uint64_t rows_of(uint32_t tiles) { return (uint64_t)tiles * LK_TILE_ROWS; }

static void check_tiles(uint32_t tiles) {
  static bool seen[MOST_TILES];
  memset(seen, 0, sizeof seen);
  lk_plan plan = lk_plan_make(rows_of(tiles), tiles, 10, 1, 1);
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
      lk_plan plan = lk_plan_make(rows_of(tiles), tiles, all_k[i], 1, 1);
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
      lk_plan plan = lk_plan_make(rows, (uint32_t)(rows / LK_TILE_ROWS + 1), all_k[i], 1, 1);
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
  lk_plan plan = lk_plan_make(rows_of(tiles), tiles, 10, 1, 1);
  uint32_t met[16] = {0};
  for (uint32_t i = 0; i < tiles / 8; i++) met[lk_plan_tile(&plan, tiles, i) / (tiles / parts)]++;
  for (uint32_t p = 0; p < parts; p++) cr_assert(met[p] >= 24 && met[p] <= 40, "part %u has %u tiles of 32", p, met[p]);
}

/* A device that scans many tiles at once begins with as many, and its seed is large enough for them. */
Test(plan, many_tiles_at_once) {
  const uint32_t at_once = 132;
  for (size_t i = 0; i < K_COUNT; i++)
    for (uint32_t tiles = 1; tiles < 40000; tiles += 1 + tiles / 3)
      for (uint32_t probes = 1; probes <= LK_PASS_PROBES; probes *= 2) {
        lk_plan plan = lk_plan_make(rows_of(tiles), tiles, all_k[i], probes, at_once);
        cr_assert(plan.seed_rows <= LK_SEED_ROWS_MAX && plan.first_tiles >= 1);
        if (plan.first_tiles > 1 && plan.seed_rows > 0)
          cr_assert_leq(rows_of(plan.first_tiles), 4 * (uint64_t)plan.seed_rows);
      }
  for (size_t i = 0; i < K_COUNT; i++)
    for (uint32_t probes = 1; probes <= 3000; probes += 1 + probes / 9)
      for (uint32_t left = 1; left <= probes; left += 1 + left / 9) { /* in the last pass */
        lk_plan plan = lk_plan_make(10000000, 39063, all_k[i], probes, at_once);
        uint32_t count = left < plan.probes ? left : plan.probes;
        cr_assert_leq((uint64_t)plan.seed_rows * count, lk_plan_seed_pairs(all_k[i], count, at_once));
      }
  lk_plan one = lk_plan_make(10000000, 39063, 10, 1, at_once), most = lk_plan_make(10000000, 39063, 10, 1024, at_once);
  cr_assert(one.first_tiles >= 128 && one.growth == 4);
  cr_assert(most.first_tiles == 16 && most.growth == 2);
}

Test(plan, an_empty_gallery) {
  lk_plan plan = lk_plan_make(0, 0, 10, 1, 1);
  cr_assert_eq(plan.seed_rows, 0);
  cr_assert(plan.probes >= 1 && plan.probes <= LK_PASS_PROBES);
}

Test(plan, the_float_scan_begins_where_rescoring_in_vain_costs_more) {
  const uint32_t tiles = 4, probes = 100;
  cr_assert(!lk_plan_wants_float_scan(tiles, probes, 0, 0));
  cr_assert(!lk_plan_wants_float_scan(tiles, probes, 90000, 89000), "what reached the bar was not in vain");
  cr_assert(lk_plan_wants_float_scan(tiles, probes, 12000, 1000));
  cr_assert(!lk_plan_wants_float_scan(400, 1, 12000, 4000), "one probe alone pays for the reading of all rows");
}
