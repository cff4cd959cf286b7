/* Measures how much room the bound leaves: the true error of products by codes over what the bound allows
 * (bench/pairs.h), for each of the tests of a search, as median, 99.9th percentile and largest. An error beyond its
 * bound would disprove the bound: the program then exits with 1. It also prints what the bound costs: the pairs that a
 * search keeps and rescores.
 *
 *   bench_slack [--rows 200000] [--dim 512] [--k 10] [--threads N] [--device cpu]
 *               [--data all|unit|face|text|sift|lognormal|near] [--metric cosine|ip|l2] [--file FILE.npy] */
#include <stdio.h>
#include <stdlib.h>

#include "bench/bench.h"
#include "bench/options.h"
#include "bench/pairs.h"

enum { PROBES = 64 };

static void print_head(void) {
  printf("%-14s %-6s %7s   %-20s   %-20s   %-8s  %6s %9s %8s\n", "", "", "", "scan: error / bound", "rescreening",
         "float", "loss /", "of a probe's rows", "");
  printf("%-14s %-6s %7s   %6s %6s %6s   %6s %6s %6s   %8s  %6s %9s %8s\n", "data", "metric", "rows", "median",
         "99.9 %", "most", "median", "99.9 %", "most", "most", "sigma", "survivors", "rescored");
}

static lk_search_stats search(const gallery *g, lk_device *device, const float *probes, uint32_t k) {
  lk_resident_block **residents = gallery_load(g, device, (lk_visibility){0});
  lk_batch batch = {.shape = g->shape,
                    .blocks = residents,
                    .blocks_count = g->blocks_count,
                    .probes = probes,
                    .count = PROBES,
                    .k = k};
  lk_candidate_lists lists = {0};
  lk_search_stats stats = {0};
  lk_error error;
  if (lk_search(device, &batch, &lists, &stats, &error) != LK_OK) bench_fail(error.text);
  lk_candidate_lists_free(&lists);
  gallery_unload(g, device, residents);
  return stats;
}

/* Prints a line; returns whether every error is within its bound. */
static bool print(const gallery *g, const pairs *p, const lk_search_stats *stats) {
  static const char *const metrics[] = {"cosine", "ip", "l2"};
  double most[PAIRS_TESTS];
  for (int t = 0; t < PAIRS_TESTS; t++) most[t] = bench_quantile(p->ratios[t], p->counts[t], 1);
  printf("%-14s %-6s %7u", g->data->name, metrics[g->shape.metric], g->rows);
  for (int t = PAIRS_SCAN; t <= PAIRS_RESCREEN; t++)
    printf("   %6.4f %6.4f %6.4f", bench_quantile(p->ratios[t], p->counts[t], 0.5),
           bench_quantile(p->ratios[t], p->counts[t], 0.999), most[t]);
  printf("   %8.6f  %6.3f %9.0f %8.0f%s\n", most[PAIRS_FLOAT], p->loss, (double)stats->survivors / PROBES,
         (double)stats->rescored / PROBES, stats->float_rounds > 0 ? "  (float)" : "");
  fflush(stdout);
  return most[PAIRS_SCAN] < 1 && most[PAIRS_RESCREEN] < 1 && most[PAIRS_FLOAT] < 1;
}

static bool measure(const options *o, const data_recipe *recipe, lk_device *device, lk_pool *pool) {
  data d = data_open(recipe);
  gallery g = gallery_make(&d, o->rows, pool);
  float *probes = gallery_probes(&g, PROBES);
  lk_search_stats stats = search(&g, device, probes, o->ks[0]);
  pairs found = pairs_measure(&g, lk_isa_find(lk_device_name(device) + sizeof "cpu:" - 1), probes, PROBES);
  bool within = print(&g, &found, &stats);
  pairs_free(&found);
  free(probes);
  gallery_free(&g);
  data_close(&d);
  return within;
}

int main(int argc, char **argv) {
  options o = {.rows = 200000, .ks = {10}, .ks_count = 1, .all_kinds = true, .devices = {"cpu"}};
  options_parse(&o, argc, argv);
  lk_error error;
  lk_pool *pool;
  lk_device *device;
  if (lk_pool_open(o.threads, &pool, &error) != LK_OK) bench_fail(error.text);
  if (lk_device_open(o.devices[0], o.threads, &device, &error) != LK_OK) bench_fail(error.text);
  print_head();
  bool within = true;
  data_recipe recipe = o.data;
  for (data_kind kind = o.all_kinds ? 0 : recipe.kind; kind < DATA_KINDS; kind++) {
    recipe.kind = kind;
    within &= measure(&o, &recipe, device, pool);
    if (!o.all_kinds) break;
  }
  lk_device_close(device);
  lk_pool_close(pool);
  if (!within) bench_fail("an error is beyond its bound");
  return 0;
}
