/* Searches that wait for an entry of the log. */
#include "engine/worker/waiting.h"

#include <criterion/criterion.h>

#include "base/clock.h"

static lk_worker worker;
static lk_entry marks[2];
static lk_task tasks[3];
static lk_delivery deliveries[2];

static void setup(void) {
  worker = (lk_worker){.marks = marks};
  worker.refused_last = &worker.refused_first;
  lk_batcher_init(&worker.batcher, 100, 0);
  pthread_mutex_init(&worker.lock, NULL);
  pthread_cond_init(&worker.work, NULL);
  pthread_cond_init(&worker.changed, NULL);
  pthread_cond_init(&worker.waits, NULL);
  lk_worker_set_redis_ms(&worker, 1000);
  for (int i = 0; i < 2; i++) deliveries[i] = (lk_delivery){.bytes = 1000};
  for (int i = 0; i < 3; i++)
    tasks[i] = (lk_task){.deadline_us = INT64_MAX,
                         .delivery = &deliveries[i / 2],
                         .queued.probes = 1,
                         .job = {.after = {.ms = 10, .sequence = (uint64_t)i}, .probes = {.rows = 2, .dim = 10}}};
  marks[0] = marks[1] = (lk_entry){.ms = 9, .sequence = 99};
}

TestSuite(waiting, .init = setup);

static void expect(lk_status status, lk_task *task) {
  lk_error error;
  cr_assert_eq(lk_waiting_add(&worker, task, &error), status);
}

static void note(uint32_t number, uint64_t ms, uint64_t n) {
  lk_log_mark mark = {.ms = ms, .n = n};
  lk_waiting_note(&worker, number, &mark);
}

Test(waiting, who_must_wait) {
  cr_assert(lk_waiting_must(&worker, &tasks[0]));
  marks[0] = (lk_entry){.ms = 10, .sequence = 1};
  cr_assert(!lk_waiting_must(&worker, &tasks[0]));
  cr_assert(!lk_waiting_must(&worker, &tasks[1]));
  cr_assert(lk_waiting_must(&worker, &tasks[2]));
  tasks[2].job.after = (lk_entry){0};
  cr_assert(!lk_waiting_must(&worker, &tasks[2]), "it asks for nothing");
}

Test(waiting, who_has_it_is_searched_for) {
  for (int i = 0; i < 3; i++) expect(LK_OK, &tasks[i]);
  tasks[1].number = 1;
  note(0, 10, 1);
  cr_assert_eq(worker.waiting_count, 2);
  cr_assert_eq(worker.batcher.probes, 1);
  cr_assert_eq(tasks[0].deadline_us, INT64_MAX, "its search has as much time as it needs");
  note(1, 11, 0);
  cr_assert_eq(worker.batcher.probes, 2);
  cr_assert_eq((void *)worker.waiting, (void *)&tasks[2]);
  cr_assert_null(worker.refused_first);
}

Test(waiting, whose_time_is_over_is_refused) {
  tasks[0].deadline_us = (int64_t)lk_clock_us() - 1;
  tasks[0].job.ttl_ms = 1;
  tasks[1].deadline_us = (int64_t)lk_clock_us() + 60000000;
  tasks[1].job.ttl_ms = 60000;
  for (int i = 0; i < 2; i++) expect(LK_OK, &tasks[i]);
  note(0, 9, 100);
  cr_assert_eq((void *)worker.refused_first, (void *)&tasks[0]);
  cr_assert_eq(tasks[0].status, LK_EDEADLINE);
  cr_assert_eq(worker.waiting_count, 1);
  cr_assert_gt(tasks[1].deadline_us, (int64_t)lk_clock_us() + 50000000, "a ttl is as long as it was");
  cr_assert_leq(tasks[1].waits_until_us, (int64_t)lk_clock_us() + LK_WAITING_US, "but nobody waits so long");
}

Test(waiting, only_so_many_may) {
  expect(LK_OK, &tasks[0]);
  cr_assert_leq(tasks[0].waits_until_us, (int64_t)lk_clock_us() + LK_WAITING_US);
  worker.waiting_count = LK_WAITING_MOST;
  expect(LK_EBUSY, &tasks[1]);
}

/* They keep others out: what tasks hold is bounded, and a delivery goes as a whole. */
Test(waiting, only_so_many_bytes_may) {
  for (int i = 0; i < 3; i++) expect(LK_OK, &tasks[i]);
  cr_assert_eq(worker.waiting_bytes, 2 * 1000 + 3 * 2 * 10 * sizeof(float), "%zu", worker.waiting_bytes);
  note(0, 10, 0);
  cr_assert_eq(worker.waiting_bytes, 2 * 1000 + 2 * 2 * 10 * sizeof(float));
  note(0, 10, 1);
  cr_assert_eq(worker.waiting_bytes, 1000 + 2 * 10 * sizeof(float));
  worker.waiting_bytes = LK_WAITING_BYTES;
  expect(LK_EBUSY, &tasks[0]);
}

Test(waiting, nobody_waits_for_an_entry_of_the_far_future) {
  uint64_t now_ms = lk_worker_redis_ms(&worker);
  tasks[0].job.after.ms = now_ms + 61000;
  expect(LK_EBADJOB, &tasks[0]);
  tasks[0].job.after.ms = now_ms + 59000;
  expect(LK_OK, &tasks[0]);
}

Test(waiting, a_stop_takes_all) {
  for (int i = 0; i < 2; i++) expect(LK_OK, &tasks[i]);
  worker.stopped_us = 1;
  note(0, 20, 0);
  cr_assert_eq(worker.waiting_count, 2, "no batch is begun any more");
  lk_queued *taken = lk_waiting_take(&worker);
  cr_assert_eq((void *)taken, (void *)&tasks[1]);
  cr_assert_eq((void *)taken->next, (void *)&tasks[0]);
  cr_assert_null(worker.waiting);
  cr_assert_eq(worker.waiting_bytes, 0);
}
