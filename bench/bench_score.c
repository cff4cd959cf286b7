/* Measures what r(q) r(x) costs a score under cosine, in turns with scores that take 1 for it: one probe with all rows
 * of a gallery in a scattered order, as survivors lie, in one thread. A thousand rows of 512 are in the cache, as rows
 * are that a search has fetched ahead; 200,000 are not.
 *
 *   bench_score [--rows 200000] [--dim 512] */
#include <stdio.h>
#include <stdlib.h>

#include "bench/bench.h"
#include "bench/gallery.h"
#include "bench/options.h"
#include "kernels/cpu/isa.h"
#include "kernels/score.h"

enum { TURNS = 101, SCORES = 200000, STRIDE = 7919 };

struct scoring {
  const gallery *g;
  const lk_isa *isa;
  const float *probe;
  double reciprocal;  /* of the probe */
  volatile float sum; /* so that no score is left out */
};

/* Nanoseconds a score. */
static double time_scores(struct scoring *s, bool by_reciprocals) {
  const gallery *g = s->g;
  double begin = bench_now();
  for (uint64_t i = 0; i < SCORES; i++) {
    uint64_t row = i * STRIDE % g->rows;
    double reciprocals = by_reciprocals ? s->reciprocal * g->reciprocals[row] : 1;
    s->sum += s->isa->score(LK_COSINE, s->probe, g->exact + row * g->shape.dim, g->shape.dim, reciprocals);
  }
  return (bench_now() - begin) / SCORES * 1e9;
}

static void measure(struct scoring *s) {
  double with[TURNS], without[TURNS], more[TURNS];
  for (int turn = 0; turn < TURNS; turn++) {
    bool first = turn % 2 == 0;
    *(first ? &with[turn] : &without[turn]) = time_scores(s, first);
    *(first ? &without[turn] : &with[turn]) = time_scores(s, !first);
    more[turn] = with[turn] - without[turn];
  }
  printf(
      "%s, %u rows of %u: %.1f ns a score, %.1f ns without r(q) r(x); %.1f ns more, in half the turns %.1f to %.1f\n",
      s->isa->name, s->g->rows, s->g->shape.dim, bench_quantile(with, TURNS, 0.5), bench_quantile(without, TURNS, 0.5),
      bench_quantile(more, TURNS, 0.5), bench_quantile(more, TURNS, 0.25), bench_quantile(more, TURNS, 0.75));
}

int main(int argc, char **argv) {
  options o = {.rows = 200000, .devices = {"cpu"}};
  lk_error error;
  lk_pool *pool;
  options_parse(&o, argc, argv);
  if (lk_pool_open(o.threads, &pool, &error) != LK_OK) bench_fail(error.text);
  data d = data_open(&o.data);
  if (d.metric != LK_COSINE) bench_fail("r(q) r(x) is of cosine alone");
  gallery g = gallery_make(&d, o.rows, pool);
  float *probe = gallery_probes(&g, 1);
  struct scoring s = {.g = &g,
                      .isa = lk_isa_find(NULL),
                      .probe = probe,
                      .reciprocal = lk_score_reciprocal(LK_COSINE, probe, g.shape.dim)};
  measure(&s);
  free(probe);
  gallery_free(&g);
  data_close(&d);
  lk_pool_close(pool);
  return 0;
}
