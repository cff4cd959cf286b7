#include "tests/support/round_hits.h"

#include <criterion/criterion.h>

#include "kernels/candidate_lists.h"
#include "kernels/scan_order.h"

uint64_t round_hits(lk_backend *backend, lk_shape shape, const lk_block *block, const float *q, float bar,
                    bool in_float) {
  lk_error error;
  lk_resident_block *resident;
  lk_candidate_lists lists = {0};
  lk_search_stats stats = {0};
  lk_round done;
  uint64_t visible, hits;
  lk_scan_order order = {0};
  cr_assert_eq(backend->ops->load(backend, shape, block, &resident, &error), LK_OK);
  lk_batch batch = {.shape = shape,
                    .blocks = &resident,
                    .blocks_count = 1,
                    .probes = q,
                    .count = 1,
                    .k = LK_K_ALL,
                    .thresholds = &bar};
  cr_assert_eq(backend->ops->begin(backend, &batch, &visible, &error), LK_OK);
  cr_assert_eq(lk_scan_order_make(&order, &(lk_plan){.first_tiles = 1, .growth = 1, .tile_stride = 1}, 1, &error),
               LK_OK);
  cr_assert_eq(backend->ops->rounds(backend, &order, order.rounds, 1, in_float, &done), 1);
  lk_scan_order_free(&order);
  cr_assert_eq(backend->ops->finish(backend, &lists, &stats, &error), LK_OK);
  hits = lists.ends[0];
  lk_candidate_lists_free(&lists);
  backend->ops->unload(backend, resident);
  return hits;
}
