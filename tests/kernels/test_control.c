/* A search that is watched and ended by its control. */
#include <criterion/criterion.h>
#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

#include "kernels/candidate_lists.h"
#include "kernels/reference.h"
#include "tests/support/cancel.h"
#include "tests/support/corpus.h"

static void check(const char *name) {
  lk_device *device;
  if (lk_device_open(name, 2, &device, NULL) != LK_OK) return;
  cancel_check(device, (cancel_sizes){.rows = 8000, .dim = 128, .probes = 256, .is_cpu = true});
  lk_device_close(device);
}

Test(control, portable) { check("cpu:portable"); }
Test(control, avx2) { check("cpu:avx2"); }
Test(control, avx512vnni) { check("cpu:avx512vnni"); }
Test(control, amx) { check("cpu:amx"); }
Test(control, sharded) { check("cpu,cpu"); }

Test(control, reference) {
  corpus data = corpus_make(
      &(corpus_recipe){.metric = LK_L2, .kind = CORPUS_NORMAL, .dim = 8, .rows = 600, .blocks = 1, .probes = 5});
  lk_search_control control = {0};
  lk_candidate_lists lists = {0};
  lk_batch batch = {.shape = data.shape, .probes = data.probes, .count = 5, .k = 3, .control = &control};
  cr_assert_eq(lk_reference_search(data.blocks, 1, &batch, &lists, NULL), LK_OK);
  cr_assert(lists.count == 5 && lk_search_progress(&control) >= 5);
  lk_search_cancel(&control);
  cr_assert_eq(lk_reference_search(data.blocks, 1, &batch, &lists, NULL), LK_ECANCELLED);
  cr_assert_eq(lists.count, 0);
  lk_candidate_lists_free(&lists);
  corpus_free(&data);
}

/* A search in a thread of its own. */
struct searching {
  lk_device *device;
  lk_batch batch;
  lk_search_control control;
  lk_status status;
  atomic_bool over;
};

static void *search_main(void *argument) {
  struct searching *s = argument;
  lk_candidate_lists lists = {0};
  s->batch.control = &s->control;
  s->status = lk_search(s->device, &s->batch, &lists, NULL, NULL);
  atomic_store(&s->over, true);
  lk_candidate_lists_free(&lists);
  return NULL;
}

static void sleep_ms(long ms) { nanosleep(&(struct timespec){.tv_nsec = ms * 1000000}, NULL); }

/* The device is busy with one search; another one waits for it, and need not wait on once it is cancelled. */
Test(control, a_search_that_waits_for_the_device) {
  pthread_t threads[2];
  lk_resident_block *block;
  struct searching first = {.status = LK_OK}, second = {.status = LK_OK};
  corpus data = corpus_make(
      &(corpus_recipe){.metric = LK_IP, .kind = CORPUS_NORMAL, .dim = 256, .rows = 30000, .blocks = 1, .probes = 2000});
  cr_assert_eq(lk_device_open("cpu:portable", 1, &first.device, NULL), LK_OK);
  cr_assert_eq(lk_device_load_block(first.device, data.shape, data.blocks, &block, NULL), LK_OK);
  first.batch = (lk_batch){
      .shape = data.shape, .blocks = &block, .blocks_count = 1, .probes = data.probes, .count = 2000, .k = 10};
  second.device = first.device;
  second.batch = first.batch;
  cr_assert_eq(pthread_create(&threads[0], NULL, search_main, &first), 0);
  while (lk_search_progress(&first.control) == 0) sleep_ms(1);
  cr_assert_eq(pthread_create(&threads[1], NULL, search_main, &second), 0);
  sleep_ms(30);
  lk_search_cancel(&second.control);
  pthread_join(threads[1], NULL);
  cr_assert_eq(second.status, LK_ECANCELLED);
  cr_assert_not(atomic_load(&first.over));
  lk_search_cancel(&first.control);
  pthread_join(threads[0], NULL);
  cr_assert_eq(first.status, LK_ECANCELLED);
  lk_device_unload_block(first.device, block);
  lk_device_close(first.device);
  corpus_free(&data);
}
