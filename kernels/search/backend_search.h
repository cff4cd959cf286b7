/* One backend of a device, and a search on it: passes of probes, rounds of tiles. */
#ifndef KERNELS_SEARCH_BACKEND_SEARCH_H
#define KERNELS_SEARCH_BACKEND_SEARCH_H

#include "kernels/scan_order.h"

#define LK_BACKEND_SEARCH_ORDERS 8

typedef struct lk_backend_search {
  lk_backend *backend;
  lk_scan_order schedules[LK_BACKEND_SEARCH_ORDERS]; /* of the plans that searches had last */
  uint32_t schedules_made;
  uint64_t *seed_rows;
  uint32_t seed_room;
} lk_backend_search;

/* Fills `lists` with a list a probe, and adds to `stats`. The batch's holds are the backend's own. */
lk_status lk_backend_search_run(lk_backend_search *part, const lk_batch *batch, lk_candidate_lists *lists,
                                lk_search_stats *stats, lk_error *error);

/* But for the backend, which stays open. */
void lk_backend_search_free(lk_backend_search *part);

#endif
