/* The order in which a search goes over its tiles, round by round. It depends on the plan and the number of tiles
 * alone, so one is kept for searches to come, and a backend may keep a copy. */
#ifndef KERNELS_SCAN_ORDER_H
#define KERNELS_SCAN_ORDER_H

#include "base/fail.h"
#include "kernels/backend.h"
#include "kernels/plan.h"

struct lk_scan_order {
  uint64_t number; /* no other order has it; 0: none has been made */
  uint32_t *tiles; /* counted through all holds; ascending within a round */
  uint32_t tiles_count, tiles_room;
  lk_run rounds[LK_ROUNDS_MAX];
  uint32_t rounds_count;
  lk_plan plan; /* of which it was made */
};

/* Whether it was made of this plan, for so many tiles. */
bool lk_scan_order_is(const lk_scan_order *schedule, const lk_plan *plan, uint32_t tiles);

/* In place of what it was. Where it fails, the schedule is empty. */
lk_status lk_scan_order_make(lk_scan_order *schedule, const lk_plan *plan, uint32_t tiles, lk_error *error);
void lk_scan_order_free(lk_scan_order *schedule);

#endif
