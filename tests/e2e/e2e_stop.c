/* How a worker stops: what it has begun is answered, what it has not is there for the others at once, and it leaves in
 * time whatever Redis does. */
#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/e2e/e2e.h"

/* A worker hands back at 8 s what it has begun, and is out at 10. */
enum { OUT_WITHIN_MS = 10000 };
#ifdef __SANITIZE_THREAD__
enum { SOON_MS = 6000, AT_ONCE_MS = 4000 }; /* its _exit waits a second for other threads */
#else
enum { SOON_MS = 3000, AT_ONCE_MS = 2500 }; /* others claim from 5 s on */
#endif

static process worker, other;
static float *long_probes;

static void teardown(void) {
  if (redis.process.pid > 0) process_signal(&redis.process, SIGCONT);
  process_close(&worker);
  process_close(&other);
  free(long_probes);
  e2e_teardown();
}

TestSuite(stop, .init = e2e_setup_with_redis, .fini = teardown);

static void expect_end(int code, uint32_t within_ms) {
  uint64_t began_ms = now_ms();
  int ended = process_wait(&worker, within_ms);
  cr_assert_neq(ended, PROCESS_LATE, "not out after %u ms: %s", within_ms, process_log(&worker));
  cr_assert_eq(ended, code, "exit code %d after %llu ms: %s", ended, (unsigned long long)(now_ms() - began_ms),
               process_log(&worker));
}

static int64_t answered(const char *to) {
  char key[64];
  snprintf(key, sizeof key, "%s%s", FACES_REPLIES, to);
  return redis_number(&redis, "LLEN", key, NULL);
}

static void expect_all(const char *to, int64_t count, uint32_t within_ms) {
  uint64_t end_ms = now_ms() + within_ms;
  while (answered(to) < count && now_ms() < end_ms) sleep_ms(2);
  cr_assert_eq(answered(to), count, "%lld of %lld jobs are answered %u ms later; %lld are pending",
               (long long)answered(to), (long long)count, within_ms, (long long)pending());
}

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

static void read_end(unsigned long long *jobs, unsigned long long *returned) {
  const char *line = strstr(process_log(&worker), "stopped after ");
  cr_assert(line != NULL && sscanf(line, "stopped after %llu jobs, %*u probes searched; %llu jobs handed back", jobs,
                                   returned) == 2,
            "%s", process_log(&worker));
}

/* Jobs that wait in the worker for company, so that it holds them when it is stopped. */
static void hold_jobs(uint32_t count) {
  worker_start(&worker, "--max-queue-delay-us", "60000000", "--batch", "4096", NULL);
  cr_assert(redis_reaches(&redis, 2, "EXISTS", FACES_HI, FACES_LO, NULL), "the worker makes no groups");
  send_jobs(FACES_LO, "x", "me", count);
  for (uint64_t end_ms = now_ms() + PROCESS_PATIENCE_MS; pending() < (int64_t)count && now_ms() < end_ms;) sleep_ms(2);
  cr_assert_eq(pending(), (int64_t)count, "the worker does not hold the jobs");
}

/* A worker with many jobs queued, which has answered some. */
static void start_busy(uint32_t jobs, int64_t answered_jobs) {
  send_jobs(FACES_LO, "x", "me", jobs);
  worker_start(&worker, "--batch", "1", NULL);
  cr_assert(redis_reaches(&redis, answered_jobs, "LLEN", FACES_REPLIES "me", NULL));
}

/* One batch is full, and answered; the other jobs wait in the worker for company. Somebody else answers these as soon
 * as it has gone. */
Test(stop, what_waits_is_handed_back_at_once) {
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
  cr_assert_eq(answered("me"), BATCH);
  cr_assert_eq(held_by("returned"), MORE);
  cr_assert_eq(pending(), MORE);
  worker_start(&other, NULL);
  expect_all("me", BATCH + MORE, AT_ONCE_MS);
  expect_each_once("me", "x", BATCH + MORE);
  cr_assert_eq(pending(), 0);
  worker_stop(&other);
}

/* The other one does not wait for a lease to run out: it had jobs of its own before, and takes these when they come
 * back. */
Test(stop, the_others_take_over_at_once) {
  enum { JOBS = 200 };
  hold_jobs(JOBS);
  worker_start(&other, NULL);
  sleep_ms(AT_ONCE_MS);
  cr_assert_eq(answered("me"), 0, "the other worker took jobs of one that lives");
  process_signal(&worker, SIGTERM);
  expect_all("me", JOBS, AT_ONCE_MS);
  expect_end(0, OUT_WITHIN_MS);
  expect_each_once("me", "x", JOBS);
  worker_stop(&other);
}

/* Redis answers nothing more, though its connections live: what was not answered stays pending, and the exit says so.
 */
Test(stop, redis_hangs) {
  enum { JOBS = 3000 };
  start_busy(JOBS, 10);
  process_signal(&redis.process, SIGSTOP);
  sleep_ms(100);
  process_signal(&worker, SIGTERM);
  expect_end(1, OUT_WITHIN_MS);
  cr_assert_not_null(strstr(process_log(&worker), "jobs stay pending; other workers take them when the lease ends"),
                     "%s", process_log(&worker));
  process_signal(&redis.process, SIGCONT);
  worker_start(&other, NULL);
  expect_all("me", JOBS, PROCESS_PATIENCE_MS);
  expect_each_once("me", "x", JOBS);
  cr_assert_eq(pending(), 0);
  worker_stop(&other);
}

Test(stop, redis_hangs_and_nothing_is_held) {
  worker_start(&worker, NULL);
  send_job(&(test_job){.to = "me"});
  expect_reply("me", "j1", "OK", "");
  sleep_ms(500); /* so that the worker knows that Redis has its reply */
  process_signal(&redis.process, SIGSTOP);
  process_signal(&worker, SIGTERM);
  expect_end(0, OUT_WITHIN_MS);
}

/* Redis hangs for some of the last seconds only. */
static void stop_while_redis_hangs(void) {
  unsigned long long jobs, returned;
  process_signal(&redis.process, SIGSTOP);
  process_signal(&worker, SIGTERM);
  sleep_ms(4000);
  process_signal(&redis.process, SIGCONT);
  expect_end(0, SOON_MS);
  read_end(&jobs, &returned);
  cr_assert_eq(answered("me"), jobs, "%s", process_log(&worker));
  cr_assert_eq(held_by("returned"), returned, "%s", process_log(&worker));
  cr_assert_eq(pending(), returned, "%s", process_log(&worker));
}

Test(stop, redis_comes_back_for_the_answers) {
  enum { JOBS = 12000 };
  start_busy(JOBS, 50);
  stop_while_redis_hangs();
  cr_assert_lt(answered("me"), JOBS, "too fast to be stopped in the middle");
}

Test(stop, redis_comes_back_for_what_waits) {
  hold_jobs(200);
  stop_while_redis_hangs();
  cr_assert_eq(held_by("returned"), 200);
}

/* A batch of the most probes there may be, on one thread: its search is cancelled. */
Test(stop, a_long_search_is_handed_back) {
  worker_start_long(&worker);
  process_signal(&worker, SIGTERM);
  uint64_t begin_ms = now_ms();
  expect_end(0, OUT_WITHIN_MS);
  cr_assert_geq(now_ms() - begin_ms, 7900, "the search was too short to be cancelled");
  unsigned long long jobs, returned;
  read_end(&jobs, &returned);
  cr_assert_eq(returned, LONG_JOBS, "%s", process_log(&worker));
}

Test(stop, a_second_signal_ends_it_now) {
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

/* The gallery "long", whose searches last. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { LONG_ROWS = 1 << 13 }; /* each takes four times as long, at least */
#else
enum { LONG_ROWS = 1 << 15 };
#endif
enum { LONG_DIM = 512, LONG_PROBES = 1024 };

static char long_folder[PATH_MAX];

static void make_long(void) {
  random_state random = {11};
  strcpy(long_folder, files_gallery("long", LK_COSINE, LONG_DIM));
  float *rows = files_random(&random, LONG_ROWS, LONG_DIM);
  files_enroll(long_folder, rows, LONG_ROWS, LONG_DIM, NULL);
  free(rows);
  long_probes = files_random(&random, LONG_PROBES, LONG_DIM);
}

/* Jobs "x0", "x1", ... */
static void send_long_jobs(uint32_t count) {
  char id[16];
  for (uint32_t i = 0; i < count; i++) {
    snprintf(id, sizeof id, "x%u", i);
    send_job(&(test_job){.stream = "lk:{long}:q:lo",
                         .id = id,
                         .gallery = "long",
                         .n = "1024",
                         .k = "1",
                         .f32 = long_probes,
                         .bytes = sizeof(float) * LONG_DIM * LONG_PROBES});
  }
}

static void start_long(process *p, const char *threads) {
  likeness_start(p, "serve", long_folder, "--redis", redis.url, "--threads", threads, NULL);
  cr_assert(process_logs(p, "serving long", PROCESS_PATIENCE_MS), "%s", process_log(p));
}

static int64_t long_answered(void) { return redis_number(&redis, "LLEN", "lk:{long}:r:me", NULL); }

/* Each of the jobs gets its one reply. */
static void expect_long_once(uint32_t count) {
  uint8_t *met = calloc(count, 1);
  for (int tries = 0; long_answered() < count && tries < 4; tries++) /* ThreadSanitizer is slow */
    (void)redis_reaches(&redis, count, "LLEN", "lk:{long}:r:me", NULL);
  cr_assert_eq(long_answered(), count);
  for (uint32_t i = 0; i < count; i++) {
    json_t *reply = next_reply_at("lk:{long}:r:me");
    uint32_t number = (uint32_t)atoi(reply_text(reply, "id") + 1);
    cr_assert(number < count && !met[number], "x%u is answered twice", number);
    cr_assert_str_eq(reply_text(reply, "status"), "OK");
    met[number] = 1;
    json_decref(reply);
  }
  free(met);
}

/* More is queued than the worker could do in its last ten seconds: it leaves in time all the same, and nothing is lost.
 */
Test(stop, under_a_backlog) {
  enum { JOBS = 160 };
  make_long();
  send_long_jobs(JOBS);
  start_long(&worker, "1");
  cr_assert(redis_reaches(&redis, 2, "LLEN", "lk:{long}:r:me", NULL));
  process_signal(&worker, SIGTERM);
  expect_end(0, OUT_WITHIN_MS);
  cr_assert_lt(long_answered(), JOBS, "too fast to be stopped under a backlog");
  int64_t before = long_answered();
  unsigned long long jobs, returned;
  read_end(&jobs, &returned);
  cr_assert_eq(jobs, before, "%s", process_log(&worker));
  start_long(&other, "2");
  uint64_t end_ms = now_ms() + AT_ONCE_MS;
  while (long_answered() == before && now_ms() < end_ms) sleep_ms(2);
  cr_assert_gt(long_answered(), before, "the other worker has no job of it %d ms later", AT_ONCE_MS);
  expect_long_once(JOBS);
  worker_stop(&other);
}

/* Jobs that a worker left behind: many small ones, then many of `bytes`. */
static void leave_behind(int small, int large, size_t bytes) {
  char *rest = calloc(1, bytes);
  redis_do(&redis, "XGROUP", "CREATE", FACES_LO, LK_GROUP, "0", "MKSTREAM", NULL);
  send_jobs(FACES_LO, "x", "me", (uint32_t)small);
  memset(rest, 'a', bytes - 1);
  for (int i = 0; i < large; i++) send_job(&(test_job){.to = "me", .extra = "x-rest", .extra_value = rest});
  free(rest);
  for (int i = 0; i < small + large; i += 10)
    redis_do(&redis, "XREADGROUP", "GROUP", LK_GROUP, "dead", "COUNT", "10", "STREAMS", FACES_LO, ">", NULL);
}

#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
enum { CLAIMED_PEAK_MB = 16384 };
#else
enum { CLAIMED_PEAK_MB = 300 };
#endif

/* They are held in memory no further than there is room. */
Test(stop, large_jobs_of_the_dead_come_one_by_one) {
  enum { SMALL = 340, LARGE = 60 };
  leave_behind(SMALL, LARGE, 10 << 20);
  worker_start(&worker, NULL);
  for (int tries = 0; redis_number(&redis, "EXISTS", FACES_REPLIES "me", NULL) == 0 && tries < 500; tries++)
    sleep_ms(20);
  cr_assert(redis_reaches(&redis, SMALL + LARGE, "LLEN", FACES_REPLIES "me", NULL), "%s", process_log(&worker));
  cr_assert_leq(process_peak_bytes(&worker) >> 20, CLAIMED_PEAK_MB);
  worker_stop(&worker);
  cr_assert_eq(pending(), 0);
}

/* What is handed back is also what was claimed and has no room yet. */
Test(stop, what_was_claimed_is_handed_back) {
  enum { SMALL = 340, LARGE = 20, CLAIMED_LEAST = SMALL + 8 };
  leave_behind(SMALL, LARGE, 20 << 20);
  worker_start(&worker, "--batch", "4096", "--max-queue-delay-us", "60000000", NULL);
  for (int tries = 0; held_by("-") < CLAIMED_LEAST && tries < 500; tries++) sleep_ms(20);
  sleep_ms(1500);
  int64_t held = held_by("-");
  cr_assert_geq(held, CLAIMED_LEAST);
  process_signal(&worker, SIGTERM);
  expect_end(0, SOON_MS);
  unsigned long long jobs, returned;
  read_end(&jobs, &returned);
  cr_assert(jobs == 0 && returned == (unsigned long long)held, "%s", process_log(&worker));
  cr_assert_eq(held_by("returned"), held);
  cr_assert_eq(held_by("-"), 0);
}
