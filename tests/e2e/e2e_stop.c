/* How a worker stops: what it has begun is answered, what it has not is there for the others at once, and it leaves in
 * time whatever Redis does. */
#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/e2e/e2e.h"

/* A worker hands back at 8 s what it has begun, and is out at 10. */
enum { OUT_WITHIN_MS = 10000, AT_ONCE_MS = 1000 };

static process worker, other;
static float *long_probes;

static void setup(void) {
  e2e_setup();
  redis_server_start(&redis, true);
}

static void teardown(void) {
  if (redis.process.pid > 0) process_signal(&redis.process, SIGCONT);
  process_close(&worker);
  process_close(&other);
  free(long_probes);
  e2e_teardown();
}

TestSuite(stop, .init = setup, .fini = teardown);

static void expect_code(process *p, int expected, uint32_t within_ms) {
  uint64_t began_ms = now_ms();
  int code = process_wait(p, within_ms);
  cr_assert_neq(code, PROCESS_LATE, "not out after %u ms: %s", within_ms, process_log(p));
  cr_assert_eq(code, expected, "exit code %d after %llu ms: %s", code, (unsigned long long)(now_ms() - began_ms),
               process_log(p));
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

/* Jobs that wait in the worker for company, so that it holds them when it is stopped. */
static void hold_jobs(process *holder, uint32_t count) {
  worker_start(holder, "--max-queue-delay-us", "60000000", "--batch", "4096", NULL);
  cr_assert(redis_reaches(&redis, 2, "EXISTS", FACES_HI, FACES_LO, NULL), "the worker makes no groups");
  send_jobs(FACES_LO, "x", "me", count);
  for (uint64_t end_ms = now_ms() + PROCESS_PATIENCE_MS; pending() < (int64_t)count && now_ms() < end_ms;) sleep_ms(2);
  cr_assert_eq(pending(), (int64_t)count, "the worker does not hold the jobs");
}

/* It searches nothing that it has not begun: somebody else answers these jobs as soon as it has gone. */
Test(stop, what_was_not_begun_is_handed_back) {
  enum { JOBS = 200 };
  hold_jobs(&worker, JOBS);
  process_signal(&worker, SIGTERM);
  expect_code(&worker, 0, OUT_WITHIN_MS);
  cr_assert_eq(answered("me"), 0, "the worker began %lld jobs after it was stopped", (long long)answered("me"));
  worker_start(&other, NULL);
  expect_all("me", JOBS, AT_ONCE_MS);
  expect_each_once("me", "x", JOBS);
  cr_assert_eq(pending(), 0);
  worker_stop(&other);
}

/* The other one does not wait for a lease to run out: it had jobs of its own before, and takes these when they come
 * back. */
Test(stop, the_others_take_over_at_once) {
  enum { JOBS = 200 };
  hold_jobs(&worker, JOBS);
  worker_start(&other, NULL);
  sleep_ms(AT_ONCE_MS);
  cr_assert_eq(answered("me"), 0, "the other worker took jobs of one that lives");
  process_signal(&worker, SIGTERM);
  expect_all("me", JOBS, AT_ONCE_MS);
  expect_code(&worker, 0, OUT_WITHIN_MS);
  expect_each_once("me", "x", JOBS);
  worker_stop(&other);
}

/* Redis answers nothing more, though its connections live: what was not answered stays pending, and the exit says so.
 */
Test(stop, redis_hangs) {
  enum { JOBS = 3000 };
  worker_start(&worker, "--batch", "1", NULL);
  send_jobs(FACES_LO, "x", "me", JOBS);
  cr_assert(redis_reaches(&redis, 10, "LLEN", FACES_REPLIES "me", NULL));
  process_signal(&redis.process, SIGSTOP);
  sleep_ms(100);
  process_signal(&worker, SIGTERM);
  expect_code(&worker, 1, OUT_WITHIN_MS);
  process_signal(&redis.process, SIGCONT);
  worker_start(&other, NULL);
  expect_all("me", JOBS, PROCESS_PATIENCE_MS);
  expect_each_once("me", "x", JOBS);
  cr_assert_eq(pending(), 0);
  worker_stop(&other);
}

/* Redis hangs before the worker has anything to answer. */
Test(stop, redis_hangs_and_nothing_is_open) {
  worker_start(&worker, NULL);
  workers_await(FACES_WORKERS);
  process_signal(&redis.process, SIGSTOP);
  sleep_ms(700);
  process_signal(&worker, SIGTERM);
  int code = process_wait(&worker, OUT_WITHIN_MS);
  cr_assert(code == 0 || code == 1, "exit code %d: %s", code, process_log(&worker));
}

/* Whoever sends it twice means now. */
Test(stop, the_second_sigterm) {
  hold_jobs(&worker, 100);
  process_signal(&redis.process, SIGSTOP);
  sleep_ms(100);
  process_signal(&worker, SIGTERM);
  cr_assert_eq(process_wait(&worker, 500), PROCESS_LATE, "%s", process_log(&worker));
  process_signal(&worker, SIGTERM);
  expect_code(&worker, 128 + SIGTERM, 500);
  process_signal(&redis.process, SIGCONT);
  worker_start(&other, NULL);
  expect_all("me", 100, PROCESS_PATIENCE_MS);
  worker_stop(&other);
}

/* The gallery "long", whose searches last: `rows` templates of LONG_DIM. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { LONG_SLOWER = 4 }; /* times, at least, that a search takes */
#else
enum { LONG_SLOWER = 1 };
#endif
enum { LONG_DIM = 512, LONG_PROBES = 4096 };

static char long_folder[PATH_MAX];

static void make_long(uint32_t rows_count) {
  random_state random = {11};
  strcpy(long_folder, files_gallery("long", LK_COSINE, LONG_DIM));
  float *rows = files_random(&random, rows_count, LONG_DIM);
  files_enroll(long_folder, rows, rows_count, LONG_DIM, NULL);
  free(rows);
  long_probes = files_random(&random, LONG_PROBES, LONG_DIM);
}

/* Jobs "x0", "x1", ... of so many probes each. */
static void send_long_jobs(uint32_t count, uint32_t probes_count) {
  char id[16], n[16];
  snprintf(n, sizeof n, "%u", probes_count);
  for (uint32_t i = 0; i < count; i++) {
    snprintf(id, sizeof id, "x%u", i);
    send_job(&(test_job){.stream = "lk:{long}:q:lo",
                         .id = id,
                         .gallery = "long",
                         .n = n,
                         .k = "1",
                         .f32 = long_probes,
                         .bytes = sizeof(float) * LONG_DIM * probes_count});
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
  cr_assert(redis_reaches(&redis, count, "LLEN", "lk:{long}:r:me", NULL), "%lld of %u jobs are answered",
            (long long)long_answered(), count);
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
  make_long((1 << 15) / LONG_SLOWER);
  send_long_jobs(JOBS, 1024);
  start_long(&worker, "1");
  cr_assert(redis_reaches(&redis, 2, "LLEN", "lk:{long}:r:me", NULL));
  process_signal(&worker, SIGTERM);
  expect_code(&worker, 0, OUT_WITHIN_MS);
  cr_assert_lt(long_answered(), JOBS, "too fast to be stopped under a backlog");
  int64_t before = long_answered();
  start_long(&other, "2");
  uint64_t end_ms = now_ms() + AT_ONCE_MS;
  while (long_answered() == before && now_ms() < end_ms) sleep_ms(2);
  cr_assert_gt(long_answered(), before, "the other worker has no job of it %d ms later", AT_ONCE_MS);
  expect_long_once(JOBS);
  worker_stop(&other);
}

/* A search that would last longer is cancelled, and its job is handed back. */
Test(stop, in_a_long_search) {
  enum { JOBS = 2 };
  make_long((1 << 18) / LONG_SLOWER);
  start_long(&worker, "1");
  send_long_jobs(JOBS, LONG_PROBES);
  sleep_ms(500);
  uint64_t began_ms = now_ms();
  process_signal(&worker, SIGTERM);
  expect_code(&worker, 0, OUT_WITHIN_MS);
  cr_assert_lt(long_answered(), JOBS, "too fast to be stopped in a search: %llu ms",
               (unsigned long long)(now_ms() - began_ms));
  start_long(&other, "2");
  expect_long_once(JOBS);
  worker_stop(&other);
}
