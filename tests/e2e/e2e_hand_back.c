/* The giving side of a worker: what it answers in which calls, what it says that it runs, and how it ends. */
#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/e2e/e2e.h"

#define FACES_RUNNING "lk:{faces}:running"

enum { LEAVES_MS = 10000, SOON_MS = 3000 };

static process worker;

static void setup(void) {
  e2e_setup();
  redis_server_start(&redis, true);
}

static void teardown(void) {
  if (redis.process.pid != 0) process_signal(&redis.process, SIGCONT);
  process_close(&worker);
  e2e_teardown();
}

TestSuite(hand_back, .init = setup, .fini = teardown);

/* The entries that this consumer, or one whose name has these words, holds. */
static int64_t held_by(const char *words) {
  int64_t held = 0;
  lk_redis_reply *reply = redis_ask(&redis, "XPENDING", FACES_LO, LK_GROUP, NULL);
  const lk_redis_reply *consumers = lk_redis_reply_element(reply, 3);
  for (size_t i = 0; i < lk_redis_reply_elements(consumers); i++) {
    const lk_redis_reply *consumer = lk_redis_reply_element(consumers, i);
    size_t length;
    const char *name = lk_redis_reply_string(lk_redis_reply_element(consumer, 0), &length);
    if (strstr(name, words) != NULL) held += lk_redis_reply_integer(lk_redis_reply_element(consumer, 1));
  }
  lk_redis_reply_free(reply);
  return held;
}

static void expect_end(int code, uint32_t most_ms) {
  uint64_t begin_ms = now_ms();
  cr_assert_eq(process_wait(&worker, PROCESS_PATIENCE_MS), code, "%s", process_log(&worker));
  cr_assert_leq(now_ms() - begin_ms, most_ms, "%s", process_log(&worker));
}

/* A worker with many jobs queued, which has answered some. */
static void start_busy(uint32_t jobs) {
  send_jobs(FACES_LO, "x", "me", jobs);
  worker_start(&worker, "--batch", "1", NULL);
  cr_assert(redis_reaches(&redis, 50, "LLEN", FACES_REPLIES "me", NULL));
}

static void read_end(unsigned long long *jobs, unsigned long long *returned) {
  const char *line = strstr(process_log(&worker), "stopped after ");
  cr_assert(line != NULL && sscanf(line, "stopped after %llu jobs, %*u probes searched; %llu jobs handed back", jobs,
                                   returned) == 2,
            "%s", process_log(&worker));
}

/* One batch is full, and answered; the other jobs wait in the worker for company. */
Test(hand_back, what_waits_is_handed_back_at_once) {
  enum { BATCH = 256, MORE = 44 };
  unsigned long long jobs, returned;
  worker_start(&worker, "--batch", "256", "--max-queue-delay-us", "60000000", NULL);
  send_jobs(FACES_LO, "x", "me", BATCH + MORE);
  cr_assert(redis_reaches(&redis, BATCH, "LLEN", FACES_REPLIES "me", NULL));
  for (int tries = 0; held_by("-") < MORE && tries < 100; tries++) sleep_ms(20);
  process_signal(&worker, SIGTERM);
  expect_end(0, SOON_MS);
  read_end(&jobs, &returned);
  cr_assert(jobs == BATCH && returned == MORE, "%s", process_log(&worker));
  cr_assert_eq(redis_number(&redis, "LLEN", FACES_REPLIES "me", NULL), BATCH);
  cr_assert_eq(held_by("returned"), MORE);
  cr_assert_eq(pending(), MORE);
}

/* Redis hangs: nothing can be answered or handed back, and the worker still leaves in time. */
Test(hand_back, redis_hangs) {
  redis_do(&redis, "XGROUP", "CREATE", FACES_LO, LK_GROUP, "0", "MKSTREAM", NULL);
  worker_start(&worker, "--batch", "256", "--max-queue-delay-us", "60000000", NULL);
  send_jobs(FACES_LO, "x", "me", 44);
  for (int tries = 0; held_by("-") < 44 && tries < 100; tries++) sleep_ms(20);
  process_signal(&redis.process, SIGSTOP);
  process_signal(&worker, SIGTERM);
  expect_end(1, LEAVES_MS);
  cr_assert_not_null(strstr(process_log(&worker), "jobs stay pending; other workers take them when the lease ends"),
                     "%s", process_log(&worker));
  process_signal(&redis.process, SIGCONT);
  cr_assert_gt(held_by("-"), 0);
}

Test(hand_back, redis_hangs_and_nothing_is_held) {
  worker_start(&worker, NULL);
  send_job(&(test_job){.to = "me"});
  expect_reply("me", "j1", "OK", "");
  sleep_ms(500); /* so that the worker knows that Redis has its reply */
  process_signal(&redis.process, SIGSTOP);
  process_signal(&worker, SIGTERM);
  expect_end(0, LEAVES_MS);
}

/* Redis hangs for some of the last seconds only. */
Test(hand_back, redis_comes_back_in_time) {
  start_busy(12000);
  process_signal(&redis.process, SIGSTOP);
  process_signal(&worker, SIGTERM);
  sleep_ms(4000);
  process_signal(&redis.process, SIGCONT);
  expect_end(0, SOON_MS);
  cr_assert_eq(pending(), held_by("returned"));
}

/* A batch of the most probes there may be, on one thread: its search is cancelled. */
Test(hand_back, a_long_search_is_handed_back) {
  enum { JOBS = 16, PROBES = 4096, ROWS = 600000 };
  const char *const many = files_gallery("many", LK_COSINE, FACES_DIM);
  random_state random = {12};
  float *rows = files_random(&random, ROWS, FACES_DIM);
  files_enroll(many, rows, ROWS, FACES_DIM, NULL);
  for (int i = 0; i < JOBS; i++)
    send_job(&(test_job){.stream = "lk:{many}:q:lo",
                         .gallery = "many",
                         .k = "64",
                         .n = "4096",
                         .flags = "",
                         .f32 = rows,
                         .bytes = PROBES * FACES_DIM * sizeof(float)});
  free(rows);
  worker_start(&worker, many, "--batch", "65536", "--max-queue-delay-us", "5000000", "--device", "cpu", "--threads",
               "1", NULL);
  cr_assert(redis_reaches(&redis, 1, "EXISTS", "lk:{many}:running", NULL));
  process_signal(&worker, SIGTERM);
  uint64_t begin_ms = now_ms();
  expect_end(0, LEAVES_MS);
  cr_assert_geq(now_ms() - begin_ms, 7900, "the search was too short to be cancelled");
  unsigned long long jobs, returned;
  read_end(&jobs, &returned);
  cr_assert_eq(returned, JOBS, "%s", process_log(&worker));
}

Test(hand_back, a_second_signal_ends_it_now) {
  static const int signals[] = {SIGTERM, SIGINT};
  setenv("TSAN_OPTIONS", "report_thread_leaks=0", 1); /* nobody waits for the threads */
  worker_start(&worker, NULL);
  for (int i = 0; i < 2; i++) {
    send_job(&(test_job){.to = "me"});
    expect_reply("me", "j1", "OK", "");
    process_signal(&redis.process, SIGSTOP);
    process_signal(&worker, SIGTERM);
    sleep_ms(200);
    process_signal(&worker, signals[i]);
    expect_end(128 + signals[i], SOON_MS);
    process_signal(&redis.process, SIGCONT);
    if (i == 0) worker_start(&worker, NULL);
  }
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
  cr_assert_fail("%s", process_log(&worker));
}

/* So that whoever finds the worker dead knows of which jobs it may have died. */
Test(hand_back, what_runs_is_noted) {
  worker_start(&worker, NULL);
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
  worker_stop(&worker);
}

/* Calls of RPUSH, which the functions make too. */
static uint32_t pushes(void) {
  size_t length;
  unsigned calls = 0;
  lk_redis_reply *reply = redis_ask(&redis, "INFO", "commandstats", NULL);
  const char *line = strstr(lk_redis_reply_string(reply, &length), "cmdstat_rpush:calls=");
  cr_assert(line != NULL && sscanf(line, "cmdstat_rpush:calls=%u", &calls) == 1);
  lk_redis_reply_free(reply);
  return calls;
}

static uint64_t peak_bytes(const process *p) {
  char path[64], line[256];
  unsigned long long peak_kib = 0;
  snprintf(path, sizeof path, "/proc/%d/status", (int)p->pid);
  FILE *status = fopen(path, "r");
  cr_assert_not_null(status);
  while (fgets(line, sizeof line, status) != NULL) sscanf(line, "VmHWM: %llu", &peak_kib);
  fclose(status);
  cr_assert_gt(peak_kib, 0);
  return peak_kib << 10;
}

#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
enum { LARGE_JOBS = 4, LARGE_PEAK_MB = 16384 }; /* slow, and memory of its own */
#else
enum { LARGE_JOBS = 40, LARGE_PEAK_MB = 600 };
#endif

/* The largest jobs there are, in one batch: their replies, of 7 MB each, neither block Redis nor fill the memory. */
Test(hand_back, large_replies_leave_one_by_one) {
  enum { CLIENTS = 4, ROWS = 4200, PROBES = 64 };
  static const char *const clients[CLIENTS] = {"a", "b", "c", "d"};
  const char *const many = files_gallery("many", LK_COSINE, FACES_DIM);
  random_state random = {11};
  float *rows = files_random(&random, ROWS, FACES_DIM);
  files_enroll(many, rows, ROWS, FACES_DIM, NULL);
  free(rows);
  redis_do(&redis, "CONFIG", "SET", "slowlog-log-slower-than", "500000", NULL);
  for (int i = 0; i < LARGE_JOBS; i++)
    send_job(&(test_job){.stream = "lk:{many}:q:lo",
                         .gallery = "many",
                         .to = clients[i % CLIENTS],
                         .k = "4096",
                         .n = "64",
                         .flags = "",
                         .f32 = faces_probes,
                         .bytes = PROBES * FACES_DIM * sizeof(float)});
  worker_start(&worker, many, "--batch", "2560", NULL);
  for (int i = 0; i < CLIENTS; i++) {
    char list[64];
    snprintf(list, sizeof list, "lk:{many}:r:%s", clients[i]);
    cr_assert(redis_reaches(&redis, LARGE_JOBS / CLIENTS, "LLEN", list, NULL), "%s", process_log(&worker));
  }
  uint64_t peak_mb = peak_bytes(&worker) >> 20;
  cr_assert_lt(peak_mb, LARGE_PEAK_MB, "%llu MB", (unsigned long long)peak_mb);
  cr_assert_eq(redis_number(&redis, "SLOWLOG", "LEN", NULL), 0);
  cr_assert_eq(pushes(), LARGE_JOBS);
  worker_stop(&worker);
}
