/* What it costs to change a gallery while it is searched, each figure beside the one that it is held against. The
 * gallery is made in /tmp, or in TMPDIR, and removed.
 *
 *   bench_live [--rows 1000000] [--dim 512] [--data face] [--repeat 5] [--batch 64] [--threads N] [--device cpu] */
#include <ftw.h>
#include <malloc.h>
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <likeness/owner.h>
#include "base/text.h"
#include "bench/bench.h"
#include "bench/options.h"

/* 5,000 templates a second, half of them enrolled and half deleted, in so many groups. */
enum { CHANGES_A_SECOND = 5000, GROUPS_A_SECOND = 100, GROUP_ROWS = CHANGES_A_SECOND / 2 / GROUPS_A_SECOND };
enum { CLIENTS = 128 }; /* each waits for one change at a time */
enum { PIECE_SECONDS = 4, JOURNAL_RECORDS = 100000, SINGLES = 1000000, SINGLE_THREADS = 8, REPEAT_MOST = 101 };

typedef struct bench {
  const options *options;
  data data;
  lk_device *device;
  lk_owner *owner;
  lk_result *result;
  float *probes;
  uint32_t batch;
  atomic_bool stop;
} bench;

/* Enrolls and deletes templates of its own. */
typedef struct client {
  bench *b;
  uint32_t number;
  uint64_t enrolled, deleted;
  float *fresh; /* GROUP_ROWS x dim */
} client;

static char root[4096];

static void check(lk_status status, const lk_error *error) {
  if (status != LK_OK) bench_fail(error->text);
}

static int remove_one(const char *path, const struct stat *stat, int type, struct FTW *at) {
  (void)stat, (void)type, (void)at;
  return remove(path);
}

static void remove_root(void) { nftw(root, remove_one, 8, FTW_DEPTH | FTW_PHYS); }

static const char *folder_of(const char *name) {
  static char folder[8192];
  snprintf(folder, sizeof folder, "%s/%s", root, name);
  return folder;
}

static const char *make_gallery(const bench *b, const char *name) {
  lk_error error;
  const char *folder = folder_of(name);
  lk_gallery_options made = {.dim = b->data.dim, .metric = b->data.metric};
  check(lk_gallery_create(folder, &made, &error), &error);
  return folder;
}

static void enroll_whole(const bench *b, const char *folder, uint32_t rows) {
  lk_error error;
  float *vectors = bench_allocate((size_t)rows * b->data.dim, sizeof *vectors);
  for (uint32_t r = 0; r < rows; r++) data_row(&b->data, r, vectors + (size_t)r * b->data.dim);
  lk_vectors all = {.name = "rows", .data = vectors, .rows = rows, .dim = b->data.dim};
  check(lk_gallery_enroll(folder, &all, NULL, NULL, NULL, NULL, NULL, &error), &error);
  free(vectors);
}

static void open_owner(bench *b, const char *folder) {
  lk_error error;
  check(lk_owner_open(folder, &b->owner, &error), &error);
  check(lk_gallery_load(lk_owner_gallery(b->owner), b->device, &error), &error);
}

static void search(void *context) {
  bench *b = context;
  lk_error error;
  lk_vectors probes = {.name = "probes", .data = b->probes, .rows = b->batch, .dim = b->data.dim};
  lk_query query = {.probes = &probes, .probes_count = 1, .k = 10, .threshold = -INFINITY};
  check(lk_gallery_identify(lk_owner_gallery(b->owner), &query, b->result, NULL, &error), &error);
}

/* Searches a second. */
static double search_for(bench *b, double seconds) {
  uint32_t searches = 0;
  double begin = bench_now(), end = begin + seconds;
  for (; bench_now() < end; searches++) search(b);
  return searches / (bench_now() - begin);
}

/* ---- searches while templates come and go ---- */

static void enroll_group(client *c) {
  char keys[GROUP_ROWS][32];
  lk_label labels[GROUP_ROWS];
  lk_error error;
  uint32_t dim = c->b->data.dim;
  for (uint32_t i = 0; i < GROUP_ROWS; i++) {
    data_row(&c->b->data, c->b->options->rows + c->enrolled, c->fresh + (size_t)i * dim);
    snprintf(keys[i], sizeof keys[i], "live-%u-%llu", c->number, (unsigned long long)c->enrolled++);
    labels[i] = (lk_label){.key = lk_text_of(keys[i])};
  }
  lk_vectors vectors = {.name = "fresh", .data = c->fresh, .rows = GROUP_ROWS, .dim = dim};
  lk_enrollment enrollment = {.vectors = &vectors, .labels = labels};
  check(lk_owner_enroll(c->b->owner, &enrollment, NULL, NULL, &error), &error);
}

/* The oldest of those that came so. */
static void delete_group(client *c) {
  char keys[GROUP_ROWS][32];
  lk_change changes[GROUP_ROWS];
  lk_error error;
  for (uint32_t i = 0; i < GROUP_ROWS; i++) {
    snprintf(keys[i], sizeof keys[i], "live-%u-%llu", c->number, (unsigned long long)c->deleted++);
    changes[i] = (lk_change){.kind = LK_CHANGE_DELETE_KEY, .key = lk_text_of(keys[i])};
  }
  check(lk_owner_change(c->b->owner, changes, GROUP_ROWS, NULL, NULL, &error), &error);
}

static void *run_client(void *context) {
  client *c = context;
  double begin = bench_now(), each = (double)CLIENTS / GROUPS_A_SECOND;
  begin += each * c->number / CLIENTS;
  for (uint64_t group = 0; !atomic_load(&c->b->stop); group++) {
    double ahead = begin + each * (double)group - bench_now();
    if (ahead > 0) usleep((useconds_t)(ahead * 1e6));
    enroll_group(c);
    if (c->enrolled - c->deleted > 4 * GROUP_ROWS) delete_group(c);
  }
  return NULL;
}

static uint64_t count_changes(const client *clients) {
  uint64_t changes = 0;
  for (uint32_t i = 0; i < CLIENTS; i++) changes += clients[i].enrolled + clients[i].deleted;
  return changes;
}

/* Searches a second while the clients are at work; *rate: their changes a second. */
static double search_live(bench *b, client *clients, double *rate) {
  pthread_t threads[CLIENTS];
  uint64_t before = count_changes(clients);
  atomic_store(&b->stop, false);
  double begin = bench_now();
  for (uint32_t i = 0; i < CLIENTS; i++)
    if (pthread_create(&threads[i], NULL, run_client, &clients[i]) != 0) bench_fail("cannot start a thread");
  double searches = search_for(b, PIECE_SECONDS);
  atomic_store(&b->stop, true);
  for (uint32_t i = 0; i < CLIENTS; i++) pthread_join(threads[i], NULL);
  *rate = (double)(count_changes(clients) - before) / (bench_now() - begin);
  return searches;
}

static void measure_live(bench *b, client *clients) {
  double ratios[REPEAT_MOST], rates[REPEAT_MOST], quiet = 0;
  uint32_t repeat = b->options->repeat;
  for (uint32_t i = 0; i < repeat; i++) {
    quiet = search_for(b, PIECE_SECONDS);
    ratios[i] = search_live(b, clients, &rates[i]) / quiet;
  }
  printf("%-58s %8.3f\n", "throughput while templates come and go, of the quiet one",
         bench_quantile(ratios, repeat, 0.5));
  printf("%-58s %8.0f\n", "  templates enrolled and deleted a second", bench_quantile(rates, repeat, 0.5));
  printf("%-58s %8.1f\n", "  probes a second in the quiet gallery", quiet * b->batch);
}

/* ---- opening with a journal ---- */

static void measure_open(bench *b, client *clients, const char *folder) {
  lk_error error;
  while (count_changes(clients) < JOURNAL_RECORDS) {
    enroll_group(&clients[0]);
    delete_group(&clients[0]);
  }
  lk_owner_close(b->owner);
  struct mallinfo2 before = mallinfo2();
  double begin = bench_now();
  check(lk_owner_open(folder, &b->owner, &error), &error);
  double opened = bench_now();
  check(lk_gallery_load(lk_owner_gallery(b->owner), b->device, &error), &error);
  double loaded = bench_now();
  struct mallinfo2 after = mallinfo2();
  lk_gallery_stat stat;
  lk_gallery_stat_get(lk_owner_gallery(b->owner), &stat);
  double heap = (double)(after.uordblks + after.hblkhd) - (double)(before.uordblks + before.hblkhd);
  printf("%-58s %8.2f\n", "seconds to open it, with the journal", opened - begin);
  printf("%-58s %8.2f\n", "  to load it on the device", loaded - opened);
  printf("%-58s %8.1f\n", "bytes a template beside codes and mapped rows",
         heap / (double)stat.positions - (double)b->data.dim);
}

/* ---- single enrollments ---- */

typedef struct single {
  bench *b;
  uint32_t from, to;
} single;

static void *enroll_singles(void *context) {
  const single *s = context;
  lk_error error;
  float *vector = bench_allocate(s->b->data.dim, sizeof *vector);
  for (uint32_t r = s->from; r < s->to; r++) {
    data_row(&s->b->data, r, vector);
    lk_vectors one = {.name = "row", .data = vector, .rows = 1, .dim = s->b->data.dim};
    lk_enrollment enrollment = {.vectors = &one};
    check(lk_owner_enroll(s->b->owner, &enrollment, NULL, NULL, &error), &error);
  }
  free(vector);
  return NULL;
}

static void measure_singles(bench *b) {
  uint32_t rows = SINGLES < b->options->rows ? SINGLES : b->options->rows;
  pthread_t threads[SINGLE_THREADS];
  single parts[SINGLE_THREADS];
  const char *folder = make_gallery(b, "whole");
  enroll_whole(b, folder, rows);
  open_owner(b, folder);
  double whole = bench_median_time(search, b);
  lk_owner_close(b->owner);
  open_owner(b, make_gallery(b, "singles"));
  double begin = bench_now();
  for (uint32_t i = 0; i < SINGLE_THREADS; i++) {
    parts[i] = (single){.b = b,
                        .from = (uint32_t)((uint64_t)rows * i / SINGLE_THREADS),
                        .to = (uint32_t)((uint64_t)rows * (i + 1) / SINGLE_THREADS)};
    if (pthread_create(&threads[i], NULL, enroll_singles, &parts[i]) != 0) bench_fail("cannot start a thread");
  }
  for (uint32_t i = 0; i < SINGLE_THREADS; i++) pthread_join(threads[i], NULL);
  double taken = bench_now() - begin;
  double singly = bench_median_time(search, b);
  printf("%-58s %8.3f\n", "a search after single enrollments, of one after a whole", singly / whole);
  printf("%-58s %8.0f\n", "  single enrollments a second, from 8 threads", rows / taken);
  lk_owner_close(b->owner);
}

static options read_options(int argc, char **argv) {
  options o = {.data = {.kind = DATA_FACE, .dim = 512},
               .rows = 1000000,
               .repeat = 5,
               .batches = {64},
               .batches_count = 1,
               .ks = {10},
               .ks_count = 1,
               .devices = {"cpu"},
               .devices_count = 1};
  options_parse(&o, argc, argv);
  if (o.repeat > REPEAT_MOST) o.repeat = REPEAT_MOST;
  return o;
}

int main(int argc, char **argv) {
  options o = read_options(argc, argv);
  lk_error error;
  bench b = {.options = &o, .data = data_open(&o.data), .batch = o.batches[0]};
  const char *temporary = getenv("TMPDIR");
  snprintf(root, sizeof root, "%s/likeness-bench-XXXXXX", temporary != NULL ? temporary : "/tmp");
  if (mkdtemp(root) == NULL) bench_fail("cannot make a folder");
  atexit(remove_root);
  check(lk_device_open(o.devices[0], o.threads, &b.device, &error), &error);
  check(lk_result_open(&b.result, &error), &error);
  client *clients = bench_allocate(CLIENTS, sizeof *clients);
  for (uint32_t i = 0; i < CLIENTS; i++)
    clients[i] = (client){
        .b = &b, .number = i, .fresh = bench_allocate((size_t)GROUP_ROWS * b.data.dim, sizeof *clients[i].fresh)};
  b.probes = bench_allocate((size_t)b.batch * b.data.dim, sizeof *b.probes);
  for (uint32_t p = 0; p < b.batch; p++) data_probe(&b.data, p, o.rows, b.probes + (size_t)p * b.data.dim);
  printf("%u x %u, batch %u, %s\n", o.rows, b.data.dim, b.batch, lk_device_name(b.device));
  measure_singles(&b);
  const char *folder = make_gallery(&b, "faces");
  enroll_whole(&b, folder, o.rows);
  open_owner(&b, folder);
  measure_live(&b, clients);
  measure_open(&b, clients, folder_of("faces"));
  lk_owner_close(b.owner);
  lk_result_close(b.result);
  lk_device_close(b.device);
  data_close(&b.data);
  for (uint32_t i = 0; i < CLIENTS; i++) free(clients[i].fresh);
  free(clients);
  free(b.probes);
  return 0;
}
