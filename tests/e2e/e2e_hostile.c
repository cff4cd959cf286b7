/* Clients that may only XADD, and choose the ids of their entries; and keys of lanes that hold something else. */
#include <criterion/criterion.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/e2e/e2e.h"

static process worker, other;

static void teardown(void) {
  process_close(&worker);
  process_close(&other);
  e2e_teardown();
}

TestSuite(hostile, .init = e2e_setup_with_redis, .fini = teardown);

static const char highest[] = "18446744073709551615-18446744073709551615";

static int64_t redis_clock_ms(void) {
  lk_redis_reply *reply = redis_ask(&redis, "TIME", NULL);
  int64_t s = lk_redis_reply_integer(lk_redis_reply_element(reply, 0));
  lk_redis_reply_free(reply);
  return s * 1000;
}

/* An id so far ahead of Redis' clock. */
static const char *id_ahead(int64_t ms) {
  static char id[48];
  snprintf(id, sizeof id, "%" PRId64 "-0", redis_clock_ms() + ms);
  return id;
}

/* Sends an honest job, again and again until Redis takes it, for at most 10 s. */
static void send_patiently(const char *id) {
  uint64_t end_ms = now_ms() + 10000;
  bool taken = false;
  while (!taken) {
    const char *const words[] = {"XADD", FACES_LO, "*", "v", "1",       "op",    "identify", "id",   id,
                                 "to",   "me",     "n", "1", "gallery", "faces", "flags",    "json", "f32"};
    enum { WORDS = sizeof words / sizeof words[0] };
    lk_command command = {0};
    lk_redis_reply *reply = NULL;
    for (int i = 0; i < WORDS; i++) lk_command_add_string(&command, words[i]);
    lk_command_add(&command, faces_probes, FACES_DIM * sizeof *faces_probes);
    cr_assert_eq(lk_redis_call(redis.link, &command, &reply, NULL), LK_OK);
    taken = lk_redis_reply_error(reply) == NULL;
    cr_assert(taken || now_ms() < end_ms, "after 10 s: %s", lk_redis_reply_error(reply));
    lk_redis_reply_free(reply);
    lk_command_free(&command);
    if (!taken) sleep_ms(20);
  }
}

/* Waits until the stream numbers its entries by the clock again. */
static void expect_ids_by_the_clock(const char *stream) {
  uint64_t end_ms = now_ms() + 10000;
  uint64_t last_ms = UINT64_MAX;
  while (last_ms > (uint64_t)redis_clock_ms() + 60000) {
    cr_assert_lt(now_ms(), end_ms, "the last id stays %" PRIu64, last_ms);
    lk_redis_reply *reply = redis_ask(&redis, "XINFO", "STREAM", stream, NULL);
    size_t length;
    last_ms = strtoull(lk_redis_reply_string(lk_redis_reply_element(reply, 7), &length), NULL, 10);
    lk_redis_reply_free(reply);
    sleep_ms(20);
  }
}

Test(hostile, the_highest_id_does_not_stop_the_stream) {
  worker_start(&worker, NULL);
  send_job(&(test_job){.id = "before"});
  expect_reply("me", "before", "OK", "");
  for (int round = 0; round < 3; round++) {
    send_job(&(test_job){.id = "enemy", .to = "enemy", .entry = highest, .ttl = "1"});
    expect_reply("enemy", "enemy", "EBADJOB", "ahead");
    send_patiently("after");
    expect_reply("me", "after", "OK", "");
  }
  worker_stop(&worker);
  cr_assert_eq(pending(), 0);
}

/* Jobs that wait below the highest id are answered once each, and those sent afterwards too. */
Test(hostile, jobs_that_wait_below_the_highest_id_are_answered_once) {
  send_jobs(FACES_LO, "x", "me", 300);
  send_job(&(test_job){.id = "enemy", .to = "enemy", .entry = highest});
  worker_start(&worker, NULL);
  expect_reply("enemy", "enemy", "EBADJOB", "ahead");
  cr_assert(redis_reaches(&redis, 300, "LLEN", FACES_REPLIES "me", NULL));
  expect_ids_by_the_clock(FACES_LO);
  expect_each_once("me", "x", 300);
  send_jobs(FACES_LO, "y", "me", 300);
  cr_assert(redis_reaches(&redis, 300, "LLEN", FACES_REPLIES "me", NULL));
  worker_stop(&worker);
  expect_each_once("me", "y", 300);
  cr_assert_eq(pending(), 0);
}

/* XADD can trim the stream: then no entry is left to be read, only the last id. */
Test(hostile, a_last_id_without_an_entry_does_not_stop_the_stream) {
  worker_start(&worker, NULL);
  redis_do(&redis, "XADD", FACES_LO, "MAXLEN", "0", highest, "a", "b", NULL);
  redis_do(&redis, "XADD", FACES_HI, "MAXLEN", "0", highest, "a", "b", NULL);
  send_patiently("after");
  expect_reply("me", "after", "OK", "");
  expect_ids_by_the_clock(FACES_HI);
}

/* Nor does one that nobody can answer. */
Test(hostile, garbage_under_the_highest_id_does_not_stop_the_stream) {
  redis_do(&redis, "XADD", FACES_LO, highest, "a", "b", NULL);
  worker_start(&worker, NULL);
  send_patiently("after");
  expect_reply("me", "after", "OK", "");
  cr_assert(redis_reaches(&redis, 1, "XLEN", FACES_DEAD, NULL));
}

Test(hostile, an_id_far_ahead_is_refused_with_and_without_a_ttl) {
  worker_start(&worker, NULL);
  send_job(&(test_job){.id = "soon", .to = "enemy", .entry = id_ahead(30000)});
  expect_reply("enemy", "soon", "OK", "");
  send_job(&(test_job){.id = "far", .to = "enemy", .entry = id_ahead(90000), .ttl = "1"});
  expect_reply("enemy", "far", "EBADJOB", "ahead");
  expect_ids_by_the_clock(FACES_LO);
  send_job(&(test_job){.id = "farther", .to = "enemy", .entry = id_ahead(86400000)});
  expect_reply("enemy", "farther", "EBADJOB", "ahead");
  expect_ids_by_the_clock(FACES_LO);
  send_job(&(test_job){.id = "after"});
  expect_reply("me", "after", "OK", "");
}

/* A ttl counts from when the worker read the entry if the id says a later time. */
Test(hostile, a_ttl_does_not_begin_in_the_future) {
  worker_start(&worker, "--max-queue-delay-us", "2000000", NULL);
  send_job(&(test_job){.id = "brief", .entry = id_ahead(50000), .ttl = "200"});
  send_job(&(test_job){.id = "patient", .ttl = "60000"});
  expect_reply("me", "brief", "EDEADLINE", "");
  expect_reply("me", "patient", "OK", "");
}

/* Two workers, and an enemy between the rounds of an honest client. Redis takes each honest job in the end, and each is
 * answered once: with its result, or, if Redis numbered it beyond the enemy's, with the advice to send it again. */
Test(hostile, two_workers_go_on) {
  enum { ROUNDS = 10 };
  worker_start(&worker, NULL);
  worker_start(&other, NULL);
  int64_t refused = 0;
  for (int round = 0; round < ROUNDS; round++) {
    char id[16];
    bool is_highest = round % 2 == 0;
    send_job(&(test_job){.id = "enemy", .to = "enemy", .entry = is_highest ? highest : id_ahead(1000000000)});
    snprintf(id, sizeof id, "r%d", round);
    send_patiently(id);
    json_t *reply = next_reply("me");
    cr_assert_str_eq(reply_text(reply, "id"), id);
    bool late = strcmp(reply_text(reply, "status"), "EBADJOB") == 0;
    cr_assert(late ? !is_highest : strcmp(reply_text(reply, "status"), "OK") == 0, "%s", reply_text(reply, "text"));
    refused += late;
    json_decref(reply);
    expect_reply("enemy", "enemy", "EBADJOB", "ahead");
    expect_ids_by_the_clock(FACES_LO);
  }
  cr_assert_leq(refused, ROUNDS / 2);
  send_job(&(test_job){.id = "last"});
  expect_reply("me", "last", "OK", "");
  worker_stop(&worker);
  worker_stop(&other);
  cr_assert_eq(pending(), 0);
  cr_assert_eq(redis_number(&redis, "LLEN", FACES_REPLIES "me", NULL), 0);
}

static uint32_t times_logged(const char *words) {
  uint32_t times = 0;
  for (const char *at = process_log(&worker); (at = strstr(at, words)) != NULL; at++) times++;
  return times;
}

#define LANE "lk:{faces}:q:lo:5"

/* The worker waits a second for company, so that it holds the jobs of the lane when that goes. */
Test(hostile, a_lane_of_another_type_stops_nobody) {
  worker_start(&worker, "--max-queue-delay-us", "1000000", NULL);
  workers_await(FACES_WORKERS);
  send_job(&(test_job){.id = "lost", .stream = LANE});
  for (uint64_t end_ms = now_ms() + 900; pending() == 0;) cr_assert_lt(now_ms(), end_ms);
  redis_do(&redis, "SET", LANE, "text", NULL);
  send_job(&(test_job){.id = "hi", .stream = FACES_HI, .to = "hi"});
  send_job(&(test_job){.id = "lo", .to = "lo"});
  expect_reply("hi", "hi", "OK", "");
  expect_reply("lo", "lo", "OK", "");
  cr_assert(process_logs(&worker, "redis no longer has these jobs: NOGROUP " LANE " holds a string", 10000), "%s",
            process_log(&worker));
  redis_do(&redis, "DEL", LANE, NULL);
  send_job(&(test_job){.id = "again", .stream = LANE, .to = "again"});
  expect_reply("again", "again", "OK", "");
  worker_stop(&worker);
  cr_assert_eq(times_logged(LANE " holds a string, no jobs: it is left out"), 1, "%s", process_log(&worker));
  cr_assert_eq(times_logged(LANE " is read again"), 1, "%s", process_log(&worker));
}

/* From the start, and all of a priority. */
Test(hostile, a_priority_without_lanes) {
  lk_keys keys;
  cr_assert_eq(lk_keys_make("faces", &keys, NULL), LK_OK);
  for (int i = 0; i < LK_LANES; i++) redis_do(&redis, "SET", keys.lanes[LK_LO][i], "text", NULL);
  worker_start(&worker, NULL);
  send_job(&(test_job){.id = "hi", .stream = FACES_HI});
  expect_reply("me", "hi", "OK", "");
  redis_do(&redis, "DEL", LANE, NULL);
  send_job(&(test_job){.id = "lo", .stream = LANE});
  expect_reply("me", "lo", "OK", "");
  worker_stop(&worker);
  cr_assert_eq(times_logged("it is left out"), LK_LANES, "%s", process_log(&worker));
}
