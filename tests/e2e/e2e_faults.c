/* What goes wrong around the worker: Redis away, Redis restarted, wrong passwords. */
#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/e2e/e2e.h"

static process worker, client;

static void teardown(void) {
  process_close(&worker);
  process_close(&client);
  e2e_teardown();
}

TestSuite(faults, .init = e2e_setup, .fini = teardown);

static int submit_within(const char *timeout_s) {
  return likeness(&client, "submit", probes, "--redis", redis.url, "--gallery", "faces", "--timeout", timeout_s,
                  "--format", "csv", NULL);
}

static int submit(void) { return submit_within("20"); }

static void expect_log(process *p, const char *words) {
  cr_assert(process_logs(p, words, PROCESS_PATIENCE_MS), "'%s' is not in: %s", words, process_log(p));
}

static uint32_t count_words(const char *text, const char *words) {
  uint32_t count = 0;
  for (; (text = strstr(text, words)) != NULL; text++) count++;
  return count;
}

Test(faults, redis_is_away_at_the_start) {
  cr_assert_eq(submit_within("1"), 1);
  expect_log(&client, "redis at unix:");
  cr_assert_str_eq(strchr(process_out(&client), '\n'), "\n", "more than the header");
  worker_start(&worker, NULL);
  expect_log(&worker, "redis at unix:");
  redis_server_start(&redis, true);
  expect_log(&worker, "redis is back");
  cr_assert_eq(submit(), 0, "%s", process_log(&client));
  /* One line for each cause (no socket yet, nobody listening yet), and one when Redis is back. */
  uint32_t remarks = count_words(process_log(&worker), "intake lo");
  cr_assert(remarks == 2 || remarks == 3, "%s", process_log(&worker));
  worker_stop(&worker);
}

Test(faults, a_worker_without_redis_can_be_stopped) {
  worker_start(&worker, NULL);
  worker_stop(&worker);
}

Test(faults, redis_restarted_and_everything_in_it_gone) {
  redis_server_start(&redis, true);
  worker_start(&worker, NULL);
  cr_assert_eq(submit(), 0, "%s", process_log(&client));
  process_signal(&worker, SIGSTOP);
  likeness_start(&client, "submit", probes, "--redis", redis.url, "--gallery", "faces", NULL);
  cr_assert(await_queued(3));
  redis_server_kill(&redis);
  redis_server_start(&redis, true);
  process_signal(&worker, SIGCONT);
  cr_assert_eq(process_wait(&client, PROCESS_PATIENCE_MS), 0, "%s", process_log(&client));
  cr_assert_eq(submit(), 0, "%s%s", process_log(&client), process_log(&worker));
  worker_stop(&worker);
  cr_assert_eq(pending(), 0);
}

/* Redis loses its data and functions while the worker has jobs. */
Test(faults, redis_lost_the_jobs_that_are_computed) {
  redis_server_start(&redis, true);
  worker_start(&worker, "--batch", "1", NULL);
  send_jobs(FACES_LO, "x", "me", 3000);
  cr_assert(redis_reaches(&redis, 10, "LLEN", FACES_REPLIES "me", NULL));
  redis_do(&redis, "FLUSHALL", NULL);
  redis_do(&redis, "FUNCTION", "FLUSH", NULL);
  cr_assert_eq(submit(), 0, "%s%s", process_log(&client), process_log(&worker));
  redis_do(&redis, "FUNCTION", "FLUSH", NULL);
  cr_assert_eq(submit(), 0, "%s%s", process_log(&client), process_log(&worker));
  worker_stop(&worker);
}

/* Redis, with an append-only file, is killed while jobs are in the worker: each job is answered once. */
Test(faults, redis_restarted_with_everything_still_there) {
  enum { JOBS = 3000 };
  redis.appendonly = true;
  redis_server_start(&redis, true);
  send_jobs(FACES_LO, "x", "me", JOBS);
  worker_start(&worker, "--batch", "16", NULL);
  for (int64_t answered = 20; answered <= 1020; answered += 500) {
    cr_assert(redis_reaches(&redis, answered, "LLEN", FACES_REPLIES "me", NULL));
    redis_server_kill(&redis);
    redis_server_start(&redis, true);
  }
  cr_assert(redis_reaches(&redis, JOBS, "LLEN", FACES_REPLIES "me", NULL));
  worker_stop(&worker);
  expect_each_once("me", "x", JOBS);
  cr_assert_eq(pending(), 0);
}

/* Only connections break. The worker reads entries again that were delivered but did not arrive. */
Test(faults, connections_break_all_the_time) {
  enum { JOBS = 3000 };
  redis_server_start(&redis, true);
  send_jobs(FACES_LO, "x", "me", JOBS);
  worker_start(&worker, "--batch", "64", NULL);
  for (int i = 0; i < 8; i++) {
    redis_reaches(&redis, 200 * i, "LLEN", FACES_REPLIES "me", NULL);
    redis_do(&redis, "CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes", NULL);
  }
  cr_assert(redis_reaches(&redis, JOBS, "LLEN", FACES_REPLIES "me", NULL));
  worker_stop(&worker);
  expect_each_once("me", "x", JOBS);
  cr_assert_eq(pending(), 0);
}

static void read_consumer(char name[128]) {
  lk_redis_reply *reply = redis_ask(&redis, "XINFO", "CONSUMERS", FACES_LO, LK_GROUP, NULL);
  size_t length;
  cr_assert_eq(lk_redis_reply_elements(reply), 1);
  snprintf(name, 128, "%s",
           lk_redis_reply_string(lk_redis_reply_element(lk_redis_reply_element(reply, 0), 1), &length));
  lk_redis_reply_free(reply);
}

/* Starts Redis and the worker, and reads the worker's name once it has answered a job. */
static void start_consumer(char consumer[128]) {
  redis_server_start(&redis, true);
  worker_start(&worker, NULL);
  send_job(&(test_job){.to = "first"});
  expect_reply("first", "j1", "OK", "");
  read_consumer(consumer);
}

/* Delivered to the worker, as Redis sees it; in one transaction, so that the worker cannot get them itself. */
Test(faults, deliveries_that_never_arrived_are_read_again) {
  enum { JOBS = 700 };
  char consumer[128];
  start_consumer(consumer);
  redis_do(&redis, "MULTI", NULL);
  send_jobs(FACES_LO, "x", "me", JOBS);
  redis_do(&redis, "XREADGROUP", "GROUP", LK_GROUP, consumer, "COUNT", "1000", "STREAMS", FACES_LO, ">", NULL);
  redis_do(&redis, "EXEC", NULL);
  cr_assert_eq(pending(), JOBS);
  redis_do(&redis, "CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes", NULL);
  cr_assert(redis_reaches(&redis, JOBS, "LLEN", FACES_REPLIES "me", NULL), "%s", process_log(&worker));
  worker_stop(&worker);
  expect_each_once("me", "x", JOBS);
  /* One that is read again just when it was finished is computed again, and answered once. */
  int jobs = 0;
  const char *line = strstr(process_log(&worker), "stopped after ");
  cr_assert(line != NULL && sscanf(line, "stopped after %d jobs", &jobs) == 1, "%s", process_log(&worker));
  cr_assert(jobs > JOBS && jobs <= 2 * JOBS, "%d", jobs);
}

/* Entries that were taken out of the stream while they waited for a worker that had been given them: nobody knows any
 * more whom to answer, and the reason is not that the job was malformed. */
Test(faults, entries_deleted_while_pending) {
  char consumer[128];
  start_consumer(consumer);
  redis_do(&redis, "MULTI", NULL);
  send_job(&(test_job){.entry = "*"});
  redis_do(&redis, "XREADGROUP", "GROUP", LK_GROUP, consumer, "STREAMS", FACES_LO, ">", NULL);
  redis_do(&redis, "XTRIM", FACES_LO, "MAXLEN", "0", NULL);
  redis_do(&redis, "EXEC", NULL);
  cr_assert_eq(pending(), 1);
  redis_do(&redis, "CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes", NULL);
  cr_assert(redis_reaches(&redis, 1, "XLEN", FACES_DEAD, NULL), "%s", process_log(&worker));
  lk_redis_reply *reply = redis_ask(&redis, "XREVRANGE", FACES_DEAD, "+", "-", NULL);
  const lk_redis_reply *fields = lk_redis_reply_element(lk_redis_reply_element(reply, 0), 1);
  size_t length;
  const char *reason = lk_redis_reply_string(lk_redis_reply_element(fields, 5), &length);
  cr_assert_str_eq(reason, "the entry was deleted before it was answered");
  lk_redis_reply_free(reply);
  worker_stop(&worker);
  cr_assert_eq(pending(), 0);
}

/* Redis refuses every command while it loads its data. The worker must not take that for a refused password. */
Test(faults, redis_takes_its_time_to_load) {
  redis_server_start(&redis, true);
  worker_start(&worker, NULL);
  for (int i = 0; i < 100; i++) {
    char key[16];
    snprintf(key, sizeof key, "key%d", i);
    redis_do(&redis, "SET", key, "a value of some length, so that loading is interrupted for each", NULL);
  }
  redis_do(&redis, "SAVE", NULL);
  redis_server_kill(&redis);
  const char *const slow[] = {"--key-load-delay", "10000", "--loading-process-events-interval-bytes", "1024"};
  memcpy(redis.more, slow, sizeof slow);
  redis_server_start(&redis, false);
  expect_log(&worker, "LOADING");
  redis_do(&redis, "PING", NULL);
  cr_assert_eq(submit(), 0, "%s%s", process_log(&client), process_log(&worker));
  worker_stop(&worker);
}

/* The client says at once what it waits for, and is served as soon as a worker comes. */
Test(faults, a_worker_comes_while_the_client_waits) {
  redis_server_start(&redis, true);
  likeness_start(&client, "submit", probes, "--redis", redis.url, "--gallery", "faces", "--timeout", "60", NULL);
  expect_log(&client, "no worker serves the gallery 'faces'");
  worker_start(&worker, NULL);
  cr_assert_eq(process_wait(&client, PROCESS_PATIENCE_MS), 0, "%s", process_log(&client));
  worker_stop(&worker);
  cr_assert_eq(redis_number(&redis, "EXISTS", FACES_WORKERS, NULL), 0, "it gave its lease back");
}

/* A worker that is killed, or stopped by a signal, cannot say so; a client still learns it. */
Test(faults, a_lease_runs_out_with_its_worker) {
  redis_server_start(&redis, true);
  worker_start(&worker, NULL);
  workers_await(FACES_WORKERS);
  sleep_ms(LK_LEASE_MS + 500);
  cr_assert_eq(redis_number(&redis, "EXISTS", FACES_WORKERS, NULL), 1, "it is renewed");
  process_signal(&worker, SIGSTOP);
  sleep_ms(LK_LEASE_MS + 100);
  cr_assert_eq(redis_number(&redis, "EXISTS", FACES_WORKERS, NULL), 0);
  likeness_start(&client, "submit", probes, "--redis", redis.url, "--gallery", "faces", NULL);
  expect_log(&client, "no worker serves the gallery 'faces'");
  process_signal(&worker, SIGCONT);
  cr_assert_eq(process_wait(&client, PROCESS_PATIENCE_MS), 0, "%s", process_log(&client));
  worker_stop(&worker);
}

static const char *write_password(const char *name, const char *password) {
  const char *path = files_path(name);
  files_write(path, password, strlen(password));
  return path;
}

static int submit_with(const char *url, const char *password_file) {
  return likeness(&client, "submit", probes, "--redis", url, "--gallery", "faces", "--timeout", "20", "--password-file",
                  password_file, NULL);
}

static int serve_with(const char *url, const char *password_file) {
  return likeness(&worker, "serve", faces, "--redis", url, "--password-file", password_file, NULL);
}

Test(faults, passwords) {
  char right[PATH_MAX], wrong[PATH_MAX];
  strcpy(right, write_password("right", "open sesame\n"));
  strcpy(wrong, write_password("wrong", "open barley"));
  redis.password = "open sesame";
  redis_server_start(&redis, true);
  cr_assert_eq(likeness(&worker, "serve", faces, "--redis", redis.url, NULL), 3);
  expect_log(&worker, "NOAUTH");
  cr_assert_eq(serve_with(redis.url, wrong), 3);
  expect_log(&worker, "WRONGPASS");
  cr_assert_eq(serve_with(redis.url, files_path("none")), 1);
  cr_assert_eq(submit_with(redis.url, wrong), 3);
  expect_log(&client, "WRONGPASS");
  cr_assert_eq(submit(), 3);
  worker_start(&worker, "--password-file", right, NULL);
  cr_assert_eq(submit_with(redis.url, right), 0, "%s", process_log(&client));
  worker_stop(&worker);
}

/* The password changes while the worker has replies to deliver: it says so, once, and waits until its file has the new
 * one. */
Test(faults, password_changed_in_the_middle) {
  enum { JOBS = 3000 };
  char file[PATH_MAX];
  strcpy(file, write_password("rotated", "old\n"));
  redis.password = "old";
  redis_server_start(&redis, true);
  worker_start(&worker, "--batch", "1", "--password-file", file, NULL);
  send_jobs(FACES_LO, "x", "me", JOBS);
  cr_assert(redis_reaches(&redis, 10, "LLEN", FACES_REPLIES "me", NULL));
  process_signal(&worker, SIGSTOP);
  redis_do(&redis, "CONFIG", "SET", "requirepass", "new", NULL);
  redis_do(&redis, "CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes", NULL);
  process_signal(&worker, SIGCONT);
  expect_log(&worker, "refused AUTH: WRONGPASS");
  cr_assert_eq(process_wait(&worker, 3000), PROCESS_LATE, "%s", process_log(&worker));
  cr_assert_leq(count_words(process_log(&worker), "WRONGPASS"), 6, "once a stage: %s", process_log(&worker));
  write_password("rotated", "new\n");
  cr_assert(redis_reaches(&redis, JOBS, "LLEN", FACES_REPLIES "me", NULL), "%s", process_log(&worker));
  worker_stop(&worker);
  expect_each_once("me", "x", JOBS);
}

/* Redis is gone when the worker must stop: the worker tries for its last seconds, and ends with an error. */
Test(faults, stopped_without_redis) {
  redis_server_start(&redis, true);
  worker_start(&worker, "--batch", "1", NULL);
  send_jobs(FACES_LO, "x", "me", 5000);
  cr_assert(redis_reaches(&redis, 10, "LLEN", FACES_REPLIES "me", NULL));
  redis_server_kill(&redis);
  process_signal(&worker, SIGTERM);
  cr_assert_eq(process_wait(&worker, PROCESS_PATIENCE_MS), 1, "%s", process_log(&worker));
  expect_log(&worker, "stay pending");
}
