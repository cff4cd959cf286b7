/* A search on one backend: passes of probes, rounds of tiles. */
#ifndef KERNELS_SEARCH_BACKEND_SEARCH_H
#define KERNELS_SEARCH_BACKEND_SEARCH_H

#include "kernels/scan_order.h"

#define LK_BACKEND_SEARCH_ORDERS 8

/* A backend, and what its searches keep for the next one. Starts as {.backend = ...}. */
typedef struct lk_backend_search {
  lk_backend *backend;
  lk_scan_order orders[LK_BACKEND_SEARCH_ORDERS]; /* of the plans that searches had last */
  uint32_t orders_made;
  lk_buffer seed_rows;
} lk_backend_search;

/* Fills `lists` with one list a probe, and adds to `stats`. The backend has loaded the batch's blocks. */
lk_status lk_backend_search_run(lk_backend_search *search, const lk_batch *batch, lk_candidate_lists *lists,
                                lk_search_stats *stats, lk_error *error);

/* Frees what it keeps; the backend stays open. */
void lk_backend_search_free(lk_backend_search *search);

#endif
