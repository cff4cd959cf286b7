#include "engine/worker/batcher.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/random.h"

enum { PREFERRED = 64, DELAY_US = 500, JOBS_MOST = 400 };

/* Each differs from the first in one member. */
static const lk_batch_key keys[] = {{.k = 10},
                                    {.k = 10, .gallery = 1},
                                    {.k = 11},
                                    {.k = 10, .fusion = LK_FUSE_MAX},
                                    {.k = 10, .by_subject = true},
                                    {.k = 10, .tags = 1},
                                    {.k = 10, .mask = UINT64_C(1) << 63}};
enum { KEYS = sizeof keys / sizeof keys[0] };

/* A job with the key of this number, from 1; 0: it goes alone. */
static lk_queued job_of(uint32_t number, uint32_t probes) {
  return (lk_queued){.alone = number == 0, .key = keys[number > 0 ? number - 1 : 0], .probes = probes};
}

static uint32_t count(const lk_queued *batch) {
  uint32_t jobs = 0;
  for (; batch != NULL; batch = batch->next) jobs++;
  return jobs;
}

static lk_batcher batcher;
static uint64_t wake_us;

static void setup(void) { lk_batcher_init(&batcher, PREFERRED, DELAY_US); }

TestSuite(batcher, .init = setup);

Test(batcher, nothing_is_due_in_an_empty_one) {
  cr_assert_null(lk_batcher_take(&batcher, 1000, false, &wake_us));
  cr_assert_eq(wake_us, UINT64_MAX);
  cr_assert_null(lk_batcher_take(&batcher, 1000, true, &wake_us));
  cr_assert_eq(wake_us, UINT64_MAX);
}

Test(batcher, a_job_waits_for_company_so_long) {
  lk_queued job = job_of(1, 1);
  lk_batcher_push(&batcher, LK_LO, &job, 1000);
  cr_assert_null(lk_batcher_take(&batcher, 1000, false, &wake_us));
  cr_assert_eq(wake_us, 1000 + DELAY_US);
  cr_assert_null(lk_batcher_take(&batcher, 1000 + DELAY_US - 1, false, &wake_us));
  cr_assert_eq(lk_batcher_take(&batcher, 1000 + DELAY_US, false, &wake_us), &job);
  cr_assert_null(job.next);
  cr_assert_eq(batcher.probes, 0);
}

Test(batcher, a_flush_waits_for_nothing) {
  lk_queued job = job_of(1, 1);
  lk_batcher_push(&batcher, LK_LO, &job, 1000);
  cr_assert_eq(lk_batcher_take(&batcher, 1000, true, &wake_us), &job);
}

Test(batcher, a_full_batch_waits_for_nothing) {
  lk_queued jobs[5];
  for (int i = 0; i < 5; i++) {
    cr_assert_null(lk_batcher_take(&batcher, 0, false, &wake_us));
    jobs[i] = job_of(1, PREFERRED / 4);
    lk_batcher_push(&batcher, LK_LO, &jobs[i], 0);
    if (i == 3) break;
  }
  lk_queued *batch = lk_batcher_take(&batcher, 0, false, &wake_us);
  for (int i = 0; i < 4; i++, batch = batch->next) cr_assert_eq(batch, &jobs[i]);
  cr_assert_null(batch);
}

Test(batcher, no_batch_is_larger_than_preferred) {
  lk_queued jobs[3] = {job_of(1, 40), job_of(1, 30), job_of(1, 20)};
  for (int i = 0; i < 3; i++) lk_batcher_push(&batcher, LK_LO, &jobs[i], 0);
  lk_queued *batch = lk_batcher_take(&batcher, 0, false, &wake_us);
  cr_assert_eq(batch, &jobs[0], "due: the second does not fit, so waiting would gain nothing");
  cr_assert_eq(batch->next, &jobs[2], "but the third does");
  cr_assert_null(batch->next->next);
  cr_assert_null(lk_batcher_take(&batcher, 0, false, &wake_us));
  cr_assert_eq(lk_batcher_take(&batcher, DELAY_US, false, &wake_us), &jobs[1]);
}

Test(batcher, a_job_above_the_preferred_size_goes_alone_and_at_once) {
  lk_queued jobs[2] = {job_of(1, PREFERRED + 1), job_of(1, 1)};
  for (int i = 0; i < 2; i++) lk_batcher_push(&batcher, LK_LO, &jobs[i], 0);
  lk_queued *batch = lk_batcher_take(&batcher, 0, false, &wake_us);
  cr_assert_eq(batch, &jobs[0]);
  cr_assert_eq(count(batch), 1);
}

Test(batcher, other_keys_do_not_join) {
  lk_queued jobs[4] = {job_of(1, 1), job_of(2, 1), job_of(1, 1), job_of(2, 1)};
  for (int i = 0; i < 4; i++) lk_batcher_push(&batcher, LK_LO, &jobs[i], 0);
  lk_queued *batch = lk_batcher_take(&batcher, DELAY_US, false, &wake_us);
  cr_assert(batch == &jobs[0] && batch->next == &jobs[2] && count(batch) == 2);
  batch = lk_batcher_take(&batcher, DELAY_US, false, &wake_us);
  cr_assert(batch == &jobs[1] && batch->next == &jobs[3] && count(batch) == 2);
}

Test(batcher, keys_that_differ_in_one_member) {
  lk_queued jobs[2 * KEYS];
  for (uint32_t i = 0; i < 2 * KEYS; i++) {
    jobs[i] = job_of(1 + i % KEYS, 1);
    lk_batcher_push(&batcher, LK_LO, &jobs[i], 0);
  }
  for (uint32_t i = 0; i < KEYS; i++) {
    lk_queued *batch = lk_batcher_take(&batcher, DELAY_US, false, &wake_us);
    cr_assert(batch == &jobs[i] && batch->next == &jobs[KEYS + i] && count(batch) == 2, "key %u", i + 1);
  }
}

Test(batcher, a_job_that_is_alone_goes_at_once) {
  lk_queued jobs[3] = {job_of(0, 1), job_of(0, 1), job_of(1, 1)};
  for (int i = 0; i < 3; i++) lk_batcher_push(&batcher, LK_HI, &jobs[i], 0);
  for (int i = 0; i < 2; i++) {
    lk_queued *batch = lk_batcher_take(&batcher, 0, false, &wake_us);
    cr_assert(batch == &jobs[i] && count(batch) == 1);
  }
}

Test(batcher, hi_goes_first_and_lo_joins) {
  lk_queued lo = job_of(1, 1), hi = job_of(1, 1), other = job_of(2, 1);
  lk_batcher_push(&batcher, LK_LO, &lo, 0);
  lk_batcher_push(&batcher, LK_LO, &other, 0);
  lk_batcher_push(&batcher, LK_HI, &hi, 1);
  lk_queued *batch = lk_batcher_take(&batcher, 0, true, &wake_us);
  cr_assert(batch == &hi && batch->next == &lo && count(batch) == 2);
  cr_assert_eq(lk_batcher_take(&batcher, 0, true, &wake_us), &other);
}

Test(batcher, every_fourth_batch_begins_with_lo) {
  lk_queued hi[12], lo[3];
  for (int i = 0; i < 12; i++) {
    hi[i] = job_of(0, 1);
    lk_batcher_push(&batcher, LK_HI, &hi[i], 0);
  }
  for (int i = 0; i < 3; i++) {
    lo[i] = job_of(0, 1);
    lk_batcher_push(&batcher, LK_LO, &lo[i], 0);
  }
  for (int i = 0; i < 15; i++) {
    const lk_queued *expected = i % 4 == 3 ? &lo[i / 4] : &hi[i - i / 4];
    cr_assert_eq(lk_batcher_take(&batcher, 0, false, &wake_us), expected, "batch %d", i);
  }
}

static lk_queued *begin(void) { return lk_batcher_begin(&batcher, DELAY_US, &wake_us); }

/* Two batches may run at once; what a worker died of runs alone, whatever is beside it in the queue. */
Test(batcher, a_suspected_job_runs_while_nothing_else_does) {
  lk_queued jobs[5];
  for (int i = 0; i < 5; i++) {
    jobs[i] = job_of(0, 1);
    jobs[i].suspected = i == 2 || i == 3;
    lk_batcher_push(&batcher, LK_LO, &jobs[i], 0);
  }
  cr_assert(begin() == &jobs[0] && begin() == &jobs[1]);
  cr_assert(begin() == NULL && wake_us == UINT64_MAX, "two run");
  lk_batcher_end(&batcher);
  cr_assert_null(begin(), "one runs");
  lk_batcher_end(&batcher);
  cr_assert_eq(begin(), &jobs[2]);
  cr_assert(begin() == NULL && wake_us == UINT64_MAX, "it runs");
  lk_batcher_end(&batcher);
  cr_assert_eq(begin(), &jobs[3]);
  cr_assert_null(begin(), "nor does anything else begin beside it");
  lk_batcher_end(&batcher);
  cr_assert_eq(begin(), &jobs[4]);
}

Test(batcher, a_job_that_is_not_due_does_not_begin) {
  lk_queued job = job_of(1, 1);
  lk_batcher_push(&batcher, LK_LO, &job, DELAY_US);
  cr_assert(begin() == NULL && wake_us == 2 * DELAY_US);
  cr_assert_eq(batcher.begun, 0);
}

static void describe(const lk_queued *job, char text[80]) {
  snprintf(text, 80, "%u %u %d %d %llx %llx", job->key.gallery, job->key.k, job->key.fusion, job->key.by_subject,
           (unsigned long long)job->key.tags, (unsigned long long)job->key.mask);
}

static bool may_share(const lk_queued *a, const lk_queued *b) {
  char of_a[80], of_b[80];
  describe(a, of_a);
  describe(b, of_b);
  return !a->alone && !b->alone && strcmp(of_a, of_b) == 0;
}

/* The header's promise, written for clarity: one array in the order of arrival. */
typedef struct model {
  struct {
    lk_queued *job;
    lk_priority lane;
  } waiting[JOBS_MOST];
  uint32_t count, batches;
} model;

static int first_of(const model *m, lk_priority lane) {
  for (uint32_t i = 0; i < m->count; i++)
    if (m->waiting[i].lane == lane) return (int)i;
  return -1;
}

static int head_of(const model *m) {
  int hi = first_of(m, LK_HI), lo = first_of(m, LK_LO);
  return hi < 0 || (lo >= 0 && m->batches % 4 == 3) ? lo : hi;
}

/* Fills `batch`; returns its size. `full`: it has the preferred size, or something had to stay behind. */
static uint32_t choose(const model *m, int head, lk_queued *batch[], bool *full) {
  uint32_t taken = 0, probes = m->waiting[head].job->probes;
  batch[taken++] = m->waiting[head].job;
  *full = false;
  for (lk_priority lane = LK_HI; lane <= LK_LO; lane++)
    for (uint32_t i = 0; i < m->count; i++) {
      lk_queued *job = m->waiting[i].job;
      if ((int)i == head || m->waiting[i].lane != lane || !may_share(job, batch[0])) continue;
      if (probes + job->probes > PREFERRED) {
        *full = true;
        continue;
      }
      probes += job->probes;
      batch[taken++] = job;
    }
  *full |= probes >= PREFERRED || batch[0]->alone;
  return taken;
}

static void forget(model *m, const lk_queued *job) {
  uint32_t i = 0;
  while (m->waiting[i].job != job) i++;
  memmove(&m->waiting[i], &m->waiting[i + 1], (--m->count - i) * sizeof m->waiting[0]);
}

static void take_and_compare(model *m, uint64_t now_us, bool flush) {
  lk_queued *expected[JOBS_MOST], *batch = lk_batcher_take(&batcher, now_us, flush, &wake_us);
  int head = head_of(m);
  if (head < 0) {
    cr_assert(batch == NULL && wake_us == UINT64_MAX);
    return;
  }
  bool full;
  uint64_t due_us = m->waiting[head].job->since_us + DELAY_US;
  uint32_t size = choose(m, head, expected, &full);
  if (!full && !flush && now_us < due_us) {
    cr_assert(batch == NULL && wake_us == due_us);
    return;
  }
  for (uint32_t i = 0; i < size; i++, batch = batch->next) {
    cr_assert_eq(batch, expected[i]);
    forget(m, batch);
  }
  cr_assert_null(batch);
  m->batches++;
}

static void run_sequence(random_state *random) {
  static lk_queued jobs[JOBS_MOST];
  model m = {0};
  uint32_t pushed = 0, sum = 0, kinds = 1 + random_below(random, KEYS),
           largest = 1 + random_below(random, 2 * PREFERRED);
  setup();
  for (uint64_t now_us = 5; pushed < JOBS_MOST || m.count > 0; now_us += random_below(random, 2 * DELAY_US)) {
    for (uint32_t left = random_below(random, 12); left > 0 && pushed < JOBS_MOST; left--) {
      lk_priority lane = random_one_in(random, 3) ? LK_HI : LK_LO;
      jobs[pushed] = job_of(random_below(random, kinds + 1), 1 + random_below(random, largest));
      m.waiting[m.count].job = &jobs[pushed];
      m.waiting[m.count++].lane = lane;
      lk_batcher_push(&batcher, lane, &jobs[pushed++], now_us);
    }
    for (uint32_t left = random_below(random, 5); left > 0; left--)
      take_and_compare(&m, now_us, pushed == JOBS_MOST || random_one_in(random, 9));
    sum = 0;
    for (uint32_t i = 0; i < m.count; i++) sum += m.waiting[i].job->probes;
    cr_assert_eq(batcher.probes, sum);
  }
}

Test(batcher, random_sequences_against_a_model) {
  for (uint64_t seed = 0; seed < 400; seed++) {
    random_state random = random_fork(42, seed);
    run_sequence(&random);
  }
}
