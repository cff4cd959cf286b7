/* Searches that wait for an entry of the log. */
#include "engine/worker/waiting.h"

#include <criterion/criterion.h>

#include "base/clock.h"

static lk_worker worker;
static lk_entry marks[2];
static lk_task tasks[3];

static void setup(void) {
  worker = (lk_worker){.marks = marks};
  worker.refused_last = &worker.refused_first;
  lk_batcher_init(&worker.batcher, 100, 0);
  pthread_mutex_init(&worker.lock, NULL);
  pthread_cond_init(&worker.work, NULL);
  pthread_cond_init(&worker.changed, NULL);
  pthread_cond_init(&worker.waits, NULL);
  for (int i = 0; i < 3; i++)
    tasks[i] =
        (lk_task){.deadline_us = INT64_MAX, .queued.probes = 1, .job.after = {.ms = 10, .sequence = (uint64_t)i}};
  marks[0] = marks[1] = (lk_entry){.ms = 9, .sequence = 99};
}

TestSuite(waiting, .init = setup);

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
  for (int i = 0; i < 3; i++) cr_assert(lk_waiting_add(&worker, &tasks[i]));
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
  for (int i = 0; i < 2; i++) cr_assert(lk_waiting_add(&worker, &tasks[i]));
  note(0, 9, 100);
  cr_assert_eq((void *)worker.refused_first, (void *)&tasks[0]);
  cr_assert_eq(tasks[0].status, LK_EDEADLINE);
  cr_assert_eq(worker.waiting_count, 1);
  cr_assert_gt(tasks[1].deadline_us, (int64_t)lk_clock_us() + 50000000, "a ttl is as long as it was");
}

Test(waiting, only_so_many_may) {
  cr_assert(lk_waiting_add(&worker, &tasks[0]));
  cr_assert_leq(tasks[0].deadline_us, (int64_t)lk_clock_us() + LK_WAITING_US);
  worker.waiting_count = LK_WAITING_MOST;
  cr_assert(!lk_waiting_add(&worker, &tasks[1]));
}

Test(waiting, a_stop_takes_all) {
  for (int i = 0; i < 2; i++) cr_assert(lk_waiting_add(&worker, &tasks[i]));
  worker.stopped_us = 1;
  note(0, 20, 0);
  cr_assert_eq(worker.waiting_count, 2, "no batch is begun any more");
  lk_queued *taken = lk_waiting_take(&worker);
  cr_assert_eq((void *)taken, (void *)&tasks[1]);
  cr_assert_eq((void *)taken->next, (void *)&tasks[0]);
  cr_assert_null(worker.waiting);
}
