/* Measures what a search costs at the level of the kernels, beside a plain read of as many bytes by as many threads in
 * the same run.
 *
 *   bench_scan [--rows 1000000] [--dim 512] [--batches 1,32,256,1024] [--k 10,...] [--threads N] [--device cpu]...
 *              [--data unit|face|text|sift|lognormal|near] [--metric cosine|ip|l2] [--file FILE.npy] [--views]
 *              [--filter] [--repeat N] [--at-once N] [--json FILE]
 *
 * --data: made rows (bench/data.h), with a dimension and a metric of their own unless others are given. --file: rows
 * from a file. --views: measures searches that see part of the rows (bench/views.h) instead. --filter: each search
 * again, for the tag that one row in ten has. --repeat: runs each search N times more, and fails where one finds
 * something else.
 * --at-once: N threads search side by side, and a search's time is the time of all of them over N.
 * --json: appends a line for each row of the table. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/bench.h"
#include "bench/options.h"
#include "bench/views.h"
#include "kernels/plan.h"

#define READ_CHUNK ((size_t)1 << 20)

struct reading {
  lk_pool *pool;
  const uint8_t *bytes;
  size_t size;
  atomic_ullong sum; /* so that no read is left out */
};

static void read_chunk(void *context, uint32_t thread, uint32_t chunk) {
  (void)thread;
  struct reading *reading = context;
  size_t first = chunk * READ_CHUNK, end = first + READ_CHUNK < reading->size ? first + READ_CHUNK : reading->size;
  uint64_t sum = 0, word;
  for (size_t i = first; i + sizeof word <= end; i += sizeof word) {
    memcpy(&word, reading->bytes + i, sizeof word);
    sum += word;
  }
  atomic_fetch_add_explicit(&reading->sum, sum, memory_order_relaxed);
}

static void read_all(void *context) {
  struct reading *reading = context;
  lk_pool_run(reading->pool, (uint32_t)((reading->size + READ_CHUNK - 1) / READ_CHUNK), read_chunk, reading);
}

/* Bytes a second. */
static double measure_read(const gallery *g, lk_pool *pool) {
  struct reading reading = {.pool = pool, .bytes = (const uint8_t *)g->codes, .size = (size_t)g->rows * g->shape.dim};
  return (double)reading.size / bench_median_time(read_all, &reading);
}

struct searching {
  lk_device *device;
  lk_batch batch;
  lk_candidate_lists lists;
  lk_search_stats stats;
};

static void search(void *context) {
  struct searching *s = context;
  lk_error error;
  s->stats = (lk_search_stats){0};
  if (lk_search(s->device, &s->batch, &s->lists, &s->stats, &error) != LK_OK) bench_fail(error.text);
}

static bool same_lists(const lk_candidate_lists *a, const lk_candidate_lists *b) {
  if (a->count != b->count || memcmp(a->ends, b->ends, b->count * sizeof *b->ends) != 0) return false;
  for (uint64_t i = 0; i < lk_candidate_lists_begin(b, b->count); i++)
    if (a->hits[i].number != b->hits[i].number || a->hits[i].score != b->hits[i].score) return false;
  return true;
}

enum { SEARCHES_EACH = 4 };

struct side_by_side {
  struct searching searchers[OPTIONS_MOST];
  uint32_t count;
};

static void *search_some(void *searcher) {
  for (int i = 0; i < SEARCHES_EACH; i++) search(searcher);
  return NULL;
}

static void search_side_by_side(void *context) {
  struct side_by_side *all = context;
  pthread_t threads[OPTIONS_MOST];
  for (uint32_t i = 0; i < all->count; i++)
    if (pthread_create(&threads[i], NULL, search_some, &all->searchers[i]) != 0) bench_fail("cannot start a thread");
  for (uint32_t i = 0; i < all->count; i++) pthread_join(threads[i], NULL);
}

/* Seconds a search, when `count` of them run at a time; all find the same. */
static double measure_side_by_side(const struct searching *s, uint32_t count) {
  struct side_by_side all = {.count = count};
  for (uint32_t i = 0; i < count; i++) {
    all.searchers[i] = *s;
    all.searchers[i].lists = (lk_candidate_lists){0};
  }
  double seconds = bench_median_time(search_side_by_side, &all) / (count * SEARCHES_EACH);
  for (uint32_t i = 0; i < count; i++) {
    if (!same_lists(&all.searchers[i].lists, &s->lists)) bench_fail("a search beside others found something else");
    lk_candidate_lists_free(&all.searchers[i].lists);
  }
  return seconds;
}

/* The first answer is the timed one's. */
static void repeat(struct searching *s, uint32_t times) {
  lk_candidate_lists first = s->lists;
  s->lists = (lk_candidate_lists){0};
  for (uint32_t i = 0; i < times; i++) {
    search(s);
    if (!same_lists(&s->lists, &first)) bench_fail("the same search found something else");
  }
  lk_candidate_lists_free(&first);
}

static void print_head(void) {
  printf("batch    k visible       ms  probes/s codes GB/s of read  GOP/s  survivors  rescored  of pairs rounds float "
         "reruns\n");
}

/* What stays the same from row to row of the table. */
struct table {
  const options *o;
  const gallery *g;
  lk_device *device;
  lk_resident_block *const *residents;
  double read_rate;
  FILE *json;
};

static void print(const struct table *t, const struct searching *s, double seconds) {
  uint32_t count = s->batch.count;
  double elements = (double)t->g->rows * t->g->shape.dim, passes = (count + LK_PASS_PROBES - 1) / LK_PASS_PROBES;
  double rate = passes * elements / seconds, survivors = (double)s->stats.survivors / count,
         rescored = (double)s->stats.rescored / count;
  double visible = s->batch.filter.mask != 0 ? 0.1 : 1;
  printf("%5u %4u %6.0f%% %9.3f %9.0f %10.2f %6.0f%% %6.0f %10.0f %8.0f %8.4f%% %6u %5u %6u\n", count, s->batch.k,
         100 * visible, seconds * 1e3, count / seconds, rate * 1e-9, 100 * rate / t->read_rate,
         2e-9 * count * elements / seconds, survivors, rescored, 100.0 * rescored / t->g->rows, s->stats.rounds,
         s->stats.float_rounds, s->stats.reruns);
  fflush(stdout);
  if (t->json == NULL) return;
  fprintf(t->json,
          "{\"kind\":\"scan\",\"device\":\"%s\",\"data\":\"%s\",\"rows\":%u,\"dim\":%u,\"batch\":%u,\"k\":%u,"
          "\"visible\":%g,\"seconds\":%.9g,\"passes\":%g,\"survivors\":%.9g,\"rescored\":%.9g,\"rounds\":%u,"
          "\"float_rounds\":%u,\"reruns\":%u,\"repeats\":%u,\"at_once\":%u}\n",
          lk_device_name(t->device), t->g->data->name, t->g->rows, t->g->shape.dim, count, s->batch.k, visible, seconds,
          passes, survivors, rescored, s->stats.rounds, s->stats.float_rounds, s->stats.reruns, t->o->repeat,
          t->o->at_once);
  fflush(t->json);
}

static void measure(const struct table *t, uint32_t count, uint32_t k, bool filter) {
  float *probes = gallery_probes(t->g, count);
  struct searching s = {.device = t->device,
                        .batch = {.shape = t->g->shape,
                                  .blocks = t->residents,
                                  .blocks_count = t->g->blocks_count,
                                  .probes = probes,
                                  .count = count,
                                  .k = k,
                                  .filter = {.tags = filter, .mask = filter}}};
  double seconds = bench_median_time(search, &s);
  if (t->o->at_once > 1) seconds = measure_side_by_side(&s, t->o->at_once);
  repeat(&s, t->o->repeat);
  print(t, &s, seconds);
  free(probes);
  lk_candidate_lists_free(&s.lists);
}

static void measure_all(const struct table *t) {
  print_head();
  for (uint32_t i = 0; i < t->o->ks_count; i++)
    for (uint32_t filter = 0; filter <= t->o->filter; filter++)
      for (uint32_t b = 0; b < t->o->batches_count; b++) measure(t, t->o->batches[b], t->o->ks[i], filter);
}

static uint64_t *tag_rows(const gallery *g) {
  uint64_t *tags = bench_allocate(g->rows, sizeof *tags);
  for (uint32_t r = 0; r < g->rows; r++) tags[r] = g->numbers[r] % 10 == 0;
  return tags;
}

static void run(const options *o, const gallery *g, lk_device *device, lk_pool *pool, FILE *json) {
  struct table t = {.o = o, .g = g, .device = device, .read_rate = measure_read(g, pool), .json = json};
  uint64_t *tags = o->filter ? tag_rows(g) : NULL;
  lk_resident_block **residents = gallery_load(g, t.device, (lk_visibility){.tags = tags});
  t.residents = residents;
  printf("%s, %u threads, %s, %u rows of %u, plain read %.2f GB/s\n", lk_device_name(t.device), lk_pool_threads(pool),
         g->data->name, g->rows, g->shape.dim, t.read_rate * 1e-9);
  if (!o->views) measure_all(&t);
  for (uint32_t i = 0; o->views && i < o->batches_count; i++)
    views_measure(g, t.device, residents, o->batches[i], o->ks[0]);
  gallery_unload(g, t.device, residents);
  free(tags);
}

int main(int argc, char **argv) {
  options o = {.rows = 1000000,
               .ks = {10},
               .ks_count = 1,
               .batches = {1, 32, 256, 1024},
               .batches_count = 4,
               .at_once = 1,
               .devices = {"cpu"}};
  options_parse(&o, argc, argv);
  lk_error error;
  lk_pool *pool;
  FILE *json = o.json != NULL ? fopen(o.json, "a") : NULL;
  if (o.json != NULL && json == NULL) bench_fail("the file for --json cannot be opened");
  lk_device *devices[OPTIONS_MOST];
  if (lk_pool_open(o.threads, &pool, &error) != LK_OK) bench_fail(error.text);
  for (uint32_t i = 0; i < o.devices_count; i++)
    if (lk_device_open(o.devices[i], o.threads, &devices[i], &error) != LK_OK) bench_fail(error.text);
  data d = data_open(&o.data);
  gallery g = gallery_make(&d, o.rows, pool);
  for (uint32_t i = 0; i < o.devices_count; i++) run(&o, &g, devices[i], pool, json);
  gallery_free(&g);
  data_close(&d);
  for (uint32_t i = 0; i < o.devices_count; i++) lk_device_close(devices[i]);
  lk_pool_close(pool);
  if (json != NULL) fclose(json);
  return 0;
}
