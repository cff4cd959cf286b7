/* What a search costs at the level of the kernels, beside a plain read of as many bytes by as many threads in the same
 * run.
 *
 *   bench_scan [--rows 1000000] [--dim 512] [--batches 1,32,256,1024] [--k 10] [--threads N] [--device cpu]
 *              [--data unit|face|text|sift|lognormal|near] [--metric cosine|ip|l2] [--file FILE.npy] [--views]
 *
 * --data: made rows (bench/data.h), with a dimension and a metric of their own unless others are given. --file: rows
 * from a file. --views: instead, searches that see part of the rows (bench/views.h). */
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
  lk_lists lists;
  lk_search_stats stats;
};

static void search(void *context) {
  struct searching *s = context;
  lk_error error;
  s->stats = (lk_search_stats){0};
  if (lk_search(s->device, &s->batch, &s->lists, &s->stats, &error) != LK_OK) bench_fail(error.text);
}

static void print_head(void) {
  printf("batch        ms  probes/s codes GB/s of read  GOP/s  survivors  settled  of pairs rounds wide reruns\n");
}

static void measure(const gallery *g, lk_device *device, lk_hold *const *holds, uint32_t count, uint32_t k,
                    double read_rate) {
  float *probes = gallery_probes(g, count);
  struct searching s = {
      .device = device,
      .batch = {
          .shape = g->shape, .holds = holds, .holds_count = g->blocks_count, .probes = probes, .count = count, .k = k}};
  double seconds = bench_median_time(search, &s), elements = (double)g->rows * g->shape.dim;
  double passes = (count + LK_PASS_PROBES - 1) / LK_PASS_PROBES, rate = passes * elements / seconds;
  printf("%5u %9.2f %9.0f %10.2f %6.0f%% %6.0f %10.0f %8.0f %8.4f%% %6u %4u %6u\n", count, seconds * 1e3,
         count / seconds, rate * 1e-9, 100 * rate / read_rate, 2e-9 * count * elements / seconds,
         (double)s.stats.survivors / count, (double)s.stats.settled / count,
         100.0 * (double)s.stats.settled / count / g->rows, s.stats.rounds, s.stats.wide_rounds, s.stats.reruns);
  fflush(stdout);
  free(probes);
  lk_lists_free(&s.lists);
}

static void run(const options *o, const gallery *g, lk_device *device, lk_pool *pool) {
  lk_hold **holds = gallery_hold(g, device, (lk_visibility){0});
  double read_rate = measure_read(g, pool);
  printf("%s, %u threads, %s, %u rows of %u, k %u, plain read %.2f GB/s\n", lk_device_name(device),
         lk_pool_threads(pool), g->data->name, g->rows, g->shape.dim, o->k, read_rate * 1e-9);
  if (!o->views) print_head();
  for (uint32_t i = 0; i < o->batches_count; i++)
    if (o->views)
      views_measure(g, device, holds, o->batches[i], o->k);
    else
      measure(g, device, holds, o->batches[i], o->k, read_rate);
  gallery_release(g, device, holds);
}

int main(int argc, char **argv) {
  options o = {.rows = 1000000, .k = 10, .batches = {1, 32, 256, 1024}, .batches_count = 4, .device = "cpu"};
  options_parse(&o, argc, argv);
  lk_error error;
  lk_pool *pool;
  lk_device *device;
  if (lk_pool_open(o.threads, &pool, &error) != LK_OK) bench_fail(error.text);
  if (lk_device_open(o.device, o.threads, &device, &error) != LK_OK) bench_fail(error.text);
  data d = data_open(&o.data);
  gallery g = gallery_make(&d, o.rows, pool);
  run(&o, &g, device, pool);
  gallery_free(&g);
  data_close(&d);
  lk_device_close(device);
  lk_pool_close(pool);
  return 0;
}
