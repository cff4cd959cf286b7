#include "tests/support/near_mean.h"

#include <criterion/criterion.h>

#include "tests/support/random.h"
#include "tests/support/round_hits.h"

enum { DIM = 64, CASES = 100 };

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
    lk_shape shape = {.metric = LK_COSINE, .dim = DIM};
    float bar = lk_score(LK_COSINE, q, x, DIM);
    cr_assert_eq(round_hits(backend, shape, &block, q, bar, true), 1, "%s, case %d", backend->name, n);
  }
}
