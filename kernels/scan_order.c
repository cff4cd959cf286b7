#include "kernels/scan_order.h"

#include <stdatomic.h>
#include <stdlib.h>

static int compare_tiles(const void *a, const void *b) {
  uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
  return x < y ? -1 : x > y;
}

bool lk_scan_order_is(const lk_scan_order *schedule, const lk_plan *plan, uint32_t tiles) {
  const lk_plan *last = &schedule->plan;
  return schedule->number != 0 && schedule->tiles_count == tiles && last->first_tiles == plan->first_tiles &&
         last->growth == plan->growth && last->tile_stride == plan->tile_stride;
}

static lk_status reserve(lk_scan_order *schedule, uint32_t tiles, lk_error *error) {
  if (schedule->tiles_room >= tiles) return LK_OK;
  free(schedule->tiles);
  schedule->tiles = malloc(tiles * sizeof *schedule->tiles);
  schedule->tiles_room = schedule->tiles != NULL ? tiles : 0;
  return schedule->tiles != NULL ? LK_OK : lk_fail_memory(error);
}

lk_status lk_scan_order_make(lk_scan_order *schedule, const lk_plan *plan, uint32_t tiles, lk_error *error) {
  static atomic_uint_fast64_t made;
  schedule->number = 0;
  schedule->tiles_count = schedule->rounds_count = 0;
  lk_status status = reserve(schedule, tiles, error);
  if (status != LK_OK) return status;
  for (uint32_t i = 0; i < tiles; i++) schedule->tiles[i] = lk_plan_tile(plan, tiles, i);
  for (uint32_t begin = 0, end; begin < tiles; begin = end) {
    end = lk_plan_round_end(plan, tiles, begin);
    qsort(schedule->tiles + begin, end - begin, sizeof *schedule->tiles, compare_tiles);
    schedule->rounds[schedule->rounds_count++] = (lk_run){begin, end};
  }
  schedule->tiles_count = tiles;
  schedule->plan = *plan;
  schedule->number = atomic_fetch_add(&made, 1) + 1;
  return LK_OK;
}

void lk_scan_order_free(lk_scan_order *schedule) {
  free(schedule->tiles);
  *schedule = (lk_scan_order){0};
}
