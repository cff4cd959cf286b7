#include "tests/support/near_mean.h"

#include <criterion/criterion.h>

#include "kernels/candidate_lists.h"
#include "kernels/scan_order.h"
#include "tests/support/random.h"

enum { DIM = 64, CASES = 100 };

static uint64_t count_hits(lk_backend *backend, const lk_block *block, const float *q, float bar) {
  lk_error error;
  lk_resident_block *resident;
  lk_candidate_lists lists = {0};
  lk_search_stats stats = {0};
  lk_scan_order order = {0};
  lk_round done;
  uint64_t visible;
  lk_shape shape = {.metric = LK_COSINE, .dim = DIM};
  cr_assert_eq(backend->ops->load(backend, shape, block, &resident, &error), LK_OK);
  lk_batch batch = {.shape = shape,
                    .blocks = &resident,
                    .blocks_count = 1,
                    .probes = q,
                    .count = 1,
                    .k = LK_K_ALL,
                    .thresholds = &bar};
  lk_plan plan = {.first_tiles = 1, .growth = 1, .tile_stride = 1};
  cr_assert_eq(backend->ops->begin(backend, &batch, &visible, &error), LK_OK);
  cr_assert_eq(lk_scan_order_make(&order, &plan, 1, &error), LK_OK);
  cr_assert_eq(backend->ops->rounds(backend, &order, order.rounds, 1, true, &done), 1);
  cr_assert_eq(backend->ops->finish(backend, &lists, &stats, &error), LK_OK);
  uint64_t hits = lists.ends[0];
  lk_scan_order_free(&order);
  lk_candidate_lists_free(&lists);
  backend->ops->unload(backend, resident);
  return hits;
}

/* A probe nearly at a right angle to x, so that floats near the score lie close together. */
static void draw_probe(random_state *random, const float *x, float *q) {
  double qx = 0, xx = 0, v[DIM];
  for (int i = 0; i < DIM; i++) v[i] = random_normal(random), qx += v[i] * x[i], xx += (double)x[i] * x[i];
  for (int i = 0; i < DIM; i++) q[i] = (float)(v[i] - x[i] * qx / xx);
}

void near_mean_check(lk_backend *backend) {
  random_state random = {31};
  for (int n = 0; n < CASES; n++) {
    float x[DIM], q[DIM], mean[DIM];
    double work[DIM], reciprocal;
    int8_t code[DIM];
    uint64_t number = 0;
    lk_tile tile;
    lk_row_bound bound;
    for (int i = 0; i < DIM; i++) x[i] = (float)random_normal(&random);
    reciprocal = lk_score_reciprocal(LK_COSINE, x, DIM);
    for (int i = 0; i < DIM; i++) mean[i] = (float)(x[i] * reciprocal);
    draw_probe(&random, x, q);
    lk_codes_tile(x, &reciprocal, 1, DIM, mean, work, code, &tile, &bound);
    lk_block block = {.rows = 1,
                      .mean = mean,
                      .exact = x,
                      .reciprocals = &reciprocal,
                      .codes = code,
                      .tiles = &tile,
                      .bounds = &bound,
                      .numbers = &number};
    cr_assert_eq(count_hits(backend, &block, q, lk_score(LK_COSINE, q, x, DIM)), 1, "%s, case %d", backend->name, n);
  }
}
