/* Measures dedupe of a gallery against the searches that it cannot do without: one for each of its templates, k = 10,
 * at batch 1024, of the same gallery in the same process, in turns. The gallery is made in /tmp and removed.
 *
 *   bench_dedupe [--rows 100000] [--dim 512] [--data face] [--repeat 3] [--threads N] [--device cpu] */
#include <ftw.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

#include <likeness/dedupe.h>
#include "base/text.h"
#include "bench/bench.h"
#include "bench/options.h"

enum { BATCH_PROBES = 1024, REPEAT_MOST = 101 };
static const float threshold = 0.4F;

typedef struct duel {
  uint32_t rows, dim;
  float *vectors;
  lk_device *device;
  lk_gallery *gallery;
  lk_result *result;
  uint64_t pairs;
} duel;

static char root[] = "/tmp/likeness-bench-XXXXXX";

static void check(lk_status status, const lk_error *error) {
  if (status != LK_OK) bench_fail(error->text);
}

static int remove_one(const char *path, const struct stat *stat, int type, struct FTW *at) {
  (void)stat, (void)type, (void)at;
  return remove(path);
}

static void remove_root(void) { nftw(root, remove_one, 8, FTW_DEPTH | FTW_PHYS); }

/* DATA_SUBJECT_ROWS templates a subject. */
static void make_gallery(duel *d, const data *from, const char *folder) {
  lk_error error;
  lk_label *labels = bench_allocate(d->rows, sizeof *labels);
  char(*names)[16] = bench_allocate(d->rows, sizeof *names);
  for (uint32_t r = 0; r < d->rows; r++) {
    data_row(from, r, d->vectors + (size_t)r * d->dim);
    snprintf(names[r], sizeof names[r], "s%u", r / DATA_SUBJECT_ROWS);
    labels[r].subject = lk_text_of(names[r]);
  }
  lk_gallery_options made = {.dim = d->dim, .metric = from->metric};
  lk_vectors vectors = {.name = "rows", .data = d->vectors, .rows = d->rows, .dim = d->dim};
  check(lk_gallery_create(folder, &made, &error), &error);
  check(lk_gallery_enroll(folder, &vectors, labels, NULL, NULL, NULL, NULL, &error), &error);
  free(names);
  free(labels);
}

/* Seconds by the clock, and of the processors, which others' work lengthens less. */
typedef struct cost {
  double elapsed, processors;
} cost;

static cost cost_now(void) {
  struct rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  return (cost){.elapsed = bench_now(),
                .processors = (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
                              (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1e-6};
}

static cost cost_since(cost begin) {
  cost now = cost_now();
  return (cost){.elapsed = now.elapsed - begin.elapsed, .processors = now.processors - begin.processors};
}

static cost run_searches(duel *d) {
  lk_error error;
  cost begin = cost_now();
  for (uint32_t first = 0; first < d->rows; first += BATCH_PROBES) {
    uint32_t left = d->rows - first;
    lk_vectors probes = {.name = "probes",
                         .data = d->vectors + (size_t)first * d->dim,
                         .rows = left < BATCH_PROBES ? left : BATCH_PROBES,
                         .dim = d->dim};
    lk_query query = {.probes = &probes, .probes_count = 1, .k = 10, .threshold = -INFINITY};
    check(lk_gallery_identify(d->gallery, &query, d->result, NULL, &error), &error);
  }
  return cost_since(begin);
}

static lk_status count_pair(void *context, const lk_pair *pair, lk_error *error) {
  (void)pair, (void)error;
  ((duel *)context)->pairs++;
  return LK_OK;
}

static cost run_dedupe(duel *d) {
  lk_error error;
  lk_dedupe wanted = {.threshold = threshold, .found = count_pair, .context = d};
  cost begin = cost_now();
  d->pairs = 0;
  check(lk_gallery_dedupe(d->gallery, &wanted, d->result, &error), &error);
  return cost_since(begin);
}

static void measure(duel *d, uint32_t turns) {
  double elapsed[REPEAT_MOST], processors[REPEAT_MOST];
  if (turns > REPEAT_MOST) turns = REPEAT_MOST;
  for (uint32_t turn = 0; turn < turns; turn++) {
    cost searches = {0}, dedupe;
    if (turn % 2 == 0) searches = run_searches(d);
    dedupe = run_dedupe(d);
    if (turn % 2 != 0) searches = run_searches(d);
    elapsed[turn] = dedupe.elapsed / searches.elapsed;
    processors[turn] = dedupe.processors / searches.processors;
    printf("turn %u: %u searches %.2f s (processors %.2f s), dedupe %.2f s (%.2f s): ratio %.3f (%.3f)\n", turn + 1,
           (d->rows + BATCH_PROBES - 1) / BATCH_PROBES, searches.elapsed, searches.processors, dedupe.elapsed,
           dedupe.processors, elapsed[turn], processors[turn]);
    fflush(stdout);
  }
  struct rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  printf("%s, %u x %u, threshold %g: %" PRIu64 " pairs; median ratio %.3f (%.3f); most memory %ld MiB\n",
         lk_device_name(d->device), d->rows, d->dim, (double)threshold, d->pairs, bench_quantile(elapsed, turns, 0.5),
         bench_quantile(processors, turns, 0.5), usage.ru_maxrss / 1024);
}

int main(int argc, char **argv) {
  options o = {.data = {.kind = DATA_FACE, .dim = 512}, .rows = 100000, .repeat = 3, .devices = {"cpu"}};
  char folder[sizeof root + 8];
  lk_error error;
  options_parse(&o, argc, argv);
  data from = data_open(&o.data);
  duel d = {.rows = o.rows, .dim = from.dim, .vectors = bench_allocate((size_t)o.rows * from.dim, sizeof(float))};
  if (mkdtemp(root) == NULL) bench_fail("cannot make a folder in /tmp");
  atexit(remove_root);
  snprintf(folder, sizeof folder, "%s/faces", root);
  make_gallery(&d, &from, folder);
  check(lk_device_open(o.devices[0], o.threads, &d.device, &error), &error);
  check(lk_gallery_open(folder, &d.gallery, &error), &error);
  check(lk_gallery_load(d.gallery, d.device, &error), &error);
  check(lk_result_open(&d.result, &error), &error);
  measure(&d, o.repeat);
  lk_result_close(d.result);
  lk_gallery_close(d.gallery);
  lk_device_close(d.device);
  data_close(&from);
  free(d.vectors);
  return 0;
}
