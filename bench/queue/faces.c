#include "bench/queue/faces.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <likeness/likeness.h>
#include "base/clock.h"
#include "base/pool.h"
#include "bench/bench.h"
#include "bench/data.h"

enum { ROWS_AT_ONCE = 256 };

static char root[] = "/tmp/likeness-bench-XXXXXX"; /* is removed when the process ends */

static int remove_one(const char *path, const struct stat *stat, int type, struct FTW *at) {
  (void)stat;
  (void)type;
  (void)at;
  return remove(path);
}

/* A process of its own removes the root when this one has ended, however that was: then the pipe is closed. */
static void remove_root_at_end(void) {
  int ends[2];
  char byte;
  if (pipe2(ends, O_CLOEXEC) != 0) bench_fail("cannot make a pipe");
  pid_t child = fork();
  if (child < 0) bench_fail("cannot fork");
  if (child > 0) {
    close(ends[0]);
    return;
  }
  setsid(); /* Ctrl-C does not reach it */
  close(ends[1]);
  while (read(ends[0], &byte, 1) < 0 && errno == EINTR) {
  }
  lk_clock_sleep_us(200000); /* Redis and the workers are being killed */
  nftw(root, remove_one, 8, FTW_DEPTH | FTW_PHYS);
  _exit(0);
}

static void check(lk_status status, const lk_error *error) {
  if (status != LK_OK) bench_fail(error->text);
}

typedef struct filling {
  const data *data;
  float *rows;
  uint32_t count;
} filling;

static void fill(void *context, uint32_t thread, uint32_t part) {
  (void)thread;
  const filling *f = context;
  uint32_t first = part * ROWS_AT_ONCE, end = first + ROWS_AT_ONCE;
  for (uint32_t row = first; row < end && row < f->count; row++)
    data_row(f->data, row, f->rows + (size_t)row * f->data->dim);
}

static void enroll(const faces *f, const data *from, uint32_t rows) {
  filling all = {.data = from, .rows = bench_allocate((size_t)rows * f->dim, sizeof(float)), .count = rows};
  lk_error error;
  lk_pool *pool;
  check(lk_pool_open(0, &pool, &error), &error);
  lk_pool_run(pool, (rows + ROWS_AT_ONCE - 1) / ROWS_AT_ONCE, fill, &all);
  lk_pool_close(pool);
  lk_gallery_options options = {.dim = f->dim, .metric = LK_COSINE, .store = LK_STORE_F32};
  lk_vectors vectors = {.name = "rows", .data = all.rows, .rows = rows, .dim = f->dim, .element = LK_F32};
  check(lk_gallery_create(f->gallery, &options, &error), &error);
  check(lk_gallery_enroll(f->gallery, &vectors, NULL, NULL, NULL, NULL, NULL, &error), &error);
  free(all.rows);
}

static void make_folder(faces *f) {
  static uint32_t folders;
  if (folders == 0) {
    if (mkdtemp(root) == NULL) bench_fail("cannot make a folder in /tmp");
    remove_root_at_end();
  }
  snprintf(f->folder, sizeof f->folder, "%s/%u", root, folders++);
  if (mkdir(f->folder, 0700) != 0) bench_fail("cannot make a folder in /tmp");
}

void faces_make(faces *f, uint32_t rows, uint32_t dim, uint32_t k) {
  *f = (faces){.dim = dim, .k = k};
  make_folder(f);
  snprintf(f->gallery, sizeof f->gallery, "%s/faces", f->folder);
  data from = data_open(&(data_recipe){.kind = DATA_UNIT, .dim = dim, .metric = LK_COSINE, .metric_given = true});
  enroll(f, &from, rows);
  f->probes = bench_allocate((size_t)FACES_PROBES * dim, sizeof *f->probes);
  for (uint32_t p = 0; p < FACES_PROBES; p++) data_probe(&from, p, rows, f->probes + (size_t)p * dim);
  data_close(&from);
}

void faces_free(faces *f) { free(f->probes); }

static double cpu_seconds(void) {
  struct rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
         (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1e-6;
}

static void search_once(const faces *f, lk_gallery *gallery, lk_result *result, uint32_t first, uint32_t batch) {
  lk_error error;
  lk_vectors probes = {
      .name = "probes", .data = f->probes + (size_t)first * f->dim, .rows = batch, .dim = f->dim, .element = LK_F32};
  lk_query query = {.probes = &probes, .probes_count = 1, .k = f->k, .threshold = -INFINITY};
  check(lk_gallery_identify(gallery, &query, result, NULL, &error), &error);
}

faces_cost faces_search(const faces *f, uint32_t threads, uint32_t batch, double seconds) {
  lk_error error;
  lk_device *device;
  lk_gallery *gallery;
  lk_result *result;
  check(lk_device_open("auto", threads, &device, &error), &error);
  check(lk_gallery_open(f->gallery, &gallery, &error), &error);
  check(lk_gallery_load(gallery, device, &error), &error);
  check(lk_result_open(&result, &error), &error);
  search_once(f, gallery, result, 0, batch); /* warm */
  double begin = bench_now(), cpu = cpu_seconds(), now = begin;
  uint64_t probes = 0;
  for (; now < begin + seconds; now = bench_now(), probes += batch)
    search_once(f, gallery, result, (uint32_t)(probes % (FACES_PROBES - batch + 1)), batch);
  faces_cost cost = {.probes_per_s = (double)probes / (now - begin),
                     .cpu_us = (cpu_seconds() - cpu) * 1e6 / (double)probes};
  lk_result_close(result);
  lk_gallery_close(gallery);
  lk_device_close(device);
  return cost;
}
