#include <criterion/criterion.h>
#include <string.h>

#include "kernels/scan_order.h"

static lk_plan plan_of(uint32_t tiles) { return lk_plan_make((uint64_t)tiles * LK_TILE_ROWS, tiles, 10, 1, 1); }

static void make(lk_scan_order *order, lk_plan plan, uint32_t tiles) {
  lk_error error;
  cr_assert(lk_scan_order_make(order, &plan, tiles, &error) == LK_OK, "%s", error.text);
}

/* Every tile comes once, the rounds are those of the plan, and tiles ascend within a round. */
static void check(const lk_scan_order *order, uint32_t tiles) {
  static bool seen[5000];
  memset(seen, 0, sizeof seen);
  uint32_t end = 0;
  cr_assert_eq(order->tiles_count, tiles);
  for (uint32_t r = 0; r < order->rounds_count; r++) {
    lk_run run = order->rounds[r];
    cr_assert(run.begin == end && run.begin < run.end);
    cr_assert_eq(run.end, lk_plan_round_end(&order->plan, tiles, run.begin));
    for (uint32_t i = run.begin; i < run.end; i++) {
      cr_assert(i == run.begin || order->tiles[i] > order->tiles[i - 1]);
      cr_assert(!seen[order->tiles[i]]);
      seen[order->tiles[i]] = true;
    }
    end = run.end;
  }
  cr_assert_eq(end, tiles);
}

Test(scan_order, has_every_tile_once) {
  lk_scan_order order = {0};
  for (uint32_t tiles = 0; tiles < 5000; tiles += 1 + tiles / 5) {
    make(&order, plan_of(tiles), tiles);
    check(&order, tiles);
  }
  lk_scan_order_free(&order);
}

/* A backend knows an order by its number, a search by its plan. */
Test(scan_order, is_known_by_number_and_by_plan) {
  lk_scan_order order = {0}, other = {0};
  lk_plan plan = plan_of(1000), more = plan_of(1002), all = lk_plan_make(0, 1000, LK_K_ALL, 1, 1);
  cr_assert(!lk_scan_order_is(&order, &plan, 1000), "none was made");
  make(&order, plan, 1000);
  make(&other, plan, 1000);
  cr_assert(order.number != 0 && other.number != 0 && order.number != other.number);
  cr_assert(lk_scan_order_is(&order, &plan, 1000));
  cr_assert_eq(more.tile_stride, plan.tile_stride);
  cr_assert(!lk_scan_order_is(&order, &plan, 1002) && !lk_scan_order_is(&order, &all, 1000));
  make(&other, all, 1000);
  cr_assert_eq(other.rounds_count, 1);
  check(&other, 1000);
  lk_scan_order_free(&order);
  cr_assert(!lk_scan_order_is(&order, &plan, 1000), "it was freed");
  lk_scan_order_free(&other);
}
