/* What becomes of the jobs of workers that die, hang or are slow; who gets how many; what is
 * noted of them, and what is cancelled. */
#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/queue/functions.h"
#include "tests/e2e/e2e.h"

enum { WORKERS = 3 };

static process workers[WORKERS];

static void teardown(void) {
  for (int i = 0; i < WORKERS; i++) process_close(&workers[i]);
  e2e_teardown();
}

TestSuite(claims, .init = e2e_setup_with_redis, .fini = teardown);

static const char *lane(lk_priority priority, int number) {
  static lk_keys keys;
  cr_assert_eq(lk_keys_make("faces", &keys, NULL), LK_OK);
  return keys.lanes[priority][number];
}

static void start_workers(int count, const char *batch) {
  for (int i = 0; i < count; i++) worker_start(&workers[i], "--batch", batch, NULL);
  cr_assert(redis_reaches(&redis, count, "ZCARD", FACES_WORKERS, NULL));
  cr_assert(redis_reaches(&redis, 1, "EXISTS", FACES_LO, NULL), "its group is made with it");
}

static int64_t replies_to(const char *to) {
  char key[64];
  snprintf(key, sizeof key, FACES_REPLIES "%s", to);
  return redis_number(&redis, "LLEN", key, NULL);
}

static uint64_t await_replies(const char *to, int64_t count, uint64_t patience_ms) {
  uint64_t begin_ms = now_ms();
  while (replies_to(to) < count && now_ms() < begin_ms + patience_ms) sleep_ms(5);
  cr_assert_geq(replies_to(to), count, "%lld of %lld", (long long)replies_to(to), (long long)count);
  return now_ms() - begin_ms;
}

static int64_t consumers(void) {
  lk_redis_reply *reply = redis_ask(&redis, "XINFO", "CONSUMERS", FACES_LO, LK_GROUP, NULL);
  int64_t count = (int64_t)lk_redis_reply_elements(reply);
  lk_redis_reply_free(reply);
  return count;
}

/* A worker that takes so many jobs and never renews a lease: it never had one. Returns the first of them. */
static const char *take_as(const char *consumer, const char *count) {
  static char entry[48];
  redis_do(&redis, "XGROUP", "CREATECONSUMER", FACES_LO, LK_GROUP, consumer, NULL);
  lk_redis_reply *reply =
      redis_ask(&redis, "XREADGROUP", "GROUP", LK_GROUP, consumer, "COUNT", count, "STREAMS", FACES_LO, ">", NULL);
  const lk_redis_reply *entries = lk_redis_reply_element(lk_redis_reply_element(reply, 0), 1);
  size_t length;
  snprintf(entry, sizeof entry, "%s",
           lk_redis_reply_string(lk_redis_reply_element(lk_redis_reply_element(entries, 0), 0), &length));
  lk_redis_reply_free(reply);
  return entry;
}

static void note_running(const char *consumer, const char *entry) {
  char field[64], batch[128];
  snprintf(field, sizeof field, "%s/0", consumer);
  snprintf(batch, sizeof batch, "q:lo %s", entry);
  redis_do(&redis, "HSET", FACES_RUNNING, field, batch, NULL);
}

static void make_group(void) {
  redis_do(&redis, "XGROUP", "CREATE", FACES_LO, LK_GROUP, "0", "MKSTREAM", "ENTRIESREAD", "0", NULL);
}

Test(claims, a_worker_is_killed_among_three) {
  enum { JOBS = 4000 };
  send_jobs(FACES_LO, "x", "me", JOBS);
  start_workers(3, "8");
  cr_assert(redis_reaches(&redis, 20, "LLEN", FACES_REPLIES "me", NULL));
  process_signal(&workers[1], SIGSTOP);
  cr_assert_gt(JOBS - replies_to("me"), 20, "too fast to be killed in the middle");
  process_signal(&workers[1], SIGKILL);
  await_replies("me", JOBS, 15000);
  uint64_t end_ms = now_ms() + 10000;
  while (consumers() > 2 && now_ms() < end_ms) sleep_ms(20);
  cr_assert_eq(consumers(), 2, "the dead one is removed");
  worker_stop(&workers[0]);
  worker_stop(&workers[2]);
  expect_each_once("me", "x", JOBS);
  cr_assert_eq(pending(), 0);
  cr_assert_eq(redis_number(&redis, "XLEN", FACES_LO, NULL), 0);
  cr_assert_eq(consumers(), 0, "those that stop leave");
}

/* A job that kills its workers is given up; those that only waited beside it are not. */
Test(claims, a_job_that_killed_three_workers_is_given_up) {
  make_group();
  send_jobs(FACES_LO, "x", "me", 20);
  const char *poison = take_as("dead1", "20");
  note_running("dead1", poison);
  for (int i = 2; i <= 3; i++) {
    char from[16];
    snprintf(from, sizeof from, "dead%d", i);
    lk_redis_reply *reply = NULL;
    const char *const words[] = {LK_CLAIM, "2", FACES_WORKERS, FACES_LO, LK_GROUP, from, "100", "all"};
    cr_assert_eq(lk_functions_call_words(redis.link, &reply, NULL, 8, words), LK_OK);
    cr_assert_eq(lk_redis_reply_elements(reply), 20);
    lk_redis_reply_free(reply);
    note_running(from, poison);
  }
  start_workers(1, "8");
  await_replies("me", 20, 20000);
  int refused = 0;
  for (int i = 0; i < 20; i++) {
    json_t *reply = next_reply("me");
    bool is_poison = strcmp(reply_text(reply, "id"), "x0") == 0;
    refused += is_poison;
    cr_assert_str_eq(reply_text(reply, "status"), is_poison ? "EPOISON" : "OK");
    if (is_poison) cr_assert_not_null(strstr(reply_text(reply, "text"), "3 workers died of this job"));
    json_decref(reply);
  }
  cr_assert_eq(refused, 1);
  cr_assert_eq(redis_number(&redis, "XLEN", FACES_DEAD, NULL), 1);
  cr_assert_eq(redis_number(&redis, "EXISTS", FACES_DEATHS, NULL), 0);
  worker_stop(&workers[0]);
  cr_assert_eq(pending(), 0);
}

/* Longer than its lease: others take its jobs, and each is answered once all the same. */
Test(claims, a_worker_hangs_and_comes_back) {
  enum { JOBS = 600 };
  start_workers(2, "8");
  process_signal(&workers[0], SIGSTOP);
  process_signal(&workers[1], SIGSTOP);
  send_jobs(FACES_LO, "x", "me", JOBS);
  process_signal(&workers[0], SIGCONT);
  cr_assert(redis_reaches(&redis, 10, "LLEN", FACES_REPLIES "me", NULL));
  process_signal(&workers[0], SIGSTOP);
  process_signal(&workers[1], SIGCONT);
  await_replies("me", JOBS, 20000);
  process_signal(&workers[0], SIGCONT);
  send_jobs(FACES_LO, "y", "you", 50);
  await_replies("you", 50, 10000);
  worker_stop(&workers[0]);
  worker_stop(&workers[1]);
  expect_each_once("me", "x", JOBS);
  expect_each_once("you", "y", 50);
  cr_assert_eq(pending(), 0);
}

/* After an outage everybody looks dead. */
Test(claims, nothing_is_claimed_soon_after_a_reconnection) {
  start_workers(1, "8");
  sleep_ms(6000);
  process_signal(&workers[0], SIGSTOP);
  sleep_ms(300); /* its read, which waits at Redis, is over then */
  send_jobs(FACES_LO, "x", "me", 3);
  take_as("dead1", "3");
  redis_do(&redis, "CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes", NULL);
  process_signal(&workers[0], SIGCONT);
  uint64_t waited_ms = await_replies("me", 3, 20000);
  cr_assert(waited_ms >= 5000 && waited_ms < 8000, "%llu ms", (unsigned long long)waited_ms);
}

/* It may not remove consumers. What it claims beside that is answered all the same, and the refusal is said once. */
Test(claims, a_claim_is_refused_midway) {
  redis_do(&redis, "XGROUP", "CREATE", FACES_HI, LK_GROUP, "0", "MKSTREAM", NULL);
  make_group();
  send_jobs(FACES_HI, "x", "me", 1);
  redis_do(&redis, "XREADGROUP", "GROUP", LK_GROUP, "dead", "STREAMS", FACES_HI, ">", NULL);
  redis_do(&redis, "XGROUP", "CREATECONSUMER", FACES_LO, LK_GROUP, "dead", NULL);
  redis_do(&redis, "ACL", "SETUSER", "default", "-xgroup|delconsumer", NULL);
  start_workers(1, "8");
  await_replies("me", 1, 9000);
  sleep_ms(3000);
  const char *refusal = strstr(process_log(&workers[0]), "redis refused lk_claim_5");
  cr_assert(refusal != NULL && strstr(refusal + 1, "redis refused lk_claim_5") == NULL, "%s", process_log(&workers[0]));
  cr_assert_eq(pending(), 0);
}

/* The workers are stopped; their last reads may still wait for jobs. */
static void await_no_reader(void) {
  for (int quiet = 0; quiet < 3; sleep_ms(50)) {
    size_t length;
    lk_redis_reply *reply = redis_ask(&redis, "INFO", "clients", NULL);
    quiet = strstr(lk_redis_reply_string(reply, &length), "blocked_clients:0\r") != NULL ? quiet + 1 : 0;
    lk_redis_reply_free(reply);
  }
}

/* A call that the worker gave up is executed late: it has the job, and knows nothing of it. */
Test(claims, a_job_that_never_arrived_is_read_again) {
  size_t length;
  start_workers(1, "8");
  send_jobs(FACES_LO, "y", "you", 1);
  await_replies("you", 1, 5000);
  process_signal(&workers[0], SIGSTOP);
  await_no_reader();
  send_jobs(FACES_LO, "x", "me", 2);
  lk_redis_reply *reply = redis_ask(&redis, "ZRANGE", FACES_WORKERS, "0", "0", NULL);
  take_as(lk_redis_reply_string(lk_redis_reply_element(reply, 0), &length), "1");
  lk_redis_reply_free(reply);
  process_signal(&workers[0], SIGCONT);
  await_replies("me", 1, 2000);
  cr_assert_eq(replies_to("me"), 1);
  await_replies("me", 2, 15000);
  cr_assert(process_logs(&workers[0], "did not arrive", 1000));
  worker_stop(&workers[0]);
  expect_each_once("me", "x", 2);
  cr_assert_eq(pending(), 0);
}

/* A search that lasts longer than a lease does is slow, not dead. */
Test(claims, a_slow_worker_keeps_its_lease) {
  worker_start_long(&workers[0]);
  for (uint64_t end_ms = now_ms() + 2 * LK_LEASE_MS; now_ms() < end_ms; sleep_ms(50)) {
    cr_assert_eq(redis_number(&redis, "EXISTS", "lk:{many}:workers", NULL), 1);
    cr_assert_eq(redis_number(&redis, "EXISTS", "lk:{many}:r:me", NULL), 0, "the search was too short");
  }
}

/* Nobody waits for the 5 s where a worker handed jobs back. */
Test(claims, what_was_handed_back_is_taken_at_once) {
  start_workers(1, "8");
  process_signal(&workers[0], SIGSTOP);
  send_jobs(FACES_LO, "x", "me", 40);
  take_as("returned", "40");
  process_signal(&workers[0], SIGCONT);
  cr_assert_lt(await_replies("me", 40, 20000), 2500);
  worker_stop(&workers[0]);
  expect_each_once("me", "x", 40);
}

Test(claims, cancelled_jobs_are_refused) {
  make_group();
  send_jobs(FACES_LO, "x", "me", 10);
  send_jobs(FACES_LO, "y", "you", 10);
  const char *const one[] = {LK_CANCEL, "1", FACES_CANCELLED, "me", "x3", "x7"};
  const char *const all[] = {LK_CANCEL, "1", FACES_CANCELLED, "you"};
  lk_redis_reply *reply = NULL;
  cr_assert_eq(lk_functions_call_words(redis.link, &reply, NULL, 6, one), LK_OK);
  lk_redis_reply_free(reply);
  cr_assert_eq(lk_functions_call_words(redis.link, &reply, NULL, 4, all), LK_OK);
  lk_redis_reply_free(reply);
  sleep_ms(5);
  send_jobs(FACES_LO, "y", "you", 1);
  send_jobs(FACES_LO, "x3", "me", 1);
  start_workers(1, "8");
  await_replies("me", 11, 10000);
  await_replies("you", 11, 10000);
  int cancelled[2] = {0};
  for (int i = 0; i < 22; i++) {
    json_t *answer = next_reply(i < 11 ? "me" : "you");
    if (strcmp(reply_text(answer, "status"), "ECANCELLED") == 0) {
      cancelled[i / 11]++;
      cr_assert_not_null(strstr(reply_text(answer, "text"), "cancelled by its client"));
    }
    json_decref(answer);
  }
  cr_assert_eq(cancelled[0], 2);
  cr_assert_eq(cancelled[1], 10);
  worker_stop(&workers[0]);
  cr_assert_eq(pending(), 0);
}

/* How many jobs of `to` were answered before the list of `lone` had its reply. */
static int64_t answered_before(const char *to, const char *lone) {
  while (replies_to(lone) == 0) sleep_ms(1);
  return replies_to(to);
}

Test(claims, a_lone_client_does_not_wait_for_a_long_queue) {
  enum { JOBS = 4000, BATCH = 16 };
  send_jobs(lane(LK_LO, 3), "x", "many", JOBS);
  send_jobs(lane(LK_LO, 9), "y", "lone", 1);
  start_workers(1, "16");
  int64_t before = answered_before("many", "lone");
  cr_assert_leq(before, 20 * BATCH, "%lld jobs were answered first", (long long)before);
  await_replies("many", JOBS, 20000);
  worker_stop(&workers[0]);
  cr_assert_eq(pending(), 0);
}

/* Sends jobs of 1,024 probes. */
static void send_large(const char *stream, const char *to, int count) {
  enum { PROBES = 1024 };
  float *many = malloc(sizeof *many * FACES_DIM * PROBES);
  for (int i = 0; i < FACES_DIM * PROBES; i++) many[i] = faces_probes[i % (FACES_DIM * FACES_PROBES)];
  for (int i = 0; i < count; i++)
    send_job(&(test_job){.stream = stream,
                         .id = "large",
                         .to = to,
                         .k = "1",
                         .n = "1024",
                         .f32 = many,
                         .bytes = sizeof *many * FACES_DIM * PROBES});
  free(many);
}

Test(claims, hi_does_not_wait_behind_lo) {
  enum { JOBS = 256 };
  send_large(FACES_LO, "lo", JOBS);
  start_workers(1, "256");
  cr_assert(redis_reaches(&redis, 4, "LLEN", FACES_REPLIES "lo", NULL));
  int64_t before = replies_to("lo");
  send_job(&(test_job){.stream = FACES_HI, .to = "hi"});
  int64_t after = answered_before("lo", "hi");
  cr_assert_leq(after - before, 6, "%lld jobs of lo came first", (long long)(after - before));
}

static uint32_t jobs_of(process *p) {
  unsigned jobs = 0;
  const char *line = strstr(process_log(p), "stopped after ");
  cr_assert(line != NULL && sscanf(line, "stopped after %u jobs", &jobs) == 1);
  return jobs;
}

Test(claims, two_workers_share_large_jobs) {
  enum { JOBS = 40 };
  start_workers(2, "256");
  send_large(FACES_LO, "me", JOBS);
  await_replies("me", JOBS, 30000);
  worker_stop(&workers[0]);
  worker_stop(&workers[1]);
  uint32_t share = jobs_of(&workers[0]);
  cr_assert_eq(share + jobs_of(&workers[1]), JOBS);
  cr_assert(share >= 12 && share <= 28, "%u of 40", share);
}

/* Larger than any job can be. The worker goes on, and so do those jobs that are as large as can be. */
Test(claims, entries_that_are_too_large_are_refused) {
  const size_t most = (size_t)4096 * 4096 * sizeof(float);
  char *bytes = calloc(1, most + (2 << 20));
  start_workers(1, "8");
  send_job(&(test_job){.id = "huge", .f32 = bytes, .bytes = most + (2 << 20)});
  send_job(&(test_job){.id = "largest", .f32 = bytes, .bytes = most, .n = "4096"});
  free(bytes);
  expect_reply("me", "huge", "EBADJOB", "bytes; at most");
  expect_reply("me", "largest", "EDIM", "4096");
  send_job(&(test_job){.id = "after"});
  expect_reply("me", "after", "OK", "");
}

/* A group that was destroyed is made again, and what was answered does not come twice. */
Test(claims, the_group_is_destroyed) {
  enum { JOBS = 2000 };
  start_workers(1, "8");
  send_jobs(FACES_LO, "x", "me", JOBS);
  cr_assert(redis_reaches(&redis, 100, "LLEN", FACES_REPLIES "me", NULL));
  redis_do(&redis, "XGROUP", "DESTROY", FACES_LO, LK_GROUP, NULL);
  await_replies("me", JOBS, 20000);
  worker_stop(&workers[0]);
  expect_each_once("me", "x", JOBS);
  cr_assert_eq(pending(), 0);
  cr_assert_eq(redis_number(&redis, "XLEN", FACES_LO, NULL), 0);
}

/* Sends a job, awaits its reply, and returns whether the worker had noted that it runs it. */
static bool is_noted(void) {
  size_t length;
  redis_do(&redis, "DEL", FACES_RUNNING, NULL);
  send_job(&(test_job){.to = "me"});
  lk_redis_reply *last = redis_ask(&redis, "XREVRANGE", FACES_LO, "+", "-", "COUNT", "1", NULL);
  expect_reply("me", "j1", "OK", "");
  lk_redis_reply *noted = redis_ask(&redis, "HVALS", FACES_RUNNING, NULL);
  const char *text = lk_redis_reply_string(lk_redis_reply_element(noted, 0), &length);
  const char *entry = lk_redis_reply_string(lk_redis_reply_element(lk_redis_reply_element(last, 0), 0), &length);
  bool same = text != NULL && entry != NULL && strncmp(text, "q:lo ", 5) == 0 && strcmp(text + 5, entry) == 0;
  lk_redis_reply_free(noted);
  lk_redis_reply_free(last);
  return same;
}

static void expect_noted_again(void) {
  for (int tries = 0; tries < 200; tries++) {
    if (is_noted()) return;
    sleep_ms(20);
  }
  cr_assert_fail("%s", process_log(&workers[0]));
}

/* So that whoever finds the worker dead knows of which jobs it may have died. */
Test(claims, what_runs_is_noted) {
  start_workers(1, "8");
  expect_noted_again();
  redis_do(&redis, "FUNCTION", "FLUSH", NULL);
  expect_noted_again();
  redis_do(&redis, "CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes", NULL);
  expect_noted_again();
  lk_redis_reply *fields = redis_ask(&redis, "HKEYS", FACES_RUNNING, NULL);
  size_t length;
  const char *field = lk_redis_reply_string(lk_redis_reply_element(fields, 0), &length);
  cr_assert_str_eq(field + length - 2, "/0");
  lk_redis_reply_free(fields);
  worker_stop(&workers[0]);
}

static int64_t connections(void) {
  size_t length;
  long long count = 0;
  lk_redis_reply *reply = redis_ask(&redis, "INFO", "stats", NULL);
  const char *line = strstr(lk_redis_reply_string(reply, &length), "total_connections_received:");
  cr_assert(line != NULL && sscanf(line, "total_connections_received:%lld", &count) == 1);
  lk_redis_reply_free(reply);
  return count;
}

/* A Redis that can be made to answer late. */
static void start_slow_redis(void) {
  redis_server_close(&redis);
  redis.more[0] = "--enable-debug-command";
  redis.more[1] = "local";
  redis_server_start(&redis, true);
}

/* Once each stage of the worker has the connection that it opens at its start. */
static int64_t connections_at_rest(void) {
  int64_t before = -1, now = connections();
  for (; now != before; now = connections()) {
    before = now;
    sleep_ms(1000);
  }
  return now;
}

/* Redis answers each call late. No connection is given up for it. */
Test(claims, notes_to_a_slow_redis) {
  enum { TURNS = 60, JOBS = 8 };
  start_slow_redis();
  start_workers(1, "1");
  expect_noted_again();
  int64_t before = connections_at_rest();
  for (int i = 0; i < TURNS; i++) {
    send_jobs(FACES_LO, "x", "you", JOBS);
    redis_do(&redis, "DEBUG", "SLEEP", "0.02", NULL);
  }
  cr_assert(redis_reaches(&redis, TURNS * JOBS, "LLEN", FACES_REPLIES "you", NULL));
  expect_noted_again();
  cr_assert_eq(connections(), before);
  worker_stop(&workers[0]);
}

/* However long it takes to claim them all, the worker lives. */
Test(claims, a_lease_is_kept_while_much_is_claimed) {
  enum { JOBS = 1500 };
  start_slow_redis();
  redis_do(&redis, "XGROUP", "CREATE", FACES_LO, LK_GROUP, "0", "MKSTREAM", NULL);
  start_workers(1, "256");
  process_signal(&workers[0], SIGSTOP);
  send_jobs(FACES_LO, "x", "me", JOBS);
  redis_do(&redis, "XREADGROUP", "GROUP", LK_GROUP, "returned", "STREAMS", FACES_LO, ">", NULL);
  process_signal(&workers[0], SIGCONT);
  while (redis_number(&redis, "LLEN", FACES_REPLIES "me", NULL) < JOBS) {
    cr_assert_eq(redis_number(&redis, "EXISTS", FACES_WORKERS, NULL), 1, "%s", process_log(&workers[0]));
    redis_do(&redis, "DEBUG", "SLEEP", "0.02", NULL);
  }
  worker_stop(&workers[0]);
  expect_each_once("me", "x", JOBS);
}
