/* The order in which a search scans its tiles, round by round. It depends on the plan and the number of tiles alone: a
 * caller keeps it for the searches to come, and a backend may keep a copy. */
#ifndef KERNELS_SCAN_ORDER_H
#define KERNELS_SCAN_ORDER_H

#include "base/buffer.h"
#include "base/fail.h"
#include "kernels/backend.h"
#include "kernels/plan.h"

struct lk_scan_order {
  uint64_t number; /* no other scan order has it; 0: this one is empty */
  uint32_t *tiles; /* counted through all blocks; ascending within a round */
  uint32_t tiles_count;
  lk_run rounds[LK_ROUNDS_MAX];
  uint32_t rounds_count;
  lk_plan plan; /* that it follows */
  lk_buffer buffer;
};

/* Whether it follows this plan for so many tiles. */
bool lk_scan_order_is(const lk_scan_order *order, const lk_plan *plan, uint32_t tiles);

/* Makes it anew; LK_ENOMEM leaves it empty. */
lk_status lk_scan_order_make(lk_scan_order *order, const lk_plan *plan, uint32_t tiles, lk_error *error);
void lk_scan_order_free(lk_scan_order *order);

#endif
