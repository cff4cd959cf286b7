/* The order in which a search goes over its tiles, round by round. It depends on the plan and the number of tiles
 * alone, so one is kept for searches to come, and a backend may keep a copy. */
#ifndef KERNELS_SCAN_ORDER_H
#define KERNELS_SCAN_ORDER_H

#include "base/fail.h"
#include "kernels/backend.h"
#include "kernels/plan.h"

struct lk_schedule {
  uint64_t number; /* no other order has it; 0: none has been made */
  uint32_t *tiles; /* counted through all holds; ascending within a round */
  uint32_t tiles_count, tiles_room;
  lk_run rounds[LK_ROUNDS_MAX];
  uint32_t rounds_count;
  lk_plan plan; /* of which it was made */
};

/* Whether it was made of this plan, for so many tiles. */
bool lk_schedule_is(const lk_schedule *schedule, const lk_plan *plan, uint32_t tiles);

/* In place of what it was. Where it fails, the schedule is empty. */
lk_status lk_schedule_make(lk_schedule *schedule, const lk_plan *plan, uint32_t tiles, lk_error *error);
void lk_schedule_free(lk_schedule *schedule);

#endif
