/* Two workers with the same gallery, of which Redis knows less than they do. */
#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "tests/e2e/live/changing.h"

#define STATE "lk:{faces}:log:state"

static process worker, other;
static char replica[PATH_MAX]; /* the other's folder */

static void start_other(void) {
  likeness_start(&other, "serve", replica, "--redis", redis.url, NULL);
  cr_assert(process_logs(&other, "serving faces", PROCESS_PATIENCE_MS), "%s", process_log(&other));
}

static void setup(void) {
  char words[3 * PATH_MAX];
  e2e_setup();
  strcpy(replica, files_path("replica"));
  cr_assert_eq(mkdir(replica, 0700), 0);
  strcat(replica, "/faces");
  snprintf(words, sizeof words, "cp -r '%s' '%s'", faces, replica);
  cr_assert_eq(system(words), 0);
  redis_server_start(&redis, true);
  worker_start(&worker, NULL);
  changing_await_owner(&worker);
  start_other();
}

static void teardown(void) {
  process_close(&other);
  process_close(&worker);
  e2e_teardown();
}

TestSuite(log_owners, .init = setup, .fini = teardown);

static void enroll(uint32_t number) {
  char id[16], labels[64];
  snprintf(id, sizeof id, "e%u", number);
  snprintf(labels, sizeof labels, "key,subject\nnew-%u,one-%u\n", number, number);
  changing_send(&redis, id, "enroll", changing_vector(number), "labels", labels, NULL);
  cr_assert_eq(changing_expect(&redis, id, NULL), 1);
}

/* A worker that was stopped has to compare the log again before it takes changes. */
static void await_open(void) {
  bool open = false;
  for (int i = 0; i < 200 && !open; i++) {
    changing_send(&redis, "open", "tag", NULL, "keys", "nobody", "tags", "1", "mask", "1", NULL);
    json_t *reply = next_reply("me");
    open = strcmp(reply_text(reply, "status"), "EBUSY") != 0;
    json_decref(reply);
    if (!open) sleep_ms(50);
  }
  cr_assert(open);
}

/* Then the journals have no entry, but the log's last one is known. */
static void erase(process *last) {
  changing_send(&redis, "x", "erase", NULL, NULL);
  changing_expect(&redis, "x", NULL);
  cr_assert(process_logs(&worker, "has no byte of", PROCESS_PATIENCE_MS), "%s", process_log(&worker));
  if (last != &worker) cr_assert(process_logs(last, "has no byte of", PROCESS_PATIENCE_MS), "%s", process_log(last));
}

static void end(process *p, int signal) {
  process_signal(p, signal);
  process_wait(p, PROCESS_PATIENCE_MS);
  process_close(p);
}

/* Redis loses what came after it was saved. */
static void restart_redis(void) {
  redis_server_kill(&redis);
  redis_server_start(&redis, true);
  redis_do(&redis, "DEL", FACES_REPLIES "me", NULL);
}

static void await_applied(const char *folder, const char *words) {
  char *list = NULL;
  bool found = false;
  for (int i = 0; i < 200 && !found; i++) {
    free(list);
    list = changing_list(folder);
    found = strstr(list, words) != NULL;
    if (!found) sleep_ms(50);
  }
  cr_assert(found, "%s", words);
  free(list);
}

static void expect_alike(void) {
  char *one = changing_list(faces), *two = changing_list(replica);
  cr_assert_str_eq(one, two);
  free(one);
  free(two);
}

/* The other worker has what Redis came back with, and the owner three changes more, which were answered. */
Test(log_owners, who_has_less_waits_for_who_has_more) {
  for (uint32_t i = 0; i < 3; i++) enroll(i);
  await_applied(replica, "new-2");
  redis_do(&redis, "SAVE", NULL);
  process_signal(&other, SIGSTOP);
  for (uint32_t i = 3; i < 6; i++) enroll(i);
  process_signal(&worker, SIGSTOP);
  restart_redis();
  process_signal(&other, SIGCONT);
  sleep_ms(1000);
  process_signal(&worker, SIGCONT);
  cr_assert(process_logs(&worker, "3 changes were appended again", PROCESS_PATIENCE_MS), "%s", process_log(&worker));
  await_applied(replica, "new-5");
  expect_alike();
}

/* The owner has folded what Redis lost, and meanwhile another worker owned the log and answered changes. */
Test(log_owners, the_log_of_another_owner_stays) {
  enroll(0);
  await_applied(replica, "new-0");
  redis_do(&redis, "SAVE", NULL);
  process_signal(&other, SIGSTOP);
  for (uint32_t i = 1; i < 4; i++) enroll(i);
  erase(&worker);
  process_signal(&worker, SIGSTOP);
  restart_redis();
  process_signal(&other, SIGCONT);
  changing_await_owner(&other);
  enroll(20);
  process_signal(&other, SIGSTOP);
  sleep_ms(3500);
  process_signal(&worker, SIGCONT);
  cr_assert(process_logs(&worker, "is not in the log in redis, which ends at 2", PROCESS_PATIENCE_MS), "%s",
            process_log(&worker));
  cr_assert_eq(redis_number(&redis, "XLEN", "lk:{faces}:log", NULL), 2);
  end(&worker, SIGKILL);
  process_signal(&other, SIGCONT);
  await_open();
  enroll(21);
  likeness_start(&worker, "serve", faces, "--redis", redis.url, NULL);
  cr_assert_neq(process_wait(&worker, PROCESS_PATIENCE_MS), 0);
  cr_assert_not_null(strstr(process_log(&worker), "have no change in common"), "%s", process_log(&worker));
}

/* It is known by the last entry that was folded. */
Test(log_owners, a_log_that_ends_where_the_journal_begins) {
  enroll(0);
  await_applied(replica, "new-0");
  erase(&other);
  redis_do(&redis, "SAVE", NULL);
  end(&other, SIGTERM);
  for (uint32_t i = 1; i < 3; i++) enroll(i);
  end(&worker, SIGKILL);
  restart_redis();
  worker_start(&worker, NULL);
  cr_assert(process_logs(&worker, "2 changes were appended again", PROCESS_PATIENCE_MS), "%s", process_log(&worker));
  end(&worker, SIGKILL);
  restart_redis();
  start_other();
  changing_await_owner(&other);
  enroll(20);
  worker_start(&worker, NULL);
  cr_assert_not_null(strstr(process_log(&worker), "cut off 2 changes that the log in redis does not have"), "%s",
                     process_log(&worker));
  await_applied(faces, "new-20");
  expect_alike();
}

/* Such as a copy of a gallery. */
Test(log_owners, what_no_journal_has_is_acknowledged) {
  for (uint32_t i = 0; i < 2; i++) enroll(i);
  erase(&worker);
  end(&other, SIGTERM);
  end(&worker, SIGTERM);
  redis_do(&redis, "HSET", STATE, "acked", "1", NULL);
  worker_start(&worker, NULL);
  cr_assert(redis_reaches(&redis, 3, "HGET", STATE, "acked", NULL), "%s", process_log(&worker));
}
