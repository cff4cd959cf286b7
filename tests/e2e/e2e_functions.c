/* engine/queue/functions.lua, called as the worker calls it. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/e2e/e2e.h"

#define LIST FACES_REPLIES "me"
#define OTHER FACES_REPLIES "you"

static void setup(void) {
  files_setup();
  redis_server_name(&redis, files_root);
  redis_server_start(&redis, true);
  redis_do(&redis, "FUNCTION", "LOAD", lk_functions_lua, NULL);
  redis_do(&redis, "XGROUP", "CREATE", FACES_LO, LK_GROUP, "0", "MKSTREAM", NULL);
}

static void teardown(void) {
  redis_server_close(&redis);
  files_teardown();
}

TestSuite(functions, .init = setup, .fini = teardown);

/* Adds an entry with this id and delivers all undelivered entries. */
static void deliver(const char *entry) {
  redis_do(&redis, "XADD", FACES_LO, entry, "a", "b", NULL);
  redis_do(&redis, "XREADGROUP", "GROUP", LK_GROUP, "c", "STREAMS", FACES_LO, ">", NULL);
}

static void expect_counts(lk_redis_reply *reply, int64_t answered, int64_t before, int64_t undelivered) {
  cr_assert_eq(lk_redis_reply_elements(reply), 5);
  cr_assert_eq(lk_redis_reply_integer(lk_redis_reply_element(reply, 0)), answered);
  cr_assert_eq(lk_redis_reply_integer(lk_redis_reply_element(reply, 1)), before);
  cr_assert_eq(lk_redis_reply_integer(lk_redis_reply_element(reply, 2)), undelivered);
  lk_redis_reply_free(reply);
}

static void expect_list(const char *key, const char *first, ...) {
  lk_redis_reply *reply = redis_ask(&redis, "LRANGE", key, "0", "-1", NULL);
  va_list more;
  va_start(more, first);
  size_t count = 0;
  for (const char *value = first; value != NULL; value = va_arg(more, const char *), count++) {
    size_t length;
    cr_assert_gt(lk_redis_reply_elements(reply), count);
    cr_assert_str_eq(lk_redis_reply_string(lk_redis_reply_element(reply, count), &length), value);
  }
  va_end(more);
  cr_assert_eq(lk_redis_reply_elements(reply), count);
  lk_redis_reply_free(reply);
}

static int64_t pending_lo(void) {
  lk_redis_reply *reply = redis_ask(&redis, "XPENDING", FACES_LO, LK_GROUP, NULL);
  int64_t count = lk_redis_reply_integer(lk_redis_reply_element(reply, 0));
  lk_redis_reply_free(reply);
  return count;
}

/* Without time limits. */
#define ALWAYS "0", "9007199254740992"

#define FINISH(...)                                                                                          \
  redis_ask(&redis, "FCALL", LK_FINISH, "4", FACES_LO, FACES_DEAD, LIST, OTHER, LK_GROUP, "60000", "100000", \
            __VA_ARGS__, NULL)

Test(functions, finish_pushes_and_acknowledges) {
  deliver("1-1");
  deliver("1-2");
  deliver("1-3");
  expect_counts(FINISH("1-1", "1", ALWAYS, "a", "1-2", "2", ALWAYS, "b", "1-3", "1", ALWAYS, "c"), 3, 0, 0);
  expect_list(LIST, "a", "c", NULL);
  expect_list(OTHER, "b", NULL);
  cr_assert_eq(pending_lo(), 0);
  int64_t life_ms = redis_number(&redis, "PTTL", LIST, NULL);
  cr_assert(life_ms > 0 && life_ms <= 60000);
}

/* With time limits by Redis' clock. A job outside them stays pending. */
Test(functions, a_reply_leaves_in_its_time_only) {
  char now[24], soon[24], past[24];
  deliver("1-1");
  deliver("1-2");
  deliver("1-3");
  lk_redis_reply *reply = FINISH("9-9", "1", ALWAYS, "asks for the time");
  int64_t now_ms = lk_redis_reply_integer(lk_redis_reply_element(reply, 4));
  lk_redis_reply_free(reply);
  snprintf(now, sizeof now, "%lld", (long long)now_ms);
  snprintf(past, sizeof past, "%lld", (long long)now_ms - 1);
  snprintf(soon, sizeof soon, "%lld", (long long)now_ms + 600000);
  reply = FINISH("1-1", "1", past, now, "too late", "1-2", "1", now, soon, "in time", "1-3", "1", soon,
                 "9007199254740992", "too early");
  cr_assert_eq(lk_redis_reply_integer(lk_redis_reply_element(reply, 0)), 1);
  const lk_redis_reply *untimely = lk_redis_reply_element(reply, 3);
  cr_assert_eq(lk_redis_reply_elements(untimely), 2);
  cr_assert_eq(lk_redis_reply_integer(lk_redis_reply_element(untimely, 0)), 1);
  cr_assert_eq(lk_redis_reply_integer(lk_redis_reply_element(untimely, 1)), 3);
  lk_redis_reply_free(reply);
  expect_list(LIST, "in time", NULL);
  cr_assert_eq(pending_lo(), 2);
}

Test(functions, a_job_finished_twice_is_answered_once) {
  deliver("1-1");
  deliver("1-2");
  expect_counts(FINISH("1-1", "1", ALWAYS, "a"), 1, 0, 0);
  expect_counts(FINISH("1-1", "1", ALWAYS, "again", "1-2", "1", ALWAYS, "b"), 1, 1, 0);
  expect_counts(FINISH("1-2", "1", ALWAYS, "again"), 0, 1, 0);
  expect_counts(FINISH("7-7", "1", ALWAYS, "never delivered"), 0, 1, 0);
  expect_list(LIST, "a", "b", NULL);
}

Test(functions, a_job_twice_in_one_call_is_answered_once) {
  deliver("1-1");
  deliver("1-2");
  expect_counts(FINISH("1-1", "1", ALWAYS, "a", "1-2", "1", ALWAYS, "b", "1-1", "1", ALWAYS, "a again"), 2, 1, 0);
  expect_list(LIST, "a", "b", NULL);
  cr_assert_eq(pending_lo(), 0);
}

Test(functions, a_reply_to_a_key_of_another_type_is_buried) {
  redis_do(&redis, "SET", LIST, "text", NULL);
  deliver("1-1");
  deliver("1-2");
  expect_counts(FINISH("1-1", "1", ALWAYS, "a", "1-2", "2", ALWAYS, "b"), 1, 0, 1);
  expect_list(OTHER, "b", NULL);
  cr_assert_eq(redis_number(&redis, "XLEN", FACES_DEAD, NULL), 1);
  cr_assert_eq(pending_lo(), 0);
}

/* A job whose reply is not pushed is not acknowledged either. */
Test(functions, finish_without_a_group_changes_nothing) {
  deliver("1-1");
  redis_do(&redis, "XGROUP", "DESTROY", FACES_LO, LK_GROUP, NULL);
  const char *const words[] = {"FCALL", LK_FINISH, "3",   FACES_LO, FACES_DEAD, LIST, LK_GROUP,
                               "60000", "100000",  "1-1", "1",      ALWAYS,     "a"};
  lk_redis_reply *reply = NULL;
  cr_assert_eq(lk_redis_call_words(redis.link, &reply, NULL, 14, words), LK_OK);
  cr_assert_not_null(lk_redis_reply_error(reply));
  cr_assert_not_null(strstr(lk_redis_reply_error(reply), "NOGROUP"), "%s", lk_redis_reply_error(reply));
  lk_redis_reply_free(reply);
  cr_assert_eq(redis_number(&redis, "EXISTS", LIST, NULL), 0);
}

Test(functions, finish_takes_more_than_lua_can_unpack) {
  enum { JOBS = 9000 };
  static char entries[JOBS][16];
  lk_command command = {0};
  const char *const first[] = {"FCALL", LK_FINISH, "3", FACES_LO, FACES_DEAD, LIST, LK_GROUP, "60000", "8000"};
  for (int i = 0; i < 9; i++) lk_command_add_string(&command, first[i]);
  for (int i = 0; i < JOBS; i++) {
    snprintf(entries[i], sizeof entries[i], "1-%d", i + 1);
    redis_do(&redis, "XADD", FACES_LO, entries[i], "a", "b", NULL);
    lk_command_add_string(&command, entries[i]);
    const char *const rest[] = {"1", ALWAYS, entries[i]};
    for (int r = 0; r < 4; r++) lk_command_add_string(&command, rest[r]);
  }
  redis_do(&redis, "XREADGROUP", "GROUP", LK_GROUP, "c", "STREAMS", FACES_LO, ">", NULL);
  lk_redis_reply *reply = NULL;
  cr_assert_eq(lk_redis_call(redis.link, &command, &reply, NULL), LK_OK);
  expect_counts(reply, JOBS, 0, 0);
  lk_command_free(&command);
  cr_assert_eq(pending_lo(), 0);
  cr_assert_eq(redis_number(&redis, "LLEN", LIST, NULL), 8000, "the cap");
  reply = redis_ask(&redis, "LINDEX", LIST, "-1", NULL);
  size_t length;
  cr_assert_str_eq(lk_redis_reply_string(reply, &length), entries[JOBS - 1], "the newest stay");
  lk_redis_reply_free(reply);
}

Test(functions, discard) {
  deliver("1-1");
  for (int i = 0; i < 2; i++)
    redis_do(&redis, "FCALL", LK_DISCARD, "2", FACES_LO, FACES_DEAD, LK_GROUP, "1-1", "nobody asked", NULL);
  cr_assert_eq(redis_number(&redis, "XLEN", FACES_DEAD, NULL), 1);
  cr_assert_eq(pending_lo(), 0);
}

static int64_t trim(void) { return redis_number(&redis, "FCALL", LK_TRIM, "1", FACES_LO, NULL); }

/* The stream's nodes hold one entry, so that an approximate trim is exact. */
Test(functions, trim_keeps_what_any_group_needs) {
  redis_do(&redis, "CONFIG", "SET", "stream-node-max-entries", "1", NULL);
  redis_do(&redis, "XGROUP", "CREATE", FACES_LO, "slow", "0", NULL);
  for (int i = 1; i <= 12; i++) {
    char entry[16];
    snprintf(entry, sizeof entry, "%d-1", i);
    redis_do(&redis, "XADD", FACES_LO, entry, "a", "b", NULL);
  }
  redis_do(&redis, "XREADGROUP", "GROUP", LK_GROUP, "c", "COUNT", "10", "STREAMS", FACES_LO, ">", NULL);
  cr_assert_eq(trim(), 0, "slow has read nothing");
  redis_do(&redis, "XREADGROUP", "GROUP", "slow", "c", "COUNT", "5", "STREAMS", FACES_LO, ">", NULL);
  cr_assert_eq(trim(), 0, "nobody has acknowledged anything");
  redis_do(&redis, "XACK", FACES_LO, "slow", "1-1", "2-1", "4-1", NULL);
  cr_assert_eq(trim(), 0);
  redis_do(&redis, "XACK", FACES_LO, LK_GROUP, "1-1", "2-1", "3-1", "4-1", "5-1", "6-1", "7-1", "8-1", NULL);
  cr_assert_eq(trim(), 2, "3-1 is pending in slow");
  redis_do(&redis, "XACK", FACES_LO, "slow", "3-1", "5-1", NULL);
  cr_assert_eq(trim(), 2, "5-1 is the last that slow was given");
  redis_do(&redis, "XREADGROUP", "GROUP", "slow", "c", "NOACK", "STREAMS", FACES_LO, ">", NULL);
  cr_assert_eq(trim(), 4, "9-1 is pending in the first group");
  cr_assert_eq(redis_number(&redis, "XLEN", FACES_LO, NULL), 4);
}

/* The error of a call that must be refused; the words end with NULL. */
static void expect_refused(const char *const *words, const char *expected) {
  size_t count = 0;
  while (words[count] != NULL) count++;
  lk_redis_reply *reply = NULL;
  cr_assert_eq(lk_redis_call_words(redis.link, &reply, NULL, count, words), LK_OK);
  const char *refused = lk_redis_reply_error(reply);
  cr_assert_not_null(refused, "accepted where '%s' was expected", expected);
  cr_assert_not_null(strstr(refused, expected), "'%s' is not in '%s'", expected, refused);
  lk_redis_reply_free(reply);
}

#define STREAM FACES_LO
#define GOOD "1-1", "1", ALWAYS, "good"

/* Each call has a good job first, which must not be answered. */
Test(functions, finish_checks_what_it_is_given) {
  static const struct {
    const char *words[24], *expected;
  } cases[] = {
      {{"2", STREAM, FACES_DEAD, LK_GROUP, "1", "1", GOOD}, "needs at least 3 keys, not 2"},
      {{"3", STREAM, FACES_DEAD, LIST, LK_GROUP, "1"}, "needs 3 arguments and 5 for each job, not 2"},
      {{"3", STREAM, FACES_DEAD, LIST, LK_GROUP, "1", "1", GOOD, "1-2", "1", ALWAYS}, "for each job, not 12"},
      {{"3", STREAM, FACES_DEAD, LIST, "", "1", "1", GOOD}, "the group has no name"},
      {{"3", STREAM, FACES_DEAD, LIST, LK_GROUP, "long", "1", GOOD}, "the lifetime"},
      {{"3", STREAM, FACES_DEAD, LIST, LK_GROUP, "0", "1", GOOD}, "the lifetime"},
      {{"3", STREAM, FACES_DEAD, LIST, LK_GROUP, "1", "-1", GOOD}, "the greatest length"},
      {{"3", STREAM, FACES_DEAD, LIST, LK_GROUP, "1", "0x10", GOOD}, "the greatest length"},
      {{"3", STREAM, FACES_DEAD, LIST, LK_GROUP, "1", "1", GOOD, "+", "1", ALWAYS, "x"},
       "job 2 is not the id of an entry"},
      {{"3", STREAM, FACES_DEAD, LIST, LK_GROUP, "1", "1", GOOD, "1-2", "2", ALWAYS, "x"},
       "job 2 is not the number of"},
      {{"3", STREAM, FACES_DEAD, LIST, LK_GROUP, "1", "1", GOOD, "1-2", "0", ALWAYS, "x"},
       "job 2 is not the number of"},
      {{"3", STREAM, FACES_DEAD, LIST, LK_GROUP, "1", "1", GOOD, "1-2", "1.5", ALWAYS, "x"},
       "job 2 is not the number of"},
      {{"3", STREAM, FACES_DEAD, LIST, LK_GROUP, "1", "1", GOOD, "1-2", "1", "soon", "9", "x"}, "job 2 has a time"},
      {{"3", STREAM, FACES_DEAD, LIST, LK_GROUP, "1", "1", GOOD, "1-2", "1", "0", "1e9", "x"}, "job 2 has a time"},
      {{"3", STREAM, FACES_DEAD, LIST, LK_GROUP, "1", "1", GOOD, "1-2", "1", "0", "-1", "x"}, "job 2 has a time"},
      {{"3", STREAM, FACES_DEAD, LIST, LK_GROUP, "1", "1", GOOD, "1-2", "1", "0", "99999999999999999", "x"},
       "job 2 has"},
      {{"3", FACES_REPLIES "me", FACES_DEAD, LIST, LK_GROUP, "1", "1", GOOD}, "key 1 is not a stream of jobs"},
      {{"3", "lk:{fa ces}:q:lo", FACES_DEAD, LIST, LK_GROUP, "1", "1", GOOD}, "key 1 is not a stream of jobs"},
      {{"3", "lk:{faces/}:q:lo", FACES_DEAD, LIST, LK_GROUP, "1", "1", GOOD}, "key 1 is not a stream of jobs"},
      {{"3", "lk:{faces/1}:q:lo", FACES_DEAD, LIST, LK_GROUP, "1", "1", GOOD}, "key 2 is not lk:{faces/1}:dead"},
      {{"3", "q:lo", FACES_DEAD, LIST, LK_GROUP, "1", "1", GOOD}, "key 1 is not a stream of jobs"},
      {{"3", "lk:{other}:q:lo", FACES_DEAD, LIST, LK_GROUP, "1", "1", GOOD}, "key 2 is not lk:{other}:dead"},
      {{"3", STREAM, FACES_HEADS, LIST, LK_GROUP, "1", "1", GOOD}, "key 2 is not lk:{faces}:dead"},
      {{"3", STREAM, FACES_DEAD, "other", LK_GROUP, "1", "1", GOOD}, "key 3 is no list of replies"},
      {{"3", STREAM, FACES_DEAD, "lk:{other}:r:me", LK_GROUP, "1", "1", GOOD}, "key 3 is no list of replies"},
      {{"4", STREAM, FACES_DEAD, LIST, FACES_REPLIES, LK_GROUP, "1", "1", GOOD}, "key 4 is no list of replies"},
  };
  deliver("1-1");
  deliver("1-2");
  int64_t keys = redis_number(&redis, "DBSIZE", NULL);
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    const char *words[28] = {"FCALL", LK_FINISH};
    memcpy(words + 2, cases[i].words, sizeof cases[i].words);
    expect_refused(words, "ERR lk_finish_3: ");
    expect_refused(words, cases[i].expected);
    cr_assert_eq(redis_number(&redis, "DBSIZE", NULL), keys, "%s", cases[i].expected);
    cr_assert_eq(pending_lo(), 2, "%s", cases[i].expected);
  }
}

Test(functions, discard_trim_and_mend_check_what_they_are_given) {
  static const struct {
    const char *words[12], *expected;
  } cases[] = {
      {{"FCALL", LK_DISCARD, "1", STREAM, LK_GROUP, "1-1", "why"}, "lk_discard_3: needs 2 keys, not 1"},
      {{"FCALL", LK_DISCARD, "2", STREAM, FACES_DEAD, LK_GROUP, "1-1"}, "lk_discard_3: needs 3 arguments, not 2"},
      {{"FCALL", LK_DISCARD, "2", STREAM, FACES_DEAD, LK_GROUP, "-", "why"}, "lk_discard_3: argument 2"},
      {{"FCALL", LK_DISCARD, "2", STREAM, "dead", LK_GROUP, "1-1", "why"}, "lk_discard_3: key 2"},
      {{"FCALL", LK_TRIM, "0"}, "lk_trim_3: needs 1 keys, not 0"},
      {{"FCALL", LK_TRIM, "1", STREAM, "x"}, "lk_trim_3: needs 0 arguments, not 1"},
      {{"FCALL", LK_TRIM, "1", FACES_HEADS}, "lk_trim_3: key 1"},
      {{"FCALL", LK_MEND, "1", STREAM, LK_GROUP}, "lk_mend_3: needs 2 arguments, not 1"},
      {{"FCALL", LK_MEND, "1", STREAM, LK_GROUP, "-60000"}, "lk_mend_3: argument 2"},
      {{"FCALL", LK_MEND, "1", STREAM, LK_GROUP, "0"}, "lk_mend_3: argument 2"},
      {{"FCALL", LK_MEND, "1", STREAM, LK_GROUP, "86400001"}, "lk_mend_3: argument 2"},
      {{"FCALL", LK_MEND, "1", FACES_HEADS, LK_GROUP, "1"}, "lk_mend_3: key 1"},
  };
  deliver("1-1");
  redis_do(&redis, "XADD", FACES_HEADS, "1-1", "head", "h", NULL);
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    expect_refused(cases[i].words, cases[i].expected);
    cr_assert_eq(pending_lo(), 1, "%s", cases[i].expected);
    cr_assert_eq(redis_number(&redis, "EXISTS", FACES_DEAD, "dead", NULL), 0, "%s", cases[i].expected);
  }
}

static int64_t lease(const char *worker, const char *ms) {
  return redis_number(&redis, "FCALL", LK_LEASE, "1", FACES_WORKERS, worker, ms, NULL);
}

/* The key is there only while a worker lives, and says until when by Redis' clock. */
Test(functions, leases_run_out) {
  cr_assert_eq(lease("a", "600000"), 1);
  cr_assert_eq(lease("b", "300"), 2);
  lk_redis_reply *reply = redis_ask(&redis, "ZSCORE", FACES_WORKERS, "a", NULL);
  int64_t end_ms = lk_redis_reply_integer(reply), left_ms = redis_number(&redis, "PTTL", FACES_WORKERS, NULL);
  lk_redis_reply_free(reply);
  cr_assert(left_ms > 500000 && left_ms <= 600000, "the longest lease counts");
  reply = redis_ask(&redis, "TIME", NULL);
  int64_t now = lk_redis_reply_integer(lk_redis_reply_element(reply, 0)) * 1000;
  lk_redis_reply_free(reply);
  cr_assert(end_ms > now + 500000 && end_ms <= now + 601000);
  sleep_ms(320);
  cr_assert_eq(lease("a", "600000"), 1, "that of b is over");
  cr_assert_eq(lease("a", "0"), 0);
  cr_assert_eq(redis_number(&redis, "EXISTS", FACES_WORKERS, NULL), 0);
  cr_assert_eq(lease("b", "200"), 1);
  sleep_ms(220);
  cr_assert_eq(redis_number(&redis, "EXISTS", FACES_WORKERS, NULL), 0, "nobody renewed it");
}

/* Only a gallery's keys are touched: the protocol reserves the names of partitions. */
Test(functions, lease_checks_what_it_is_given) {
  static const struct {
    const char *words[8], *expected;
  } cases[] = {
      {{"FCALL", LK_LEASE, "0", "a", "1"}, "lk_lease_3: needs 1 keys, not 0"},
      {{"FCALL", LK_LEASE, "1", FACES_WORKERS, "a"}, "lk_lease_3: needs 2 arguments, not 1"},
      {{"FCALL", LK_LEASE, "1", FACES_DEAD, "a", "1"}, "lk_lease_3: key 1"},
      {{"FCALL", LK_LEASE, "1", "lk:{}:workers", "a", "1"}, "lk_lease_3: key 1"},
      {{"FCALL", LK_LEASE, "1", "lk:{a/b}:workers", "a", "1"}, "lk_lease_3: key 1"},
      {{"FCALL", LK_LEASE, "1", FACES_WORKERS, "", "1"}, "lk_lease_3: the worker has no name"},
      {{"FCALL", LK_LEASE, "1", FACES_WORKERS, "a", "-1"}, "lk_lease_3: argument 2"},
      {{"FCALL", LK_LEASE, "1", FACES_WORKERS, "a", "86400001"}, "lk_lease_3: argument 2"},
  };
  int64_t keys = redis_number(&redis, "DBSIZE", NULL);
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    expect_refused(cases[i].words, cases[i].expected);
    cr_assert_eq(redis_number(&redis, "DBSIZE", NULL), keys, "%s", cases[i].expected);
  }
  cr_assert_eq(redis_number(&redis, "FCALL", LK_LEASE, "1", "lk:{faces/1}:workers", "a", "9", NULL), 1);
}

#define HIGHEST "18446744073709551615-18446744073709551615"

static int64_t mend(void) { return redis_number(&redis, "FCALL", LK_MEND, "1", STREAM, LK_GROUP, "60000", NULL); }

static int64_t read_new(const char *group) {
  lk_redis_reply *reply = redis_ask(&redis, "XREADGROUP", "GROUP", group, "c", "STREAMS", STREAM, ">", NULL);
  int64_t count = 0;
  if (lk_redis_reply_elements(reply) > 0)
    count = (int64_t)lk_redis_reply_elements(lk_redis_reply_element(lk_redis_reply_element(reply, 0), 1));
  lk_redis_reply_free(reply);
  return count;
}

Test(functions, mend_leaves_a_good_stream_alone) {
  redis_do(&redis, "DEL", STREAM, NULL);
  cr_assert_eq(mend(), 0, "no stream");
  redis_do(&redis, "XGROUP", "CREATE", STREAM, LK_GROUP, "0", "MKSTREAM", NULL);
  cr_assert_eq(mend(), 0, "an empty stream");
  redis_do(&redis, "XADD", STREAM, "*", "a", "b", NULL);
  cr_assert_eq(mend(), 0);
  cr_assert_eq(read_new(LK_GROUP), 1);
  cr_assert_eq(mend(), 0);
  cr_assert_eq(pending_lo(), 1);
}

/* What lies below stays, pending or not, and no group gets it again; what comes after reaches every group. */
Test(functions, mend_undoes_the_highest_id) {
  redis_do(&redis, "XGROUP", "CREATE", STREAM, "slow", "0", NULL);
  redis_do(&redis, "XADD", STREAM, "*", "a", "1", NULL);
  redis_do(&redis, "XADD", STREAM, "*", "a", "2", NULL);
  redis_do(&redis, "XREADGROUP", "GROUP", "slow", "c", "COUNT", "1", "STREAMS", STREAM, ">", NULL);
  redis_do(&redis, "XADD", STREAM, "18446744073709551614-0", "a", "3", NULL);
  redis_do(&redis, "XADD", STREAM, HIGHEST, "a", "4", NULL);
  cr_assert_eq(mend(), 0, "the group was not given the entries yet, so nobody can refuse them");
  cr_assert_eq(redis_number(&redis, "XLEN", STREAM, NULL), 4);
  cr_assert_eq(read_new(LK_GROUP), 4);
  cr_assert_eq(mend(), 1);
  cr_assert_eq(mend(), 0);
  cr_assert_eq(redis_number(&redis, "XLEN", STREAM, NULL), 2);
  cr_assert_eq(pending_lo(), 4, "a worker that holds the deleted entries still answers them");
  redis_do(&redis, "XADD", STREAM, "*", "a", "5", NULL);
  cr_assert_eq(read_new(LK_GROUP), 1);
  cr_assert_eq(read_new("slow"), 2, "the second and the fifth");
  expect_counts(FINISH(HIGHEST, "1", ALWAYS, "refused"), 1, 0, 0);
  cr_assert_eq(pending_lo(), 4);
}

Test(functions, mend_undoes_an_id_that_left_no_entry) {
  redis_do(&redis, "XADD", STREAM, "MAXLEN", "0", HIGHEST, "a", "b", NULL);
  cr_assert_eq(mend(), 1);
  redis_do(&redis, "XADD", STREAM, "*", "a", "b", NULL);
  cr_assert_eq(read_new(LK_GROUP), 1);
}

/* Ids have more digits than Lua's numbers. */
Test(functions, trim_compares_ids_exactly) {
  redis_do(&redis, "CONFIG", "SET", "stream-node-max-entries", "1", NULL);
  redis_do(&redis, "XADD", STREAM, "1-9007199254740992", "a", "b", NULL);
  redis_do(&redis, "XADD", STREAM, "1-9007199254740993", "a", "b", NULL);
  redis_do(&redis, "XGROUP", "CREATE", STREAM, "a", "1-9007199254740993", NULL);
  redis_do(&redis, "XGROUP", "CREATE", STREAM, "b", "1-9007199254740992", NULL);
  redis_do(&redis, "XGROUP", "DESTROY", STREAM, LK_GROUP, NULL);
  cr_assert_eq(trim(), 0, "b was given only the first");
  cr_assert_eq(redis_number(&redis, "XLEN", STREAM, NULL), 2);
}
