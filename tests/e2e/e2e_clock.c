/* Redis' wall clock is set while jobs flow: forward, which ends all leases, and back. */
#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "tests/e2e/e2e.h"

enum { STEP_MS = 30000 };

static process workers[2];
static char clock_file[PATH_MAX];

static void setup(void) {
  e2e_setup();
  strcpy(clock_file, files_path("clock"));
  redis_clock_set(clock_file, 0);
  redis.clock = clock_file;
  redis_server_start(&redis, true);
}

static void teardown(void) {
  for (int i = 0; i < 2; i++) process_close(&workers[i]);
  e2e_teardown();
}

TestSuite(clock, .init = setup, .fini = teardown);

static int64_t redis_seconds(void) {
  lk_redis_reply *time = redis_ask(&redis, "TIME", NULL);
  size_t length;
  int64_t seconds = strtoll(lk_redis_reply_string(lk_redis_reply_element(time, 0), &length), NULL, 10);
  lk_redis_reply_free(time);
  return seconds;
}

static void set_clock(int64_t ahead_ms) {
  int64_t before = redis_seconds();
  redis_clock_set(clock_file, ahead_ms);
  cr_assert_neq(redis_seconds() / 10, before / 10, "the clock is not set");
}

/* Each is sent and answered before the next one, and before the next step. */
static void expect_fresh(uint32_t jobs) {
  static uint32_t number;
  for (uint32_t i = 0; i < jobs; i++, number++) {
    char id[16];
    snprintf(id, sizeof id, "x%u", number);
    send_job(&(test_job){.id = id, .ttl = "5000"});
    expect_reply("me", id, "OK", "");
    sleep_ms(10);
  }
}

Test(clock, no_fresh_job_expires) {
  static const int64_t steps_ms[] = {STEP_MS, 0, -STEP_MS, 0, STEP_MS, -STEP_MS};
  for (int i = 0; i < 2; i++) worker_start(&workers[i], NULL);
  expect_fresh(10);
  for (size_t i = 0; i < sizeof steps_ms / sizeof steps_ms[0]; i++) {
    set_clock(steps_ms[i]);
    expect_fresh(40);
  }
  cr_assert_eq(redis_number(&redis, "LLEN", FACES_REPLIES "me", NULL), 0, "a job is answered twice");
  for (int i = 0; i < 2; i++) worker_stop(&workers[i]);
  cr_assert_eq(pending(), 0);
}

/* It waits for its batch meanwhile. Another job is sent before the worker can know of the step. */
Test(clock, a_job_that_waits_does_not_expire) {
  worker_start(&workers[0], "--batch", "64", "--max-queue-delay-us", "2500000", NULL);
  cr_assert(redis_reaches(&redis, 1, "EXISTS", "lk:{faces}:q:lo:15", NULL));
  for (int64_t ahead_ms = STEP_MS; ahead_ms >= -STEP_MS; ahead_ms -= STEP_MS) {
    /* A lane of its own, whose next id is of the time that it then is. */
    const char *lane = ahead_ms == STEP_MS ? "lk:{faces}:q:lo:1"
                       : ahead_ms == 0     ? "lk:{faces}:q:lo:2"
                                           : "lk:{faces}:q:lo:3";
    send_job(&(test_job){.id = "before", .ttl = "5000"});
    for (uint64_t end_ms = now_ms() + 2000; pending() < 1 && now_ms() < end_ms;) sleep_ms(5);
    set_clock(ahead_ms);
    send_job(&(test_job){.stream = lane, .id = "after", .ttl = "5000"});
    json_t *replies[] = {next_reply("me"), next_reply("me")};
    for (int i = 0; i < 2; i++) {
      cr_assert_str_eq(reply_text(replies[i], "status"), "OK", "%s at %lld: %s", reply_text(replies[i], "id"),
                       (long long)ahead_ms, reply_text(replies[i], "text"));
      json_decref(replies[i]);
    }
  }
}

/* One that is too old is refused, also where that is known only from Redis' clock as it is now. */
Test(clock, an_old_job_expires) {
  redis_do(&redis, "XGROUP", "CREATE", FACES_LO, LK_GROUP, "0", "MKSTREAM", NULL);
  send_job(&(test_job){.id = "old", .ttl = "5000"});
  set_clock(STEP_MS);
  worker_start(&workers[0], NULL);
  expect_reply("me", "old", "EDEADLINE", "the deadline passed 2");
}

static int64_t replies(void) { return redis_number(&redis, "LLEN", FACES_REPLIES "me", NULL); }

/* The consumers that hold jobs, and how many these are. */
static void expect_held_by_one(int64_t jobs) {
  lk_redis_reply *reply = redis_ask(&redis, "XPENDING", FACES_LO, LK_GROUP, NULL);
  cr_assert_eq(lk_redis_reply_integer(lk_redis_reply_element(reply, 0)), jobs);
  cr_assert_eq(lk_redis_reply_elements(lk_redis_reply_element(reply, 3)), 1, "another one claimed jobs");
  lk_redis_reply_free(reply);
}

/* The one that holds the jobs cannot renew its lease before another one would claim. When it is dead, that one does. */
Test(clock, nobody_claims_from_the_living) {
  enum { JOBS = 10 };
  worker_start(&workers[0], "--batch", "64", "--max-queue-delay-us", "60000000", NULL);
  cr_assert(redis_reaches(&redis, 1, "EXISTS", "lk:{faces}:q:lo:15", NULL));
  send_jobs(FACES_LO, "x", "me", JOBS);
  for (uint64_t end_ms = now_ms() + 5000; pending() < JOBS && now_ms() < end_ms;) sleep_ms(5);
  worker_start(&workers[1], NULL);
  sleep_ms(7000);
  for (int64_t ahead_ms = STEP_MS; ahead_ms >= -STEP_MS; ahead_ms -= STEP_MS) {
    process_signal(&workers[0], SIGSTOP);
    set_clock(ahead_ms);
    sleep_ms(1500);
    process_signal(&workers[0], SIGCONT);
    expect_held_by_one(JOBS);
  }
  sleep_ms(1000);
  cr_assert_eq(redis_number(&redis, "ZCARD", FACES_WORKERS, NULL), 2, "both renew their leases");
  expect_held_by_one(JOBS);
  process_signal(&workers[0], SIGKILL);
  for (uint64_t end_ms = now_ms() + 12000; replies() < JOBS && now_ms() < end_ms;) sleep_ms(5);
  expect_each_once("me", "x", JOBS);
}

/* A read that waits at Redis ends by Redis' clock: up to 30 s later now. */
Test(clock, a_worker_stops_though_the_clock_was_set_back) {
  worker_start(&workers[0], NULL);
  expect_fresh(1);
  sleep_ms(300);
  set_clock(-STEP_MS);
  uint64_t begin_ms = now_ms();
  worker_stop(&workers[0]);
  cr_assert_lt(now_ms() - begin_ms, 10000);
  cr_assert_eq(redis_number(&redis, "EXISTS", FACES_WORKERS, NULL), 0);
}
