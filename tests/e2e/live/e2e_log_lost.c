/* What a log survives: its owner, Redis, or both are killed, and come back with less than they had. */
#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "tests/e2e/live/changing.h"

static process worker, other;
static char replica[PATH_MAX]; /* a folder of its own, with the same gallery */
static char entry[CHANGING_ID];

static void setup(void) {
  char words[3 * PATH_MAX];
  e2e_setup();
  strcpy(replica, files_path("replica"));
  cr_assert_eq(mkdir(replica, 0700), 0);
  strcat(replica, "/faces");
  snprintf(words, sizeof words, "cp -r '%s' '%s'", faces, replica);
  cr_assert_eq(system(words), 0);
}

static void teardown(void) {
  process_close(&other);
  process_close(&worker);
  e2e_teardown();
}

TestSuite(log_lost, .init = setup, .fini = teardown);

static void start_replica(void) {
  likeness_start(&other, "serve", replica, "--redis", redis.url, NULL);
  cr_assert(process_logs(&other, "serving faces", PROCESS_PATIENCE_MS), "%s", process_log(&other));
}

static void send_enroll(uint32_t number) {
  char id[16], labels[64];
  snprintf(id, sizeof id, "e%u", number);
  snprintf(labels, sizeof labels, "key,subject\nnew-%u,one-%u\n", number, number);
  changing_send(&redis, id, "enroll", changing_vector(number), "labels", labels, NULL);
}

static void enroll(uint32_t number) {
  char id[16];
  send_enroll(number);
  snprintf(id, sizeof id, "e%u", number);
  cr_assert_eq(changing_expect(&redis, id, entry), 1);
}

/* Waits until a worker has applied all of the log. */
static void await_applied(const char *folder, const char *words) {
  char *list = NULL;
  for (int i = 0; i < 200; i++) {
    free(list);
    list = changing_list(folder);
    if (strstr(list, words) != NULL) break;
    sleep_ms(50);
  }
  cr_assert_not_null(strstr(list, words), "%s", words);
  free(list);
}

static void expect_alike(void) {
  char *one = changing_list(faces), *two = changing_list(replica);
  cr_assert_str_eq(one, two);
  free(one);
  free(two);
}

Test(log_lost, a_worker_is_killed_among_many_changes) {
  enum { CHANGES = 400, KILLS = 4 };
  redis_server_start(&redis, true);
  worker_start(&worker, NULL);
  changing_await_owner(&worker);
  for (int round = 0; round < KILLS; round++) {
    for (uint32_t i = 0; i < CHANGES / KILLS; i++) send_enroll((uint32_t)round * CHANGES / KILLS + i);
    sleep_ms((uint32_t)(3 + 17 * round));
    process_signal(&worker, SIGKILL);
    process_wait(&worker, PROCESS_PATIENCE_MS);
    process_close(&worker);
    worker_start(&worker, NULL);
  }
  cr_assert(redis_reaches(&redis, CHANGES, "LLEN", FACES_REPLIES "me", NULL), "%s", process_log(&worker));
  sleep_ms(1000);
  expect_each_once("me", "e", CHANGES);
  cr_assert_eq(pending(), 0);
  cr_assert_eq(redis_number(&redis, "HGET", "lk:{faces}:log:state", "acked", NULL), CHANGES);
  worker_stop(&worker);
  char *list = changing_list(faces), key[32];
  for (int i = 0; i < CHANGES; i++) {
    snprintf(key, sizeof key, "\nnew-%d,one-%d,", i, i);
    cr_assert_not_null(strstr(list, key), "%s", key);
  }
  free(list);
}

/* Sends a change again until it is made: nobody may own the log just now. */
static void enroll_patiently(uint32_t number) {
  char field[64];
  snprintf(field, sizeof field, "new-%u,", number);
  for (int i = 0; i < 100; i++) {
    send_enroll(number);
    sleep_ms(200);
    char *list = changing_list(faces);
    bool made = strstr(list, field) != NULL;
    free(list);
    if (made) return;
  }
  cr_assert_fail("nobody makes changes: %s %s", process_log(&worker), process_log(&other));
}

/* Each of the first jobs has one reply; that a change was made, or that nobody could make it then. */
static void expect_all_answered(uint32_t count) {
  uint8_t *met = calloc(count, 1);
  uint32_t made = 0, answered = 0;
  char *list = changing_list(faces), field[64];
  for (int64_t left = redis_number(&redis, "LLEN", FACES_REPLIES "me", NULL); left > 0; left--) {
    json_t *reply = next_reply("me");
    uint32_t number = (uint32_t)atoi(reply_text(reply, "id") + 1);
    bool ok = strcmp(reply_text(reply, "status"), "OK") == 0;
    snprintf(field, sizeof field, "\nnew-%u,", number);
    if (number < count) {
      cr_assert(!met[number], "job %u is answered twice", number);
      met[number] = 1;
      answered++;
      made += ok;
      cr_assert_eq(strstr(list, field) != NULL, ok, "job %u: %s: %s", number, reply_text(reply, "status"),
                   reply_text(reply, "text"));
    }
    json_decref(reply);
  }
  fprintf(stderr, "%u of %u changes were made\n", made, answered);
  cr_assert_eq(answered, count);
  free(list);
  free(met);
}

static void kill_and_start(process *p, bool first) {
  process_signal(p, SIGKILL);
  process_wait(p, PROCESS_PATIENCE_MS);
  process_close(p);
  if (first)
    worker_start(&worker, NULL);
  else
    start_replica();
}

/* Two workers with a folder each; whichever dies, the other may go on. Redis, which keeps what it acknowledged, dies
 * too. */
Test(log_lost, workers_and_redis_are_killed_in_turn) {
  enum { CHANGES = 600, KILLS = 12 };
  const char *asked = getenv("LIKENESS_SEED");
  uint64_t seed = asked != NULL ? strtoull(asked, NULL, 10) : 97;
  random_state random = {seed};
  fprintf(stderr, "seed %llu: ", (unsigned long long)seed);
  redis.appendonly = true;
  redis.more[0] = "--appendfsync";
  redis.more[1] = "always";
  redis_server_start(&redis, true);
  worker_start(&worker, NULL);
  changing_await_owner(&worker);
  start_replica();
  for (uint32_t round = 0, sent = 0; round < KILLS; round++) {
    for (; sent < (round + 1) * CHANGES / KILLS; sent++) send_enroll(sent);
    sleep_ms(random_below(&random, 120));
    uint32_t who = random_below(&random, 5);
    if (who == 0) {
      redis_server_kill(&redis);
      redis_server_start(&redis, true);
    } else {
      kill_and_start(who % 2 == 0 ? &worker : &other, who % 2 == 0);
    }
  }
  enroll_patiently(CHANGES);
  cr_assert(await_queued(0), "what the dead held is claimed some seconds later");
  enroll_patiently(CHANGES + 1);
  await_applied(faces, "new-601");
  await_applied(replica, "new-601");
  expect_alike();
  cr_assert(redis_reaches(
      &redis, 1, "EVAL", "return redis.call('HGET', KEYS[1], 'acked') == redis.call('HGET', KEYS[1], 'seq') and 1 or 0",
      "1", "lk:{faces}:log:state", NULL));
  expect_all_answered(CHANGES);
  cr_assert_eq(pending(), 0);
}

/* Redis comes back with a snapshot from before: what was acknowledged since is appended again. */
Test(log_lost, redis_comes_back_with_less) {
  redis_server_start(&redis, true);
  worker_start(&worker, NULL);
  changing_await_owner(&worker);
  for (uint32_t i = 0; i < 10; i++) enroll(i);
  redis_do(&redis, "SAVE", NULL);
  for (uint32_t i = 10; i < 20; i++) enroll(i);
  changing_send(&redis, "twice", "enroll", changing_vector(500), "labels", "key\nnew-3\n", NULL);
  expect_reply("me", "twice", "EEXIST", "new-3");
  changing_send(&redis, "d", "delete", NULL, "keys", "new-12\nnew-2", NULL);
  cr_assert_eq(changing_expect(&redis, "d", entry), 2);
  redis_server_kill(&redis);
  redis_server_start(&redis, true);
  cr_assert(
      process_logs(&worker, "redis had lost the end of the log; 12 changes were appended again", PROCESS_PATIENCE_MS),
      "%s", process_log(&worker));
  cr_assert(redis_reaches(&redis, 22, "HGET", "lk:{faces}:log:state", "acked", NULL), "%s", process_log(&worker));
  redis_do(&redis, "DEL", FACES_REPLIES "me", NULL);
  start_replica();
  enroll(30);
  await_applied(replica, "new-30");
  expect_alike();
  worker_stop(&worker);
  worker_stop(&other);
}

Test(log_lost, redis_comes_back_with_nothing) {
  redis_server_start(&redis, true);
  worker_start(&worker, NULL);
  changing_await_owner(&worker);
  for (uint32_t i = 0; i < 10; i++) enroll(i);
  redis_server_kill(&redis);
  redis_server_start(&redis, true);
  cr_assert(process_logs(&worker, "10 changes were appended again", PROCESS_PATIENCE_MS), "%s", process_log(&worker));
  cr_assert(redis_reaches(&redis, 10, "HGET", "lk:{faces}:log:state", "acked", NULL), "%s", process_log(&worker));
  redis_do(&redis, "DEL", FACES_REPLIES "me", NULL);
  start_replica();
  enroll(30);
  await_applied(replica, "new-30");
  expect_alike();
}

/* What was erased is in no journal any more, so the log begins anew. */
Test(log_lost, redis_comes_back_with_nothing_after_a_fold) {
  redis_server_start(&redis, true);
  worker_start(&worker, NULL);
  changing_await_owner(&worker);
  for (uint32_t i = 0; i < 10; i++) enroll(i);
  changing_send(&redis, "x", "erase", NULL, NULL);
  changing_expect(&redis, "x", NULL);
  cr_assert(process_logs(&worker, "has no byte of", PROCESS_PATIENCE_MS), "%s", process_log(&worker));
  redis_server_kill(&redis);
  redis_server_start(&redis, true);
  cr_assert(process_logs(&worker, "the log begins anew here", PROCESS_PATIENCE_MS), "%s", process_log(&worker));
  enroll(30);
  cr_assert(changing_finds(&redis, changing_vector(30), "new-30", entry));
}

Test(log_lost, a_replica_takes_over_when_the_owner_dies) {
  redis_server_start(&redis, true);
  worker_start(&worker, NULL);
  changing_await_owner(&worker);
  start_replica();
  for (uint32_t i = 0; i < 10; i++) enroll(i);
  await_applied(replica, "new-9");
  process_signal(&worker, SIGKILL);
  process_wait(&worker, PROCESS_PATIENCE_MS);
  changing_await_owner(&other);
  enroll(10);
  cr_assert(changing_finds(&redis, changing_vector(10), "new-10", entry));
  process_close(&worker);
  worker_start(&worker, NULL);
  await_applied(faces, "new-10");
  cr_assert_null(strstr(process_log(&worker), "this worker owns the log"), "%s", process_log(&worker));
  expect_alike();
}

/* The first worker has applied what Redis then lost, and another one owns the log of what is left. */
Test(log_lost, a_worker_that_has_too_much_goes_back) {
  redis_server_start(&redis, true);
  worker_start(&worker, NULL);
  changing_await_owner(&worker);
  for (uint32_t i = 0; i < 5; i++) enroll(i);
  start_replica();
  await_applied(replica, "new-4");
  redis_do(&redis, "SAVE", NULL);
  worker_stop(&other);
  process_close(&other);
  for (uint32_t i = 5; i < 8; i++) enroll(i);
  process_signal(&worker, SIGKILL);
  process_wait(&worker, PROCESS_PATIENCE_MS);
  process_close(&worker);
  redis_server_kill(&redis);
  redis_server_start(&redis, true);
  redis_do(&redis, "DEL", FACES_REPLIES "me", NULL);
  start_replica();
  changing_await_owner(&other);
  enroll(20);
  worker_start(&worker, NULL);
  cr_assert_not_null(strstr(process_log(&worker), "cut off 3 changes that the log in redis does not have"), "%s",
                     process_log(&worker));
  await_applied(faces, "new-20");
  expect_alike();
}
