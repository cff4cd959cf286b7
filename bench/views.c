#include "bench/views.h"

#include <stdio.h>
#include <stdlib.h>

#include "bench/bench.h"
#include "tests/support/random.h"

enum { FEWEST_RUNS = 5, MOST_RUNS = 51, MOST_SECONDS = 30 };
enum { SEED_LISTED, SEED_TAGGED, SEED_DIED };

typedef enum view_kind { VIEW_PLAIN, VIEW_LISTED, VIEW_TAGGED, VIEW_DIED, VIEW_BY_SUBJECT } view_kind;

typedef struct view {
  const char *name;
  view_kind kind;
  double share; /* of the rows, that are listed or tagged or have died */
} view;

static const view views[] = {{"plain", VIEW_PLAIN, 1},
                             {"listed 10 %", VIEW_LISTED, 0.1},
                             {"listed 1 %", VIEW_LISTED, 0.01},
                             {"listed 0.01 %", VIEW_LISTED, 0.0001},
                             {"tagged 10 %", VIEW_TAGGED, 0.1},
                             {"tagged 1 %", VIEW_TAGGED, 0.01},
                             {"tagged 0.01 %", VIEW_TAGGED, 0.0001},
                             {"20 % deleted", VIEW_DIED, 0.2},
                             {"by subject", VIEW_BY_SUBJECT, 1}};

enum { VIEWS = sizeof views / sizeof views[0] };

/* The search of one view, and what it needs. */
typedef struct sight {
  lk_batch batch;
  lk_resident_block **residents; /* blocks that only this view has, or NULL */
  uint64_t *carried;             /* by its rows: tags, or the epoch in which they died */
  uint64_t **allowed;
  lk_candidate_lists lists;
  lk_search_stats stats;
  double times[MOST_RUNS], ratios[MOST_RUNS];
} sight;

static bool is_chosen(uint64_t seed, uint64_t number, double share) {
  random_state random = random_fork(seed, number);
  return random_uniform(&random) < share;
}

static uint64_t **list_rows(const gallery *g, double share) {
  uint64_t **allowed = bench_allocate(g->blocks_count, sizeof *allowed);
  for (uint32_t b = 0; b < g->blocks_count; b++) {
    allowed[b] = bench_allocate((g->blocks[b].rows + 63) / 64, sizeof *allowed[b]);
    for (uint32_t r = 0; r < g->blocks[b].rows; r++)
      if (is_chosen(SEED_LISTED, g->blocks[b].numbers[r], share)) allowed[b][r / 64] |= UINT64_C(1) << r % 64;
  }
  return allowed;
}

/* A value for each row: one for the chosen, another for the rest. */
static uint64_t *mark_rows(const gallery *g, uint64_t seed, double share, uint64_t chosen, uint64_t other) {
  uint64_t *marks = bench_allocate(g->rows, sizeof *marks);
  for (uint32_t r = 0; r < g->rows; r++) marks[r] = is_chosen(seed, g->numbers[r], share) ? chosen : other;
  return marks;
}

static void load_carried(const gallery *g, lk_device *device, lk_visibility carried, sight *s) {
  s->residents = gallery_load(g, device, carried);
  s->batch.blocks = s->residents;
}

static void open_sight(const gallery *g, lk_device *device, const view *v, sight *s) {
  switch (v->kind) {
    case VIEW_LISTED:
      s->allowed = list_rows(g, v->share);
      s->batch.filter.allowed = (const uint64_t *const *)s->allowed;
      return;
    case VIEW_TAGGED:
      s->carried = mark_rows(g, SEED_TAGGED, v->share, 1, 0);
      s->batch.filter.tags = s->batch.filter.mask = 1;
      load_carried(g, device, (lk_visibility){.tags = s->carried}, s);
      return;
    case VIEW_DIED:
      s->carried = mark_rows(g, SEED_DIED, v->share, 1, UINT64_MAX);
      s->batch.filter.epoch = 1;
      load_carried(g, device, (lk_visibility){.died = s->carried}, s);
      return;
    default:
      s->batch.by_subject = v->kind == VIEW_BY_SUBJECT;
  }
}

static void close_sight(const gallery *g, lk_device *device, sight *s) {
  if (s->residents != NULL) gallery_unload(g, device, s->residents);
  for (uint32_t b = 0; s->allowed != NULL && b < g->blocks_count; b++) free(s->allowed[b]);
  free(s->allowed);
  free(s->carried);
  lk_candidate_lists_free(&s->lists);
}

static double search(lk_device *device, sight *s) {
  lk_error error;
  s->stats = (lk_search_stats){0};
  double begin = bench_now();
  if (lk_search(device, &s->batch, &s->lists, &s->stats, &error) != LK_OK) bench_fail(error.text);
  return bench_now() - begin;
}

/* Every view in turn, so that what else the machine does meets all of them alike. */
static size_t run_all(lk_device *device, sight sights[VIEWS]) {
  size_t runs = 0;
  for (uint32_t v = 0; v < VIEWS; v++) search(device, &sights[v]);
  for (double begin = bench_now(); runs < FEWEST_RUNS || (runs < MOST_RUNS && bench_now() - begin < MOST_SECONDS);
       runs++)
    for (uint32_t v = 0; v < VIEWS; v++) {
      sights[v].times[runs] = search(device, &sights[v]);
      sights[v].ratios[runs] = sights[v].times[runs] / sights[0].times[runs];
    }
  return runs;
}

static void print(const view *v, const sight *s, size_t runs) {
  double probes = s->batch.count;
  printf("%-14s %9.2f %8.3f %10.0f %8.0f  %s\n", v->name, 1e3 * bench_quantile(s->times, runs, 0.5),
         bench_quantile(s->ratios, runs, 0.5), (double)s->stats.survivors / probes, (double)s->stats.rescored / probes,
         s->stats.scanned > 0 ? "scanned" : "scored all");
}

void views_measure(const gallery *g, lk_device *device, lk_resident_block *const *residents, uint32_t count,
                   uint32_t k) {
  float *probes = gallery_probes(g, count);
  sight *sights = bench_allocate(VIEWS, sizeof *sights);
  for (uint32_t v = 0; v < VIEWS; v++) {
    sights[v].batch = (lk_batch){.shape = g->shape, .blocks = residents, .blocks_count = g->blocks_count, .k = k};
    sights[v].batch.probes = probes;
    sights[v].batch.count = count;
    open_sight(g, device, &views[v], &sights[v]);
  }
  size_t runs = run_all(device, sights);
  printf("\nbatch %u, %zu runs\nview                  ms of plain  survivors  rescored\n", count, runs);
  for (uint32_t v = 0; v < VIEWS; v++) print(&views[v], &sights[v], runs);
  fflush(stdout);
  for (uint32_t v = 0; v < VIEWS; v++) close_sight(g, device, &sights[v]);
  free(sights);
  free(probes);
}
