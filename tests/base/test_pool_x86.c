/* Flush-to-zero as another library may leave it: tasks must not see it, and the caller must keep it. */
#include <criterion/criterion.h>
#include <stdatomic.h>
#include <xmmintrin.h>

#include "base/pool.h"

static const unsigned flush_to_zero = 0x8000, denormals_are_zero = 0x0040;

struct tally {
  atomic_int kept;
  volatile float tiny;
};

static void halve(void *context, uint32_t thread, uint32_t item) {
  (void)thread;
  (void)item;
  struct tally *tally = context;
  float half = tally->tiny / 2;
  if (half > 0 && half * 0x1p100f > 0) atomic_fetch_add(&tally->kept, 1);
}

Test(pool, tasks_keep_subnormals_whatever_the_caller_does) {
  struct tally tally = {.tiny = 0x1p-126f};
  unsigned before = _mm_getcsr(), flushing = before | flush_to_zero | denormals_are_zero;
  lk_pool *pool;
  _mm_setcsr(flushing);
  cr_assert_eq(lk_pool_open(3, &pool, NULL), LK_OK);
  lk_pool_run(pool, 1, halve, &tally);
  lk_pool_run(pool, 1000, halve, &tally);
  lk_pool_close(pool);
  unsigned after = _mm_getcsr();
  _mm_setcsr(before);
  cr_assert_eq(tally.kept, 1001);
  cr_assert_eq(after & (flush_to_zero | denormals_are_zero), flush_to_zero | denormals_are_zero);
}
