/* What a search costs at the level of the kernels, on random unit rows, beside a plain read of as many bytes by as many
 * threads in the same run.
 *
 *   bench_scan [--rows 1000000] [--dim 512] [--batches 1,32,256,1024] [--k 10] [--threads 0] [--device cpu]
 *              [--metric cosine|ip|l2] */
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "kernels/plan.h"
#include "kernels/pool.h"
#include "kernels/search.h"
#include "tests/random.h"

#define BLOCK_ROWS 262144
#define MOST_BATCHES 16
#define MOST_RUNS 101
#define READ_CHUNK ((size_t)1 << 20)

struct options {
  uint32_t rows, dim, k, threads, batches[MOST_BATCHES], batches_count;
  const char *device;
  lk_metric metric;
};

struct gallery {
  uint32_t rows, dim, blocks_count;
  lk_metric metric;
  float *exact, *means;
  int8_t *codes;
  lk_tile *tiles;
  lk_row_bound *bounds;
  uint64_t *numbers;
  double *work; /* LK_TILE_ROWS x dim a thread */
  lk_block *blocks;
  lk_hold **holds;
};

static void fail(const char *what) {
  fprintf(stderr, "bench_scan: %s\n", what);
  exit(1);
}

static void *allocate(size_t count, size_t size) {
  void *memory = malloc(count * size);
  if (memory == NULL) fail("out of memory");
  return memory;
}

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static int compare_times(const void *a, const void *b) {
  double left = *(const double *)a, right = *(const double *)b;
  return (left > right) - (left < right);
}

/* Median of as many runs as two seconds hold, 5 at least. */
static double median_time(void (*run)(void *context), void *context) {
  double times[MOST_RUNS], begin = now();
  size_t runs = 0;
  run(context); /* warm */
  while (runs < 5 || (runs < MOST_RUNS && now() - begin < 2)) {
    double start = now();
    run(context);
    times[runs++] = now() - start;
  }
  qsort(times, runs, sizeof times[0], compare_times);
  return times[runs / 2];
}

/* ---- the gallery ---- */

static void fill_unit_rows(float *x, uint32_t rows, uint32_t dim, random_state random) {
  for (uint32_t r = 0; r < rows; r++, x += dim) {
    double squares = 0;
    for (uint32_t i = 0; i < dim; i++) {
      x[i] = (float)random_normal(&random);
      squares += (double)x[i] * x[i];
    }
    double length = sqrt(squares);
    for (uint32_t i = 0; i < dim; i++) x[i] = length > 0 ? (float)(x[i] / length) : 1;
  }
}

static uint32_t rows_from(uint32_t first, uint32_t rows, uint32_t most) {
  return rows - first < most ? rows - first : most;
}

static void fill_tile(void *context, uint32_t thread, uint32_t tile) {
  (void)thread;
  struct gallery *g = context;
  uint32_t first = tile * LK_TILE_ROWS;
  fill_unit_rows(g->exact + (size_t)first * g->dim, rows_from(first, g->rows, LK_TILE_ROWS), g->dim,
                 random_fork(1, tile));
  for (uint32_t r = first; r < g->rows && r < first + LK_TILE_ROWS; r++) g->numbers[r] = r;
}

static void code_tile(void *context, uint32_t thread, uint32_t tile) {
  struct gallery *g = context;
  uint32_t first = tile * LK_TILE_ROWS;
  size_t at = (size_t)first * g->dim;
  lk_quant_tile(g->exact + at, rows_from(first, g->rows, LK_TILE_ROWS), g->dim,
                g->means + (size_t)(first / BLOCK_ROWS) * g->dim, g->work + (size_t)thread * LK_TILE_ROWS * g->dim,
                g->codes + at, g->tiles + tile, g->bounds + first);
}

static void make_block(void *context, uint32_t thread, uint32_t b) {
  (void)thread;
  struct gallery *g = context;
  uint32_t first = b * BLOCK_ROWS, rows = rows_from(first, g->rows, BLOCK_ROWS);
  size_t at = (size_t)first * g->dim;
  float *mean = g->means + (size_t)b * g->dim;
  double *sum = allocate(g->dim, sizeof *sum);
  memset(sum, 0, g->dim * sizeof *sum);
  lk_quant_sum(g->exact + at, rows, g->dim, sum);
  lk_quant_mean(sum, rows, g->dim, mean);
  free(sum);
  g->blocks[b] = (lk_block){.rows = rows,
                            .mean = mean,
                            .exact = g->exact + at,
                            .codes = g->codes + at,
                            .tiles = g->tiles + first / LK_TILE_ROWS,
                            .bounds = g->bounds + first,
                            .numbers = g->numbers + first};
}

static struct gallery make_gallery(const struct options *o, lk_pool *pool) {
  uint32_t tiles = (o->rows + LK_TILE_ROWS - 1) / LK_TILE_ROWS, blocks = (o->rows + BLOCK_ROWS - 1) / BLOCK_ROWS;
  size_t elements = (size_t)o->rows * o->dim;
  struct gallery g = {.rows = o->rows, .dim = o->dim, .blocks_count = blocks, .metric = o->metric};
  g.exact = allocate(elements, sizeof *g.exact);
  g.means = allocate((size_t)blocks * o->dim, sizeof *g.means);
  g.codes = allocate(elements, sizeof *g.codes);
  g.tiles = allocate(tiles, sizeof *g.tiles);
  g.bounds = allocate(o->rows, sizeof *g.bounds);
  g.numbers = allocate(o->rows, sizeof *g.numbers);
  g.work = allocate((size_t)lk_pool_threads(pool) * LK_TILE_ROWS * o->dim, sizeof *g.work);
  g.blocks = allocate(blocks, sizeof *g.blocks);
  g.holds = allocate(blocks, sizeof *g.holds);
  lk_pool_run(pool, tiles, fill_tile, &g);
  lk_pool_run(pool, blocks, make_block, &g);
  lk_pool_run(pool, tiles, code_tile, &g);
  return g;
}

static void free_gallery(struct gallery *g) {
  void *parts[] = {g->exact, g->means, g->codes, g->tiles, g->bounds, g->numbers, g->work, g->blocks, g->holds};
  for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) free(parts[i]);
}

/* ---- what is measured ---- */

struct reading {
  lk_pool *pool;
  const uint8_t *bytes;
  size_t size;
  atomic_ullong sum; /* so that no read is left out */
};

static void read_chunk(void *context, uint32_t thread, uint32_t chunk) {
  (void)thread;
  struct reading *reading = context;
  const uint8_t *bytes = reading->bytes + chunk * READ_CHUNK;
  uint64_t sum = 0, word;
  for (size_t i = 0; i < READ_CHUNK; i += sizeof word) {
    memcpy(&word, bytes + i, sizeof word);
    sum += word;
  }
  atomic_fetch_add_explicit(&reading->sum, sum, memory_order_relaxed);
}

static void read_all(void *context) {
  struct reading *reading = context;
  lk_pool_run(reading->pool, (uint32_t)(reading->size / READ_CHUNK), read_chunk, reading);
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
  if (lk_search(s->device, &s->batch, &s->lists, &s->stats, &error) != LK_OK) fail(error.text);
}

static void measure(lk_device *device, const struct gallery *g, const struct options *o, uint32_t count,
                    double read_rate) {
  float *probes = allocate((size_t)count * o->dim, sizeof *probes);
  fill_unit_rows(probes, count, o->dim, random_fork(2, count));
  struct searching s = {.device = device,
                        .batch = {.shape = {.metric = o->metric, .dim = o->dim},
                                  .holds = g->holds,
                                  .holds_count = g->blocks_count,
                                  .probes = probes,
                                  .count = count,
                                  .k = o->k}};
  double seconds = median_time(search, &s);
  double passes = (count + LK_PASS_PROBES - 1) / LK_PASS_PROBES, rate = passes * g->rows * g->dim / seconds;
  printf("%5u %9.2f %9.0f %9.2f %7.0f%% %7.0f %10.0f %8.0f %6u %6u\n", count, seconds * 1e3, count / seconds,
         rate * 1e-9, 100 * rate / read_rate, 2e-9 * count * g->rows * g->dim / seconds,
         (double)s.stats.survivors / count, (double)s.stats.settled / count, s.stats.rounds, s.stats.reruns);
  fflush(stdout);
  free(probes);
  lk_lists_free(&s.lists);
}

/* ---- the command line ---- */

static uint32_t parse_number(const char *text, uint32_t most) {
  char *end;
  unsigned long long value = strtoull(text, &end, 10);
  if (end == text || *end != '\0' || value > most) fail("a number is missing or too large");
  return (uint32_t)value;
}

static uint32_t parse_batches(char *list, uint32_t batches[MOST_BATCHES]) {
  uint32_t count = 0;
  for (char *word = strtok(list, ","); word != NULL && count < MOST_BATCHES; word = strtok(NULL, ","))
    batches[count++] = parse_number(word, 1 << 20);
  return count;
}

static lk_metric parse_metric(const char *text) {
  if (strcmp(text, "ip") == 0) return LK_IP;
  if (strcmp(text, "l2") == 0) return LK_L2;
  if (strcmp(text, "cosine") != 0) fail("no such metric");
  return LK_COSINE;
}

static void parse_option(struct options *o, const char *name, char *value) {
  const struct {
    const char *name;
    uint32_t *number, most;
  } numbers[] = {{"--rows", &o->rows, UINT32_MAX},
                 {"--dim", &o->dim, LK_DIM_MAX},
                 {"--k", &o->k, LK_K_MAX},
                 {"--threads", &o->threads, 1024}};
  for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
    if (strcmp(name, numbers[i].name) == 0) {
      *numbers[i].number = parse_number(value, numbers[i].most);
      return;
    }
  if (strcmp(name, "--batches") == 0)
    o->batches_count = parse_batches(value, o->batches);
  else if (strcmp(name, "--device") == 0)
    o->device = value;
  else if (strcmp(name, "--metric") == 0)
    o->metric = parse_metric(value);
  else
    fail("no such option; the head of bench/bench_scan.c lists them");
}

static struct options parse(int argc, char **argv) {
  struct options o = {1000000, 512, 10, 0, {1, 32, 256, 1024}, 4, "cpu", LK_COSINE};
  for (int i = 1; i < argc; i += 2) {
    if (i + 1 == argc) fail("an option lacks its value");
    parse_option(&o, argv[i], argv[i + 1]);
  }
  if (o.rows == 0 || o.dim == 0 || o.k == 0) fail("rows, dim and k begin at 1");
  return o;
}

int main(int argc, char **argv) {
  struct options o = parse(argc, argv);
  lk_error error;
  lk_pool *pool;
  lk_device *device;
  if (lk_pool_open(o.threads, &pool, &error) != LK_OK) fail(error.text);
  if (lk_device_open(o.device, o.threads, &device, &error) != LK_OK) fail(error.text);
  double begin = now();
  struct gallery g = make_gallery(&o, pool);
  for (uint32_t b = 0; b < g.blocks_count; b++)
    if (lk_device_hold(device, (lk_shape){.metric = o.metric, .dim = o.dim}, &g.blocks[b], &g.holds[b], &error) !=
        LK_OK)
      fail(error.text);
  struct reading reading = {.pool = pool, .bytes = (const uint8_t *)g.codes, .size = (size_t)o.rows * o.dim};
  double read_rate = reading.size / READ_CHUNK * READ_CHUNK / median_time(read_all, &reading);
  printf("%s, %u threads, %u rows of %u, k %u, made in %.1f s, plain read %.2f GB/s\n", lk_device_name(device),
         lk_pool_threads(pool), o.rows, o.dim, o.k, now() - begin, read_rate * 1e-9);
  printf("batch        ms  probes/s codes GB/s of read  GOP/s  survivors  settled rounds reruns\n");
  for (uint32_t i = 0; i < o.batches_count; i++) measure(device, &g, &o, o.batches[i], read_rate);
  for (uint32_t b = 0; b < g.blocks_count; b++) lk_device_release(device, g.holds[b]);
  free_gallery(&g);
  lk_device_close(device);
  lk_pool_close(pool);
  return 0;
}
