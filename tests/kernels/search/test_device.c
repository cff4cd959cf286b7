/* What several threads want of a device: searches, changes, blocks that come and go, and its end. */
#include <criterion/criterion.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "kernels/candidate_lists.h"
#include "kernels/cpu/cpu.h"
#include "kernels/search/device.h"
#include "tests/support/corpus.h"

enum { BLOCKS = 3, THREADS = 4, TURNS = 20, MOST = 2000, MANY_ROWS = 100000, PAUSE_US = 1000 };

/* Backends of the CPU whose closing is counted. Any of them can search the blocks of another, so they can be twins. */
static lk_backend_ops ops;
static void (*close_backend)(lk_backend *backend);
static atomic_uint backends_open;

static void close_counted(lk_backend *backend) {
  atomic_fetch_sub(&backends_open, 1);
  close_backend(backend);
}

static lk_backend *open_backend(void) {
  lk_backend *backend;
  cr_assert_eq(lk_cpu_open("cpu:portable", 1, &backend, NULL), LK_OK);
  atomic_fetch_add(&backends_open, 1);
  return backend;
}

static lk_status open_twin(lk_backend *backend, lk_backend **twin, lk_error *error) {
  (void)error;
  *twin = open_backend();
  (*twin)->ops = backend->ops;
  return LK_OK;
}

static lk_device *open_device(bool with_twin) {
  lk_device *device;
  lk_backend *backend = open_backend();
  ops = *backend->ops;
  close_backend = ops.close;
  ops.close = close_counted;
  ops.twin = with_twin ? open_twin : NULL;
  backend->ops = &ops;
  cr_assert_eq(lk_device_make(&backend, 1, &device, NULL), LK_OK);
  cr_assert_eq(lk_device_searches(device), with_twin ? 2 : 1);
  return device;
}

/* A device with blocks that threads search or change, each as fast as it can, until `over`, until a search fails, or
 * until they have done MOST together. */
struct world {
  lk_device *device;
  corpus data;
  lk_resident_block *blocks[BLOCKS];
  lk_batch batch;
  pthread_t threads[THREADS];
  atomic_bool over, closed;
  atomic_uint done;
};

static struct world *world_make(bool with_twin, uint32_t rows) {
  struct world *w = calloc(1, sizeof *w);
  w->device = open_device(with_twin);
  w->data = corpus_make(&(corpus_recipe){.metric = LK_L2,
                                         .kind = CORPUS_NORMAL,
                                         .dim = 16,
                                         .rows = rows,
                                         .blocks = BLOCKS,
                                         .probes = 8,
                                         .carries = CORPUS_TAGS,
                                         .seed = 5});
  memset(w->data.tags, 0, rows * sizeof *w->data.tags);
  for (uint32_t b = 0; b < BLOCKS; b++)
    cr_assert_eq(lk_device_load_block(w->device, w->data.shape, &w->data.blocks[b], &w->blocks[b], NULL), LK_OK);
  w->batch = (lk_batch){.shape = w->data.shape,
                        .blocks = w->blocks,
                        .blocks_count = BLOCKS,
                        .probes = w->data.probes,
                        .count = 8,
                        .k = 3,
                        .filter = {.mask = 1}};
  return w;
}

static void world_unload(struct world *w) {
  for (uint32_t b = 0; b < BLOCKS; b++) lk_device_unload_block(w->device, w->blocks[b]);
  w->batch.blocks_count = 0;
}

static void world_free(struct world *w) {
  cr_assert_eq(atomic_load(&backends_open), 0, "a device was not freed");
  corpus_free(&w->data);
  free(w);
}

/* The first row of each block is tagged, or of none: so a search sees all rows, or all but these. */
static void *search_main(void *argument) {
  struct world *w = argument;
  lk_candidate_lists lists = {0};
  lk_error error = {0};
  lk_status status = LK_OK;
  while (!atomic_load(&w->over) && atomic_load(&w->done) < MOST) {
    status = lk_search(w->device, &w->batch, &lists, NULL, &error);
    if (status != LK_OK) break;
    cr_assert(lists.visible == w->data.rows || lists.visible == w->data.rows - BLOCKS, "a search saw %llu of %u rows",
              (unsigned long long)lists.visible, w->data.rows);
    atomic_fetch_add(&w->done, 1);
  }
  cr_assert(status == LK_OK || strcmp(error.text, "the device is closed") == 0, "%s", error.text);
  lk_candidate_lists_free(&lists);
  return (void *)(intptr_t)status;
}

/* Returns how much they have done when all are under way. */
static uint32_t start(struct world *w, void *(*task)(void *world)) {
  for (int i = 0; i < THREADS; i++) cr_assert_eq(pthread_create(&w->threads[i], NULL, task, w), 0);
  while (atomic_load(&w->done) < 4 * THREADS) lk_clock_sleep_us(100);
  return atomic_load(&w->done);
}

/* Every thread must have ended like this. */
static void join(struct world *w, lk_status wanted) {
  void *status;
  for (int i = 0; i < THREADS; i++) {
    pthread_join(w->threads[i], &status);
    cr_assert_eq((lk_status)(intptr_t)status, wanted);
  }
}

/* Tags the first row of each block in place, so slowly that a search which does not wait sees some of them. */
static void change(struct world *w, uint64_t tags) {
  cr_assert_eq(lk_device_begin_changes(w->device, NULL), LK_OK);
  for (uint32_t b = 0, row = 0; b < BLOCKS; row += w->data.blocks[b++].rows) {
    lk_clock_sleep_us(PAUSE_US);
    w->data.tags[row] = tags;
    cr_assert_eq(lk_device_update_block(w->device, w->blocks[b], &w->data.blocks[b].visibility, 0, 1, NULL), LK_OK);
  }
  lk_device_end_changes(w->device);
}

static void change_twice(struct world *w) {
  change(w, 1);
  change(w, 0);
}

static void *change_main(void *argument) {
  struct world *w = argument;
  while (!atomic_load(&w->over) && atomic_load(&w->done) < MOST) {
    change(w, atomic_load(&w->done) % 2);
    atomic_fetch_add(&w->done, 1);
  }
  return NULL;
}

static void load_and_unload(struct world *w) {
  lk_resident_block *block;
  cr_assert_eq(lk_device_load_block(w->device, w->data.shape, w->data.blocks, &block, NULL), LK_OK);
  lk_device_unload_block(w->device, block);
}

static void search_once(struct world *w) {
  lk_candidate_lists lists = {0};
  cr_assert_eq(lk_search(w->device, &w->batch, &lists, NULL, NULL), LK_OK);
  lk_candidate_lists_free(&lists);
}

/* Has its turn among threads that do something without a pause. A turn waits twice at most, for what each of them was
 * doing, and each may have ended one more that is not counted yet. What they do takes milliseconds: so it matters
 * little that the system may stop this thread before it waits. Threads that give it no turn end at MOST. */
static void check_turns(bool with_twin, void *(*task)(void *world), void (*turn)(struct world *w)) {
  struct world *w = world_make(with_twin, MANY_ROWS);
  uint32_t late = 0, before = start(w, task);
  for (uint32_t i = 0; i < TURNS; i++) {
    uint32_t done = atomic_load(&w->done);
    turn(w);
    late += atomic_load(&w->done) - done > 4 * THREADS;
  }
  uint32_t done = atomic_load(&w->done);
  atomic_store(&w->over, true);
  join(w, LK_OK);
  cr_assert(late <= TURNS / 2 && done < MOST, "%u of %u turns waited too long, for %u others", late, TURNS,
            done - before);
  world_unload(w);
  lk_device_close(w->device);
  world_free(w);
}

Test(device, changes_have_their_turn) { check_turns(false, search_main, change_twice); }
Test(device, changes_have_their_turn_among_twins) { check_turns(true, search_main, change_twice); }
Test(device, blocks_have_their_turn) { check_turns(false, search_main, load_and_unload); }
Test(device, blocks_have_their_turn_among_twins) { check_turns(true, search_main, load_and_unload); }
Test(device, searches_have_their_turn) { check_turns(false, change_main, search_once); }
Test(device, searches_have_their_turn_among_twins) { check_turns(true, change_main, search_once); }

/* A search that leaves the line lets the others go on. */
Test(device, a_cancelled_search_leaves_the_line) {
  struct world *w = world_make(false, 3000);
  lk_candidate_lists lists = {0};
  lk_search_control control = {0};
  lk_batch batch = w->batch;
  batch.control = &control;
  lk_search_cancel(&control);
  start(w, search_main);
  for (int i = 0; i < 100; i++) cr_assert_eq(lk_search(w->device, &batch, &lists, NULL, NULL), LK_ECANCELLED);
  uint32_t before = atomic_load(&w->done);
  while (atomic_load(&w->done) < before + 100) lk_clock_sleep_us(100);
  atomic_store(&w->over, true);
  join(w, LK_OK);
  lk_candidate_lists_free(&lists);
  world_unload(w);
  lk_device_close(w->device);
  world_free(w);
}

static void expect_closed(struct world *w) {
  lk_candidate_lists lists = {0};
  lk_resident_block *block;
  lk_error errors[4];
  cr_assert_eq(lk_search(w->device, &w->batch, &lists, NULL, &errors[0]), LK_EINVAL);
  cr_assert_eq(lk_device_load_block(w->device, w->data.shape, w->data.blocks, &block, &errors[1]), LK_EINVAL);
  cr_assert_eq(lk_device_begin_changes(w->device, &errors[2]), LK_EINVAL);
  cr_assert_eq(lk_device_hold(w->device, &errors[3]), LK_EINVAL);
  for (int i = 0; i < 4; i++) cr_assert_str_eq(errors[i].text, "the device is closed");
  lk_candidate_lists_free(&lists);
}

/* Threads search while it is closed. It then lives on for its blocks, and until the last holder lets it go. */
static void check_closing(bool with_twin) {
  struct world *w = world_make(with_twin, 3000);
  for (int i = 0; i < 2; i++) cr_assert_eq(lk_device_hold(w->device, NULL), LK_OK);
  start(w, search_main);
  lk_device_close(w->device);
  expect_closed(w);
  join(w, LK_EINVAL);
  lk_device_release(w->device);
  cr_assert_eq(atomic_load(&backends_open), with_twin ? 2 : 1);
  world_unload(w);
  expect_closed(w);
  lk_device_release(w->device);
  world_free(w);
}

Test(device, closed_while_threads_search) { check_closing(false); }
Test(device, closed_while_twins_search) { check_closing(true); }

static void *close_main(void *argument) {
  struct world *w = argument;
  lk_device_close(w->device);
  atomic_store(&w->closed, true);
  return NULL;
}

/* No device is closed under a change. */
Test(device, closing_waits_for_changes) {
  pthread_t closer;
  struct world *w = world_make(true, 300);
  cr_assert_eq(lk_device_hold(w->device, NULL), LK_OK);
  cr_assert_eq(lk_device_begin_changes(w->device, NULL), LK_OK);
  cr_assert_eq(pthread_create(&closer, NULL, close_main, w), 0);
  lk_clock_sleep_us(30000);
  cr_assert_not(atomic_load(&w->closed));
  cr_assert_eq(lk_device_update_block(w->device, w->blocks[0], &w->data.blocks[0].visibility, 0, 1, NULL), LK_OK);
  lk_device_end_changes(w->device);
  pthread_join(closer, NULL);
  expect_closed(w);
  world_unload(w);
  lk_device_release(w->device);
  world_free(w);
}
