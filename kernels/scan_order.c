#include "kernels/scan_order.h"

#include <stdatomic.h>
#include <stdlib.h>

static int compare_tiles(const void *a, const void *b) {
  uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
  return x < y ? -1 : x > y;
}

bool lk_scan_order_is(const lk_scan_order *order, const lk_plan *plan, uint32_t tiles) {
  const lk_plan *last = &order->plan;
  return order->number != 0 && order->tiles_count == tiles && last->first_tiles == plan->first_tiles &&
         last->growth == plan->growth && last->tile_stride == plan->tile_stride;
}

lk_status lk_scan_order_make(lk_scan_order *order, const lk_plan *plan, uint32_t tiles, lk_error *error) {
  static atomic_uint_fast64_t made;
  order->number = 0;
  order->tiles_count = order->rounds_count = 0;
  order->tiles = lk_buffer_reserve(&order->buffer, tiles, sizeof *order->tiles);
  if (order->tiles == NULL) return lk_fail_memory(error);
  for (uint32_t i = 0; i < tiles; i++) order->tiles[i] = lk_plan_tile(plan, tiles, i);
  for (uint32_t begin = 0, end; begin < tiles; begin = end) {
    end = lk_plan_round_end(plan, tiles, begin);
    qsort(order->tiles + begin, end - begin, sizeof *order->tiles, compare_tiles);
    order->rounds[order->rounds_count++] = (lk_run){begin, end};
  }
  order->tiles_count = tiles;
  order->plan = *plan;
  order->number = atomic_fetch_add(&made, 1) + 1;
  return LK_OK;
}

void lk_scan_order_free(lk_scan_order *order) {
  lk_buffer_free(&order->buffer);
  *order = (lk_scan_order){0};
}
