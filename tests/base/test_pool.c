#include <criterion/criterion.h>
#include <fenv.h>
#include <stdatomic.h>

#include "base/pool.h"

#define ITEMS 5000

struct tally {
  atomic_int times[ITEMS];
  atomic_int wrong;
  uint32_t threads;
};

static void count_item(void *context, uint32_t thread, uint32_t item) {
  struct tally *tally = context;
  if (thread >= tally->threads) atomic_fetch_add(&tally->wrong, 1);
  atomic_fetch_add(&tally->times[item], 1);
}

Test(pool, each_item_once) {
  static struct tally tally;
  for (uint32_t threads = 1; threads <= 5; threads++) {
    lk_pool *pool;
    cr_assert_eq(lk_pool_open(threads, &pool, NULL), LK_OK);
    tally.threads = lk_pool_threads(pool);
    cr_assert_eq(tally.threads, threads);
    for (uint32_t items = 0; items <= ITEMS; items += 1 + items / 2) {
      for (uint32_t i = 0; i < ITEMS; i++) tally.times[i] = 0;
      lk_pool_run(pool, items, count_item, &tally);
      for (uint32_t i = 0; i < ITEMS; i++) cr_assert_eq(tally.times[i], i < items);
    }
    cr_assert_eq(tally.wrong, 0);
    lk_pool_close(pool);
  }
}

Test(pool, no_pool_is_the_caller_alone) {
  static struct tally tally = {.threads = 1};
  cr_assert_eq(lk_pool_threads(NULL), 1);
  lk_pool_run(NULL, 0, count_item, &tally);
  lk_pool_run(NULL, ITEMS, count_item, &tally);
  for (uint32_t i = 0; i < ITEMS; i++) cr_assert_eq(tally.times[i], 1);
  cr_assert_eq(tally.wrong, 0);
}

/* Many short calls: a worker that comes late to one must not take an item of the next. */
Test(pool, many_short_calls) {
  static struct tally tally;
  lk_pool *pool;
  cr_assert_eq(lk_pool_open(4, &pool, NULL), LK_OK);
  tally.threads = 4;
  for (int call = 0; call < 3000; call++) lk_pool_run(pool, 7, count_item, &tally);
  for (uint32_t i = 0; i < 7; i++) cr_assert_eq(tally.times[i], 3000);
  lk_pool_close(pool);
}

Test(pool, as_many_threads_as_the_process_may_use) {
  lk_pool *pool;
  cr_assert_eq(lk_pool_open(0, &pool, NULL), LK_OK);
  cr_assert_geq(lk_pool_threads(pool), 1);
  lk_pool_close(pool);
  lk_pool_close(NULL);
}

static void count_nearest(void *context, uint32_t thread, uint32_t item) {
  (void)thread;
  (void)item;
  if (fegetround() == FE_TONEAREST) atomic_fetch_add((atomic_int *)context, 1);
}

Test(pool, tasks_round_to_nearest_whatever_the_caller_does) {
  atomic_int nearest = 0;
  lk_pool *pool;
  fesetround(FE_UPWARD);
  cr_assert_eq(lk_pool_open(3, &pool, NULL), LK_OK);
  lk_pool_run(pool, 1, count_nearest, &nearest);
  lk_pool_run(pool, 1000, count_nearest, &nearest);
  lk_pool_close(pool);
  lk_pool_run(NULL, 10, count_nearest, &nearest);
  int after = fegetround();
  fesetround(FE_TONEAREST);
  cr_assert_eq(nearest, 1011);
  cr_assert_eq(after, FE_UPWARD);
}
