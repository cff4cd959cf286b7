/* The functions that clients call: jobs whose replies are kept, lists that nobody reads, cancelled jobs. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/e2e/functions/calls.h"

TestSuite(submit, .init = calls_setup, .fini = calls_teardown);

#define STREAM FACES_LO
#define LIST FACES_MY_REPLIES

/* Sends a job; returns its entry, until the next call. */
static const char *submit(const char *id) {
  static char entry[48];
  lk_redis_reply *reply = redis_ask(&redis, "FCALL", LK_SUBMIT, "1", STREAM, "v", "1", "id", id, "to", "me", NULL);
  size_t length;
  cr_assert_str_eq(lk_redis_reply_string(lk_redis_reply_element(reply, 0), &length), "QUEUED");
  strcpy(entry, lk_redis_reply_string(lk_redis_reply_element(reply, 1), &length));
  lk_redis_reply_free(reply);
  return entry;
}

#define SUBMIT(pattern, id) expect_call(pattern, LK_SUBMIT, "1", STREAM, "v", "1", "id", id, "to", "me", NULL)

static void read_all(const char *group) {
  redis_do(&redis, "XREADGROUP", "GROUP", group, "c", "STREAMS", STREAM, ">", NULL);
}

static void finish_in(const char *group, const char *entry, const char *id, const char *answer) {
  expect_call("(1 0 0 0 *)", LK_FINISH, "3", STREAM, FACES_DEAD, LIST, group, entry, "1", ALWAYS, id, answer, NULL);
}

/* Reads and answers it. */
static void answer(const char *entry, const char *id, const char *text) {
  read_all(LK_GROUP);
  finish_in(LK_GROUP, entry, id, text);
}

static int64_t redis_time_s(void) {
  lk_redis_reply *reply = redis_ask(&redis, "TIME", NULL);
  int64_t s = lk_redis_reply_integer(lk_redis_reply_element(reply, 0));
  lk_redis_reply_free(reply);
  return s;
}

/* The key of what is kept of the client `me` in an hour. */
static const char *kept_key(int64_t hour) {
  static char key[64];
  snprintf(key, sizeof key, "lk:{faces}:j:%lld:me", (long long)hour);
  return key;
}

#define KEPT kept_key(redis_time_s() / 3600)

Test(submit, a_job_sent_again_is_queued_once_and_answered_again) {
  char entry[48], waits[64];
  strcpy(entry, submit("a"));
  snprintf(waits, sizeof waits, "(WAITING %s)", entry);
  SUBMIT(waits, "a");
  read_all(LK_GROUP);
  SUBMIT(waits, "a");
  finish_in(LK_GROUP, entry, "a", "found");
  expect_redis("(found)", "LRANGE", LIST, "0", "-1", NULL);
  SUBMIT("(ANSWERED )", "a");
  redis_do(&redis, "DEL", LIST, NULL);
  SUBMIT("(ANSWERED )", "a");
  expect_redis("(found)", "LRANGE", LIST, "0", "-1", NULL);
  cr_assert_gt(redis_number(&redis, "PTTL", LIST, NULL), 590000);
  SUBMIT("(QUEUED *)", "b");
  expect_redis("1", "XLEN", STREAM, NULL);
}

/* Only the reply to the job that it waits for is kept under its id. */
Test(submit, a_plain_job_of_the_same_id_is_another_one) {
  char entry[48];
  redis_do(&redis, "XADD", STREAM, "1-1", "id", "a", "to", "me", NULL);
  strcpy(entry, submit("a"));
  answer("1-1", "a", "plain");
  SUBMIT("(WAITING *)", "a");
  finish_in(LK_GROUP, entry, "a", "kept");
  SUBMIT("(ANSWERED )", "a");
  expect_redis("(plain kept kept)", "LRANGE", LIST, "0", "-1", NULL);
}

Test(submit, a_job_that_redis_lost_is_queued_again) {
  redis_do(&redis, "XDEL", STREAM, submit("a"), NULL);
  SUBMIT("(QUEUED *)", "a");
}

/* An administrator may have removed the consumer that held it, or moved the group on. As long as a group that is alive
 * needs the entry, or none is alive, somebody will answer it. */
Test(submit, a_job_that_no_group_needs_is_queued_again) {
  submit("a");
  read_all(LK_GROUP);
  redis_do(&redis, "XGROUP", "DELCONSUMER", STREAM, LK_GROUP, "c", NULL);
  SUBMIT("(QUEUED *)", "a");
  redis_do(&redis, "XGROUP", "SETID", STREAM, LK_GROUP, "$", NULL);
  SUBMIT("(QUEUED *)", "a");
  SUBMIT("(WAITING *)", "a");
  redis_do(&redis, "XGROUP", "SETID", STREAM, LK_GROUP, "$", NULL);
  expect_call("1", LK_JOIN, "1", STREAM, "other", NULL);
  SUBMIT("(WAITING *)", "a");
  redis_do(&redis, "XGROUP", "SETID", STREAM, "other", "$", NULL);
  redis_do(&redis, "DEL", FACES_GROUPS, NULL);
  SUBMIT("(WAITING *)", "a");
  redis_do(&redis, "ZADD", FACES_GROUPS, "1", LK_GROUP, "9007199254740992", "other", NULL);
  SUBMIT("(QUEUED *)", "a");
  redis_do(&redis, "XGROUP", "DESTROY", STREAM, "other", NULL);
  SUBMIT("(WAITING *)", "a");
}

Test(submit, clients_are_told_apart) {
  static const char *const names[] = {"a", "a:b", "b", "a\nb", "\xc3\xa9", "{x}"};
  for (int i = 0; i < 6; i++) expect_call("(QUEUED *)", LK_SUBMIT, "1", STREAM, "id", "1", "to", names[i], NULL);
  for (int i = 0; i < 6; i++) expect_call("(WAITING *)", LK_SUBMIT, "1", STREAM, "id", "1", "to", names[i], NULL);
  expect_redis("6", "XLEN", STREAM, NULL);
}

/* In its hour and the next. In the last minute of an hour that is the next one already, in case that the clock is set
 * back. */
Test(submit, a_job_is_known_for_an_hour) {
  char name[64];
  submit("a");
  int64_t now_s = redis_time_s(), hour = now_s / 3600, other = now_s % 3600 >= 3540 ? hour + 1 : hour - 1;
  strcpy(name, kept_key(hour));
  int64_t life_ms = redis_number(&redis, "PTTL", name, NULL);
  cr_assert(life_ms > 3600000 && life_ms <= 7200000, "%lld", (long long)life_ms);
  redis_do(&redis, "RENAME", name, kept_key(other), NULL);
  SUBMIT("(WAITING *)", "a");
}

Test(submit, what_the_client_has_is_forgotten) {
  char entry[48];
  strcpy(entry, submit("a"));
  answer(entry, "a", "a reply that is long enough to be counted: more than the few bytes of a job that waits");
  strcpy(entry, submit("b"));
  answer(entry, "b", "b");
  submit("c");
  cr_assert_gt(redis_number(&redis, "HGET", KEPT, "", NULL), 0);
  expect_call("2", LK_FORGET, "1", LIST, "a", "unknown", NULL);
  expect_redis("0", "HGET", KEPT, "", NULL);
  expect_redis("3", "HLEN", KEPT, NULL);
  SUBMIT("(ANSWERED )", "b");
  expect_call("2", LK_FORGET, "1", LIST, "b", "c", NULL);
  expect_redis("0", "EXISTS", KEPT, NULL);
}

/* 64 MiB in an hour. The replies that were not kept are counted, and their jobs are searched again. */
Test(submit, a_client_has_a_share_of_what_is_kept) {
  enum { BYTES = 9 << 20, JOBS = 9 };
  char *reply = malloc(BYTES + 1), entry[48], id[8];
  memset(reply, 'x', BYTES);
  reply[BYTES] = '\0';
  for (int i = 0; i < JOBS; i++) {
    snprintf(id, sizeof id, "%d", i);
    strcpy(entry, submit(id));
    answer(entry, id, reply);
    redis_do(&redis, "DEL", LIST, NULL);
  }
  free(reply);
  expect_redis("2", "HGET", FACES_COUNTS, "replies_not_kept", NULL);
  SUBMIT("(ANSWERED )", "6");
  SUBMIT("(QUEUED *)", "7");
  for (int i = 0; i < JOBS; i++) {
    snprintf(id, sizeof id, "%d", i);
    expect_call("1", LK_FORGET, "1", LIST, id, NULL);
  }
  expect_redis("0", "EXISTS", KEPT, NULL);
}

/* Whoever of two groups finishes last deletes the entry. */
Test(submit, the_last_group_deletes_the_entry) {
  static const char *const orders[][2] = {{LK_GROUP, "e2.s0"}, {"e2.s0", LK_GROUP}};
  expect_call("1", LK_JOIN, "1", FACES_LO, "e2.s0", NULL);
  for (int i = 0; i < 2; i++) {
    char entry[48];
    strcpy(entry, submit(i == 0 ? "a" : "b"));
    read_all(orders[i][0]);
    finish_in(orders[i][0], entry, "", "first, while the other has not read it");
    expect_redis("1", "XLEN", STREAM, NULL);
    read_all(orders[i][1]);
    finish_in(orders[i][1], entry, "", "last");
    expect_redis("0", "XLEN", STREAM, NULL);
  }
  for (int i = 0; i < 2; i++) {
    char entry[48];
    strcpy(entry, submit(i == 0 ? "c" : "d"));
    for (int g = 0; g < 2; g++) read_all(orders[i][g]);
    finish_in(orders[i][0], entry, "", "first, while the other searches");
    expect_redis("1", "XLEN", STREAM, NULL);
    finish_in(orders[i][1], entry, "", "last");
    expect_redis("0", "XLEN", STREAM, NULL);
  }
}

/* A group that no worker joined, or none for a day, keeps nothing; one that was destroyed is made again. */
Test(submit, a_dead_group_keeps_nothing_and_a_destroyed_one_everything) {
  char entry[48];
  redis_do(&redis, "XGROUP", "CREATE", STREAM, "strange", "0", NULL);
  redis_do(&redis, "ZADD", FACES_GROUPS, "1000", "late", NULL);
  redis_do(&redis, "XGROUP", "CREATE", STREAM, "late", "0", NULL);
  strcpy(entry, submit("a"));
  answer(entry, "a", "a");
  expect_redis("0", "XLEN", STREAM, NULL);
  expect_call("1", LK_JOIN, "1", FACES_LO, "e2.s0", NULL);
  redis_do(&redis, "XGROUP", "DESTROY", STREAM, "e2.s0", NULL);
  strcpy(entry, submit("b"));
  answer(entry, "b", "b");
  expect_redis("1", "XLEN", STREAM, NULL);
}

/* Pushes `count` replies of `bytes` in one call. */
static void fill_list(int count, size_t bytes) {
  char *reply = malloc(bytes + 1);
  memset(reply, 'x', bytes);
  reply[bytes] = '\0';
  for (int done = 0; done < count;) {
    lk_command command = {0};
    lk_functions_begin(&command, LK_FINISH, "3");
    const char *const first[] = {STREAM, FACES_DEAD, LIST, LK_GROUP};
    for (int i = 0; i < 4; i++) lk_command_add_string(&command, first[i]);
    static char entries[500][48];
    for (int i = 0; i < 500 && done < count; i++, done++) {
      lk_redis_reply *added = redis_ask(&redis, "XADD", STREAM, "*", "to", "me", NULL);
      size_t length;
      strcpy(entries[i], lk_redis_reply_string(added, &length));
      lk_redis_reply_free(added);
      const char *const job[] = {entries[i], "1", ALWAYS, "", reply};
      for (int r = 0; r < 6; r++) lk_command_add_string(&command, job[r]);
    }
    read_all(LK_GROUP);
    lk_redis_reply *result = NULL;
    cr_assert_eq(lk_redis_call(redis.link, &command, &result, NULL), LK_OK);
    cr_assert_null(lk_redis_reply_error(result), "%s", lk_redis_reply_error(result));
    lk_redis_reply_free(result);
    lk_command_free(&command);
  }
  free(reply);
}

Test(submit, a_list_has_a_greatest_number_of_replies) {
  for (int i = 0; i < 100; i++)
    redis_do(&redis, "EVAL", "for i = 1, 1000 do redis.call('RPUSH', KEYS[1], 'old') end", "1", LIST, NULL);
  fill_list(1, 3);
  expect_redis("90000", "LLEN", LIST, NULL);
  expect_redis("(old xxx)", "LRANGE", LIST, "-2", "-1", NULL);
  expect_redis("10001", "HGET", FACES_COUNTS, "replies_dropped", NULL);
  expect_redis("((* (entry 0-0 to me reason 10001 replies were dropped: the client did not read them)))", "XRANGE",
               FACES_DEAD, "-", "+", NULL);
  fill_list(1, 3);
  expect_redis("1", "XLEN", FACES_DEAD, NULL);
}

/* 256 MiB, also where many small replies hide the large ones. */
Test(submit, a_list_has_a_greatest_size) {
  fill_list(3000, 20);
  for (int i = 0; i < 5; i++) fill_list(8, 8 << 20);
  int64_t bytes = redis_number(&redis, "MEMORY", "USAGE", LIST, "SAMPLES", "0", NULL);
  cr_assert_leq(bytes, 272 << 20, "%lld", (long long)bytes);
  cr_assert_geq(bytes, 200 << 20, "%lld", (long long)bytes);
  cr_assert_gt(redis_number(&redis, "HGET", FACES_COUNTS, "replies_dropped", NULL), 0);
  cr_assert_gt(redis_number(&redis, "XLEN", FACES_DEAD, NULL), 0);
}

Test(submit, cancel) {
  int64_t now_s = redis_time_s();
  expect_call("0", LK_CANCEL, "1", FACES_CANCELLED, "me", NULL);
  expect_call("2", LK_CANCEL, "1", FACES_CANCELLED, "you", "a", "b\nc", NULL);
  const char *const fields[] = {"me", "you\na", "you\nb\nc"};
  for (int i = 0; i < 3; i++) {
    int64_t ms = redis_number(&redis, "HGET", FACES_CANCELLED, fields[i], NULL);
    cr_assert(ms >= now_s * 1000 && ms < now_s * 1000 + 60000, "%s: %lld", fields[i], (long long)ms);
  }
  expect_redis("3", "HLEN", FACES_CANCELLED, NULL);
  expect_redis("86400", "TTL", FACES_CANCELLED, NULL);
}

/* However many clients cancel, and for how long. */
Test(submit, cancelled_jobs_are_forgotten_in_time) {
  for (int i = 0; i < 200; i++) {
    char id[16];
    snprintf(id, sizeof id, "old\n%d", i);
    redis_do(&redis, "HSET", FACES_CANCELLED, id, "1000", NULL);
  }
  for (int i = 0; i < 300; i++) expect_call("1", LK_CANCEL, "1", FACES_CANCELLED, "me", "same", NULL);
  cr_assert_leq(redis_number(&redis, "HLEN", FACES_CANCELLED, NULL), 3);
  expect_redis("1", "HEXISTS", FACES_CANCELLED, "me\nsame", NULL);
}

/* What is no time is as old as can be. */
Test(submit, a_word_among_the_cancelled_jobs_goes) {
  redis_do(&redis, "HSET", FACES_CANCELLED, "me", "nonsense", NULL);
  for (int i = 0; i < 2; i++) expect_call("1", LK_CANCEL, "1", FACES_CANCELLED, "me", "b", NULL);
  expect_redis("0", "HEXISTS", FACES_CANCELLED, "me", NULL);
}

#define WHERE(pattern, entry) expect_call(pattern, LK_WHERE, "2", STREAM, FACES_WORKERS, LK_GROUP, entry, NULL)

Test(submit, where) {
  char entry[48];
  submit("a");
  strcpy(entry, submit("b"));
  WHERE("(UNSERVED 2  0 0)", entry);
  expect_call("(1 *)", LK_LEASE, "1", FACES_WORKERS, "c", "60000", LK_GROUP, NULL);
  WHERE("(QUEUED 2  0 0)", entry);
  redis_do(&redis, "XREADGROUP", "GROUP", LK_GROUP, "c", "COUNT", "1", "STREAMS", STREAM, ">", NULL);
  WHERE("(QUEUED 1  0 0)", entry);
  read_all(LK_GROUP);
  sleep_ms(5);
  WHERE("(HELD 0 c [1-9]* 1)", entry);
  expect_call("1", LK_RETURN, "1", STREAM, LK_GROUP, "c", entry, NULL);
  WHERE("(QUEUED 0  0 0)", entry);
  redis_do(&redis, "DEL", FACES_WORKERS, NULL);
  redis_do(&redis, "XCLAIM", STREAM, LK_GROUP, "dead", "0", entry, "JUSTID", NULL);
  WHERE("(HELD 0 dead * 0)", entry);
  expect_call("1", LK_JOIN, "1", FACES_LO, "e2.s0", NULL);
  finish_in(LK_GROUP, entry, "b", "b");
  expect_redis("2", "XLEN", STREAM, NULL);
  WHERE("(GONE 0  0 0)", entry);
  WHERE("(GONE 0  0 0)", "18446744073709551615-0");
}

Test(submit, clients_calls_check_what_they_are_given) {
  static char long_name[130];
  memset(long_name, 'x', 129);
  const struct {
    const char *words[12], *expected;
  } cases[] = {
      {{LK_SUBMIT, "0", "id", "a", "to", "me"}, "wrong number of keys"},
      {{LK_SUBMIT, "1", STREAM, "id", "a"}, "wrong number of arguments, 2"},
      {{LK_SUBMIT, "1", STREAM, "id", "a", "to", "me", "v"}, "the last field has no value"},
      {{LK_SUBMIT, "1", STREAM, "id", "a", "v", "1"}, "the field to is missing"},
      {{LK_SUBMIT, "1", STREAM, "v", "id", "to", "me"}, "the field id is missing"},
      {{LK_SUBMIT, "1", STREAM, "id", "a", "id", "", "to", "me"}, "the field id is missing"},
      {{LK_SUBMIT, "1", STREAM, "id", "a", "to", long_name}, "the field to is longer"},
      {{LK_SUBMIT, "1", FACES_DEAD, "id", "a", "to", "me"}, "key 1 is not a stream of jobs"},
      {{LK_FORGET, "1", LIST}, "wrong number of arguments"},
      {{LK_FORGET, "1", LIST, ""}, "argument 1 is empty"},
      {{LK_FORGET, "1", FACES_REPLIES, "a"}, "key 1"},
      {{LK_CANCEL, "1", FACES_CANCELLED}, "wrong number of arguments"},
      {{LK_CANCEL, "1", FACES_CANCELLED, "me", ""}, "argument 2 is empty"},
      {{LK_CANCEL, "1", FACES_CANCELLED, "a\nb"}, "a line feed"},
      {{LK_CANCEL, "1", FACES_COUNTS, "me"}, "key 1"},
      {{LK_WHERE, "1", STREAM, LK_GROUP, "1-1"}, "wrong number of keys"},
      {{LK_WHERE, "2", STREAM, FACES_WORKERS, "", "1-1"}, "argument 1 is empty"},
      {{LK_WHERE, "2", STREAM, FACES_WORKERS, LK_GROUP, "1"}, "argument 2"},
      {{LK_WHERE, "2", FACES_DEAD, FACES_WORKERS, LK_GROUP, "1-1"}, "key 1"},
      {{LK_WHERE, "2", STREAM, "lk:{other}:workers", LK_GROUP, "1-1"}, "key 2"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) expect_refused(cases[i].expected, cases[i].words);
}
