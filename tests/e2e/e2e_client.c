/* The client that loses nothing: what `submit` does while everything around it breaks, and what it says when it must
 * give up. */
#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/queue/keys.h"
#include "tests/e2e/e2e.h"

static process worker, client, reference;
static lk_keys keys;

static void setup(void) {
  e2e_setup();
  cr_assert_eq(lk_keys_make("faces", &keys, NULL), LK_OK);
  redis_server_name(&redis, files_root);
}

static void teardown(void) {
  process_close(&worker);
  process_close(&client);
  process_close(&reference);
  e2e_teardown();
}

TestSuite(client, .init = setup, .fini = teardown);

/* Three jobs of the 150 probes. */
static void submit_start(const char *timeout_s) {
  likeness_start(&client, "submit", probes, "--redis", redis.url, "--gallery", "faces", "--job-probes", "50",
                 "--timeout", timeout_s, "--format", "csv", NULL);
}

static void expect_log(const char *words) {
  cr_assert(process_logs(&client, words, PROCESS_PATIENCE_MS), "'%s' is not in: %s", words, process_log(&client));
}

static void expect_code(int ended, int code) {
  cr_assert_eq(ended, code, "%d: %s%s", ended, process_log(&client), process_log(&worker));
}

static void expect_end(int code) { expect_code(process_wait(&client, PROCESS_PATIENCE_MS), code); }

/* It printed what identify prints. */
static void expect_output(void) {
  cr_assert_eq(likeness(&reference, "identify", faces, probes, "--format", "csv", "--device", "cpu", NULL), 0);
  cr_assert_gt(strlen(process_out(&reference)), 1000);
  cr_assert_str_eq(process_out(&client), process_out(&reference));
}

static void expect_all(void) {
  expect_end(0);
  expect_output();
}

/* The key of the client's replies, as its jobs in the stream tell; and with it the stream. */
static const char *find_client(char key[LK_KEY_SIZE + 64]) {
  const char *stream = keys.lanes[LK_LO][0];
  for (int i = 0; i < LK_LANES; i++)
    if (redis_number(&redis, "XLEN", keys.lanes[LK_LO][i], NULL) > 0) stream = keys.lanes[LK_LO][i];
  lk_redis_reply *reply = redis_ask(&redis, "XRANGE", stream, "-", "+", "COUNT", "1", NULL);
  const lk_redis_reply *fields = lk_redis_reply_element(lk_redis_reply_element(reply, 0), 1);
  key[0] = '\0';
  for (size_t i = 0; i < lk_redis_reply_elements(fields); i += 2) {
    size_t length;
    if (strcmp(lk_redis_reply_string(lk_redis_reply_element(fields, i), &length), "to") != 0) continue;
    snprintf(key, LK_KEY_SIZE + 64, "%s%s", keys.replies,
             lk_redis_reply_string(lk_redis_reply_element(fields, i + 1), &length));
  }
  lk_redis_reply_free(reply);
  cr_assert_neq(key[0], '\0');
  return stream;
}

static size_t keys_like(const char *pattern) {
  lk_redis_reply *reply = redis_ask(&redis, "KEYS", pattern, NULL);
  size_t count = lk_redis_reply_elements(reply);
  lk_redis_reply_free(reply);
  return count;
}

/* Neither a list of replies nor anything kept of jobs. */
static void expect_nothing_left(void) {
  cr_assert_eq(keys_like("lk:{faces}:r:submit-*"), 0);
  cr_assert_eq(keys_like("lk:{faces}:j:*"), 0);
}

static void restart_redis(void) {
  redis_server_kill(&redis);
  redis_server_start(&redis, true);
}

static void destroy_groups(void) {
  for (int i = 0; i < LK_LANES; i++)
    if (redis_number(&redis, "EXISTS", keys.lanes[LK_LO][i], NULL) > 0)
      redis_do(&redis, "XGROUP", "DESTROY", keys.lanes[LK_LO][i], LK_GROUP, NULL);
}

/* Repeats the probes in a file of `count`. */
static void write_many_probes(uint32_t count) {
  float *many = malloc(sizeof *many * FACES_DIM * count);
  for (size_t i = 0; i < (size_t)FACES_DIM * count; i++) many[i] = faces_probes[i % (FACES_DIM * FACES_PROBES)];
  files_write_npy(probes, "<f4", count, FACES_DIM, many, sizeof *many * FACES_DIM * count);
  free(many);
}

/* Every connection is killed each 100 ms, Redis is killed five times, and the group destroyed once.
 * LIKENESS_CLIENT_PROBES: another number of probes. */
Test(client, loses_nothing) {
  enum { FAULTS = 20 };
  const char *number = getenv("LIKENESS_CLIENT_PROBES");
  uint32_t count = number != NULL ? (uint32_t)strtoul(number, NULL, 10) : 20000;
  int faults = 0, code;
  write_many_probes(count);
  redis.appendonly = true;
  redis_server_start(&redis, true);
  worker_start(&worker, "--max-queue-delay-us", "50000", NULL);
  workers_await(FACES_WORKERS);
  likeness_start(&client, "submit", probes, "--redis", redis.url, "--gallery", "faces", "--job-probes", "8", "--format",
                 "csv", NULL);
  for (; (code = process_wait(&client, 100)) == PROCESS_LATE; faults++) {
    if (faults % 4 == 3 && faults < FAULTS) restart_redis();
    if (faults == 6) destroy_groups();
    redis_do(&redis, "CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes", NULL);
  }
  expect_code(code, 0);
  cr_assert_geq(faults, FAULTS, "it ended before the faults came");
  expect_output();
  expect_nothing_left();
}

Test(client, sends_again_what_redis_lost) {
  redis_server_start(&redis, true);
  submit_start("30");
  cr_assert(await_queued(3));
  redis_do(&redis, "FLUSHALL", NULL);
  redis_do(&redis, "FUNCTION", "FLUSH", NULL);
  cr_assert(await_queued(3), "%s", process_log(&client));
  worker_start(&worker, NULL);
  expect_all();
  expect_nothing_left();
}

/* From an empty Redis on, and while Redis is away. */
Test(client, waits_for_redis) {
  submit_start("30");
  expect_log("; trying again");
  redis_server_start(&redis, true);
  cr_assert(await_queued(3));
  restart_redis();
  cr_assert(await_queued(3));
  worker_start(&worker, NULL);
  expect_all();
}

/* Starts a client without a worker, and has two replies to its job 1 of three: the right one first. */
static void start_with_replies_to_job_1(char key[LK_KEY_SIZE + 64], const char *timeout_s) {
  test_job job = {.id = "1",
                  .k = "10",
                  .n = "50",
                  .flags = NO_FIELD,
                  .f32 = faces_probes + 50 * FACES_DIM,
                  .bytes = 50 * FACES_DIM * sizeof(float)};
  redis_server_start(&redis, true);
  worker_start(&worker, "--max-queue-delay-us", "0", NULL);
  send_job(&job);
  cr_assert(redis_reaches(&redis, 1, "LLEN", FACES_REPLIES "me", NULL));
  job.k = "3";
  send_job(&job);
  cr_assert(redis_reaches(&redis, 2, "LLEN", FACES_REPLIES "me", NULL));
  process_close(&worker);
  redis_do(&redis, "DEL", FACES_WORKERS, FACES_LO, NULL);
  submit_start(timeout_s);
  cr_assert(await_queued(3));
  find_client(key);
}

static void move_reply(const char *key) { redis_do(&redis, "LMOVE", FACES_REPLIES "me", key, "LEFT", "RIGHT", NULL); }

/* The worker does not get job 1: the client has only these two replies to it. */
Test(client, a_second_answer_is_ignored) {
  char key[LK_KEY_SIZE + 64];
  size_t length;
  start_with_replies_to_job_1(key, "30");
  const char *stream = find_client(key);
  lk_redis_reply *reply = redis_ask(&redis, "XRANGE", stream, "-", "+", NULL);
  const lk_redis_reply *entry = lk_redis_reply_element(lk_redis_reply_element(reply, 1), 0);
  redis_do(&redis, "XDEL", stream, lk_redis_reply_string(entry, &length), NULL);
  lk_redis_reply_free(reply);
  move_reply(key);
  move_reply(key);
  while (redis_number(&redis, "EXISTS", key, NULL) > 0) sleep_ms(2);
  worker_start(&worker, NULL);
  expect_all();
}

Test(client, lists_what_was_not_answered) {
  char key[LK_KEY_SIZE + 64];
  start_with_replies_to_job_1(key, "1");
  move_reply(key);
  expect_end(1);
  expect_log("not answered: probes 0 to 49, 100 to 149\n");
  const char *first = strchr(process_out(&client), '\n') + 1;
  cr_assert_eq(strncmp(first, "50,1,", 5), 0, "%s", first);
  cr_assert_not_null(strstr(first, "\n99,10,"));
  cr_assert_null(strstr(first, "\n100,"));
}

Test(client, a_stopped_client_cancels_its_jobs) {
  char key[LK_KEY_SIZE + 64];
  start_with_replies_to_job_1(key, "30");
  process_signal(&client, SIGSTOP);
  move_reply(key);
  move_reply(key);
  cr_assert_eq(redis_number(&redis, "EXISTS", key, NULL), 1, "it was not waiting for more than one");
  process_signal(&client, SIGINT);
  process_signal(&client, SIGCONT);
  cr_assert_eq(process_wait(&client, 1000), 130);
  expect_log("likeness submit: interrupted");
  cr_assert_eq(redis_number(&redis, "HEXISTS", "lk:{faces}:cancelled", key + strlen(keys.replies), NULL), 1);
  expect_nothing_left();
}

Test(client, a_client_without_redis_can_be_stopped) {
  redis_server_start(&redis, true);
  submit_start("30");
  cr_assert(await_queued(3));
  redis_server_kill(&redis);
  expect_log("; trying again");
  process_signal(&client, SIGTERM);
  cr_assert_eq(process_wait(&client, 1000), 143);
  expect_log("likeness submit: interrupted");
}

/* Redis is there and says nothing, neither to the calls of a connection nor to a new one. */
Test(client, a_client_of_a_redis_that_hangs_can_be_stopped) {
  redis_server_start(&redis, true);
  submit_start("30");
  cr_assert(await_queued(3));
  process_signal(&redis.process, SIGSTOP);
  sleep_ms(500);
  process_signal(&client, SIGINT);
  cr_assert_eq(process_wait(&client, 1000), 130);
  expect_log("likeness submit: interrupted");
}

Test(client, gives_up_on_a_redis_that_hangs) {
  redis_server_start(&redis, true);
  submit_start("2");
  cr_assert(await_queued(3));
  process_signal(&redis.process, SIGSTOP);
  expect_code(process_wait(&client, 10000), 1);
  expect_log("no reply for 2 s: redis at unix:");
}

/* Fills Redis above the share of its memory up to which it takes jobs. */
static void fill(void) {
  redis_do(&redis, "CONFIG", "SET", "maxmemory", "64mb", NULL);
  redis_do(&redis, "SETRANGE", "junk", "58000000", "x", NULL);
}

Test(client, waits_while_redis_is_nearly_full) {
  redis_server_start(&redis, true);
  worker_start(&worker, NULL);
  workers_await(FACES_WORKERS);
  fill();
  submit_start("30");
  cr_assert_eq(process_wait(&client, 1000), PROCESS_LATE, "%s", process_log(&client));
  cr_assert_eq(queued(), 0);
  redis_do(&redis, "DEL", "junk", NULL);
  expect_all();
}

Test(client, gives_up_while_redis_is_nearly_full) {
  redis_server_start(&redis, true);
  fill();
  submit_start("1");
  expect_end(1);
  expect_log("no reply for 1 s: redis refused probes 0 to 49: it is nearly full");
}

Test(client, a_reply_key_of_another_type) {
  char key[LK_KEY_SIZE + 64];
  redis_server_start(&redis, true);
  submit_start("30");
  cr_assert(await_queued(3));
  find_client(key);
  redis_do(&redis, "SET", key, "x", NULL);
  expect_end(3);
  expect_log("redis refused to hand over the replies: WRONGTYPE");
}

Test(client, gives_up_without_a_worker) {
  redis_server_start(&redis, true);
  submit_start("1");
  expect_end(1);
  expect_log("likeness: no worker serves the gallery 'faces'; the jobs wait for one");
  expect_log("likeness submit: no reply for 1 s: no worker serves the gallery 'faces'");
  expect_log("not answered: probes 0 to 149\n");
}

Test(client, gives_up_without_redis) {
  submit_start("1");
  expect_end(1);
  expect_log("no reply for 1 s: redis at unix:");
}

/* A lease without a worker. */
Test(client, gives_up_in_a_long_queue) {
  redis_server_start(&redis, true);
  redis_do(&redis, "ZADD", FACES_WORKERS, "9000000000000", "busy", NULL);
  submit_start("1");
  expect_end(1);
  expect_log("no reply for 1 s: probes 0 to 49 are queued behind about 3 jobs");
}

static void expect_held(const char *timeout_s, const char *lease) {
  redis_server_start(&redis, true);
  worker_start(&worker, "--max-queue-delay-us", "1000000", NULL);
  workers_await(FACES_WORKERS);
  submit_start(timeout_s);
  cr_assert(await_queued(3));
  char key[LK_KEY_SIZE + 64];
  const char *stream = find_client(key);
  lk_redis_reply *reply;
  for (int64_t held = 0; held < 3; sleep_ms(2)) {
    reply = redis_ask(&redis, "XPENDING", stream, LK_GROUP, NULL);
    held = lk_redis_reply_integer(lk_redis_reply_element(reply, 0));
    lk_redis_reply_free(reply);
  }
  process_signal(&worker, SIGSTOP);
  expect_end(1);
  expect_log("probes 0 to 49: the worker ");
  expect_log(" s ago and has not answered; its lease ");
  expect_log(lease);
}

Test(client, gives_up_on_a_worker_that_lives) { expect_held("2", "; its lease is valid"); }

Test(client, gives_up_on_a_worker_that_is_gone) { expect_held("6", "; its lease has run out"); }

Test(client, gives_up_on_a_redis_that_lost_a_job) {
  char key[LK_KEY_SIZE + 64];
  redis_server_start(&redis, true);
  submit_start("2");
  cr_assert(await_queued(3));
  fill();
  redis_do(&redis, "XTRIM", find_client(key), "MAXLEN", "0", NULL);
  expect_end(1);
  expect_log("redis lost probes 0 to 49 and does not take them again: it is nearly full");
}

/* A user who may not load the functions waits until a worker did. */
Test(client, waits_for_the_first_worker) {
  redis_server_start(&redis, true);
  redis_do(&redis, "ACL", "SETUSER", "default", "-function", NULL);
  submit_start("30");
  expect_log("redis does not have the queue's functions, and this user may not load them");
  redis_do(&redis, "ACL", "SETUSER", "default", "+@all", NULL);
  worker_start(&worker, NULL);
  expect_all();
}
