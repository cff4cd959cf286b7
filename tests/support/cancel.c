#include "tests/support/cancel.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "kernels/candidate_lists.h"
#include "tests/support/corpus.h"

enum { BLOCKS = 4, TRIES = 20, PIECE_BITS = 25 }; /* a thread looks at the control every 2^25 products */

typedef enum search_mode { BEST, BY_SUBJECT, FLOAT, RANGE, EXACT, MODES } search_mode;

static const char *const names[] = {"best k", "by subject", "float scan", "range", "exact scan"};

struct watched {
  search_mode mode;
  cancel_sizes sizes;
  lk_device *device;
  corpus data;
  lk_batch batch;
  lk_resident_block *blocks[BLOCKS];
  uint64_t *allowed[BLOCKS];
  float *thresholds;
  lk_candidate_lists want;
  uint64_t visible;
  double full_ms; /* what the whole search takes, of all threads */
  uint64_t full_progress;
  lk_search_control control;
  uint64_t cancel_at; /* this progress */
  double cancelled_ms;
};

static double cpu_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

/* Half of the rows, and as many candidates: that is an exact scan. */
static void allow_half(struct watched *w) {
  for (uint32_t b = 0; b < BLOCKS; b++) {
    w->allowed[b] = malloc((w->data.blocks[b].rows / 64 + 1) * sizeof **w->allowed);
    memset(w->allowed[b], 0x55, (w->data.blocks[b].rows / 64 + 1) * sizeof **w->allowed);
  }
  w->batch.filter.allowed = (const uint64_t *const *)w->allowed;
  w->batch.k = w->sizes.rows / 2 + BLOCKS;
}

static void find_range(struct watched *w) {
  w->thresholds = malloc(w->sizes.probes * sizeof *w->thresholds);
  for (uint32_t p = 0; p < w->sizes.probes; p++)
    w->thresholds[p] = lk_score(w->data.shape.metric, w->data.probes + (size_t)p * w->sizes.dim,
                                w->data.exact + (size_t)p * w->sizes.dim, w->sizes.dim);
  w->batch.thresholds = w->thresholds;
  w->batch.k = LK_K_ALL;
}

static struct watched *watched_make(lk_device *device, cancel_sizes sizes, search_mode mode) {
  struct watched *w = calloc(1, sizeof *w);
  *w = (struct watched){.mode = mode, .sizes = sizes, .device = device};
  w->data = corpus_make(&(corpus_recipe){.metric = LK_COSINE,
                                         .kind = mode == FLOAT ? CORPUS_CLUSTERED : CORPUS_NORMAL,
                                         .dim = sizes.dim,
                                         .rows = sizes.rows,
                                         .blocks = BLOCKS,
                                         .probes = sizes.probes,
                                         .subject_rows = 3,
                                         .seed = 11});
  w->batch = (lk_batch){.shape = w->data.shape,
                        .blocks = w->blocks,
                        .blocks_count = BLOCKS,
                        .probes = w->data.probes,
                        .count = sizes.probes,
                        .k = 40,
                        .by_subject = mode == BY_SUBJECT};
  if (mode == EXACT) allow_half(w);
  if (mode == RANGE) find_range(w);
  for (uint32_t b = 0; b < BLOCKS; b++)
    cr_assert_eq(lk_device_load_block(device, w->data.shape, &w->data.blocks[b], &w->blocks[b], NULL), LK_OK);
  return w;
}

static void watched_free(struct watched *w) {
  for (uint32_t b = 0; b < BLOCKS; b++) {
    lk_device_unload_block(w->device, w->blocks[b]);
    free(w->allowed[b]);
  }
  free(w->thresholds);
  lk_candidate_lists_free(&w->want);
  corpus_free(&w->data);
  free(w);
}

/* The whole search under a control: how far its progress rises, and how long it takes. */
static void search_all(struct watched *w) {
  lk_search_stats stats = {0};
  double begin_ms = cpu_ms();
  w->control = (lk_search_control){0};
  w->batch.control = &w->control;
  cr_assert_eq(lk_search(w->device, &w->batch, &w->want, &stats, NULL), LK_OK);
  w->full_ms = cpu_ms() - begin_ms;
  w->full_progress = lk_search_progress(&w->control);
  cr_assert(w->mode != FLOAT || !w->sizes.is_cpu || stats.float_rounds > 0);
  cr_assert(w->mode != EXACT || stats.rounds == 0);
  uint64_t products = w->want.visible * w->sizes.dim * w->sizes.probes;
  if (w->mode == EXACT) products *= 2; /* it scores all rows, and holds all candidates against their codes */
  uint64_t pieces = (products * 3 / 4 >> PIECE_BITS) + stats.rounds;
  cr_assert_geq(w->full_progress, w->sizes.is_cpu ? pieces : 2, "%s, %s: %llu of %llu", lk_device_name(w->device),
                names[w->mode], (unsigned long long)w->full_progress, (unsigned long long)pieces);
}

static void expect_cancelled(const struct watched *w, lk_status status, const lk_candidate_lists *lists) {
  cr_assert_eq(status, LK_ECANCELLED, "%s, %s: %s", lk_device_name(w->device), names[w->mode], lk_status_name(status));
  cr_assert(lists->count == 0 && lists->visible == 0);
}

static void expect_same(const struct watched *w) {
  lk_batch batch = w->batch;
  lk_candidate_lists lists = {0};
  batch.control = NULL;
  cr_assert_eq(lk_search(w->device, &batch, &lists, NULL, NULL), LK_OK);
  cr_assert(lists.count == w->want.count && lists.visible == w->want.visible);
  cr_assert_eq(memcmp(lists.ends, w->want.ends, lists.count * sizeof *lists.ends), 0);
  for (uint64_t i = 0; i < lists.ends[lists.count - 1]; i++)
    cr_assert(memcmp(&lists.hits[i].score, &w->want.hits[i].score, sizeof(float)) == 0 &&
                  lists.hits[i].row == w->want.hits[i].row,
              "%s, %s: after a search that was cancelled, hit %llu", lk_device_name(w->device), names[w->mode],
              (unsigned long long)i);
  lk_candidate_lists_free(&lists);
}

static void check_before_the_start(struct watched *w) {
  lk_candidate_lists lists = {0};
  lk_error error = {0};
  w->control = (lk_search_control){0};
  lk_search_cancel(&w->control);
  expect_cancelled(w, lk_search(w->device, &w->batch, &lists, NULL, &error), &lists);
  cr_assert_str_eq(error.text, "the search was cancelled");
  cr_assert_eq(lk_search_progress(&w->control), 0);
  lk_candidate_lists_free(&lists);
}

static void *cancel_main(void *argument) {
  struct watched *w = argument;
  while (lk_search_progress(&w->control) < w->cancel_at) sched_yield();
  w->cancelled_ms = cpu_ms();
  lk_search_cancel(&w->control);
  return NULL;
}

/* Cancels a search at this progress. Returns how long it went on, of all threads; -1: it ended before. */
static double cancel_in_the_middle(struct watched *w) {
  pthread_t thread;
  lk_candidate_lists lists = {0};
  w->control = (lk_search_control){0};
  cr_assert_eq(pthread_create(&thread, NULL, cancel_main, w), 0);
  lk_status status = lk_search(w->device, &w->batch, &lists, NULL, NULL);
  double end_ms = cpu_ms();
  pthread_join(thread, NULL);
  if (status != LK_OK) expect_cancelled(w, status, &lists);
  lk_candidate_lists_free(&lists);
  return status == LK_OK ? -1 : end_ms - w->cancelled_ms;
}

/* Where a search ignored it, seven eighths of its time would be left. A search that is over sooner than a thread wakes
 * up may end before it is cancelled, so a few are tried. */
static void check_in_the_middle(struct watched *w) {
  static const double soon_ms = 100;
  double late_ms = -1;
  w->cancel_at = w->full_progress / 8 > 0 ? w->full_progress / 8 : 1;
  for (int i = 0; i < TRIES && (late_ms < 0 || (late_ms > soon_ms && late_ms > w->full_ms / 2)); i++)
    late_ms = cancel_in_the_middle(w);
  cr_assert_geq(late_ms, 0, "%s, %s: no search was cancelled", lk_device_name(w->device), names[w->mode]);
  cr_assert(!w->sizes.is_cpu || late_ms <= soon_ms || late_ms <= w->full_ms / 2,
            "%s, %s: went on for %.0f ms of %.0f ms", lk_device_name(w->device), names[w->mode], late_ms, w->full_ms);
}

void cancel_check(lk_device *device, cancel_sizes sizes) {
  for (search_mode m = BEST; m < MODES; m++) {
    struct watched *w = watched_make(device, sizes, m);
    search_all(w);
    check_before_the_start(w);
    check_in_the_middle(w);
    expect_same(w);
    watched_free(w);
  }
}
