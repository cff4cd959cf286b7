/* The functions that answer jobs, called as the worker calls them. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/e2e/functions/calls.h"

#define LIST FACES_MY_REPLIES
#define OTHER FACES_REPLIES "you"

TestSuite(functions, .init = calls_setup, .fini = calls_teardown);

static void deliver_three(void) {
  deliver("1-1", "c");
  deliver("1-2", "c");
  deliver("1-3", "c");
}

static void expect_pending(const char *number) {
  char pattern[32];
  snprintf(pattern, sizeof pattern, strcmp(number, "0") == 0 ? "(0 0 0 0)" : "(%s *)", number);
  expect_redis(pattern, "XPENDING", FACES_LO, LK_GROUP, NULL);
}

#define FINISH(pattern, ...) \
  expect_call(pattern, LK_FINISH, "4", FACES_LO, FACES_DEAD, LIST, OTHER, LK_GROUP, __VA_ARGS__, NULL)

Test(functions, finish_pushes_and_acknowledges) {
  deliver_three();
  FINISH("(3 0 0 0 *)", "1-1", "1", ALWAYS, "j1", "a", "1-2", "2", ALWAYS, "j2", "b", "1-3", "1", ALWAYS, "", "c");
  expect_redis("(a c)", "LRANGE", LIST, "0", "-1", NULL);
  expect_redis("(b)", "LRANGE", OTHER, "0", "-1", NULL);
  expect_pending("0");
  expect_redis("0", "XLEN", FACES_LO, NULL);
  int64_t life_ms = redis_number(&redis, "PTTL", LIST, NULL);
  cr_assert(life_ms > 590000 && life_ms <= 600000);
}

/* With time limits by Redis' clock. A job outside them stays pending. */
Test(functions, a_reply_leaves_in_its_time_only) {
  char now[24], soon[24], past[24];
  deliver_three();
  lk_redis_reply *reply = redis_ask(&redis, "FCALL", LK_FINISH, "3", FACES_LO, FACES_DEAD, LIST, LK_GROUP, NULL);
  int64_t now_ms = lk_redis_reply_integer(lk_redis_reply_element(reply, 4));
  lk_redis_reply_free(reply);
  snprintf(now, sizeof now, "%lld", (long long)now_ms);
  snprintf(past, sizeof past, "%lld", (long long)now_ms - 1);
  snprintf(soon, sizeof soon, "%lld", (long long)now_ms + 600000);
  FINISH("(1 0 0 (1 3) *)", "1-1", "1", past, now, "", "late", "1-2", "1", now, soon, "", "in time", "1-3", "1", soon,
         "9007199254740992", "", "early");
  expect_redis("(in time)", "LRANGE", LIST, "0", "-1", NULL);
  expect_pending("2");
  expect_redis("2", "XLEN", FACES_LO, NULL);
}

Test(functions, a_job_finished_twice_is_answered_once) {
  deliver_three();
  FINISH("(1 0 0 0 *)", "1-1", "1", ALWAYS, "", "a");
  FINISH("(1 1 0 0 *)", "1-1", "1", ALWAYS, "", "again", "1-2", "1", ALWAYS, "", "b");
  FINISH("(1 1 0 0 *)", "1-3", "1", ALWAYS, "", "c", "1-3", "1", ALWAYS, "", "twice in one call");
  FINISH("(0 1 0 0 *)", "7-7", "1", ALWAYS, "", "never delivered");
  expect_redis("(a b c)", "LRANGE", LIST, "0", "-1", NULL);
}

Test(functions, a_reply_to_a_key_of_another_type_is_buried) {
  redis_do(&redis, "SET", LIST, "text", NULL);
  deliver_three();
  FINISH("(1 0 2 0 *)", "1-1", "1", ALWAYS, "", "a", "1-2", "2", ALWAYS, "", "b", "1-3", "1", ALWAYS, "", "c");
  expect_redis("(b)", "LRANGE", OTHER, "0", "-1", NULL);
  expect_redis("((* (entry 1-1 to me reason the key of the replies holds a string)) *)", "XRANGE", FACES_DEAD, "-", "+",
               NULL);
  expect_redis("2", "XLEN", FACES_DEAD, NULL);
  expect_pending("0");
}

/* Whatever of the gallery's keys somebody spoilt. */
Test(functions, a_reply_arrives_though_other_keys_are_spoilt) {
  const char *const keys[] = {FACES_DEAD, FACES_COUNTS};
  for (int i = 0; i < 2; i++) redis_do(&redis, "SET", keys[i], "text", NULL);
  redis_do(&redis, "SET", OTHER, "text", NULL);
  deliver_three();
  FINISH("(2 0 1 0 *)", "1-1", "2", ALWAYS, "", "a", "1-2", "1", ALWAYS, "", "b", "1-3", "1", ALWAYS, "j", "c");
  expect_redis("(b c)", "LRANGE", LIST, "0", "-1", NULL);
  redis_do(&redis, "DEL", FACES_GROUPS, NULL);
  redis_do(&redis, "SET", FACES_GROUPS, "text", NULL);
  deliver("1-4", "c");
  FINISH("!WRONGTYPE*", "1-4", "1", ALWAYS, "", "d");
  expect_pending("1");
}

/* It is not acknowledged before it is known that its reply may be pushed. */
Test(functions, a_user_that_may_not_push_answers_nothing) {
  deliver("1-1", "c");
  redis_do(&redis, "ACL", "SETUSER", "default", "-rpush", NULL);
  FINISH("!NOPERM*", "1-1", "1", ALWAYS, "", "a");
  expect_pending("1");
}

/* The job waits for the group that is made again. */
Test(functions, finish_without_a_group_answers_nothing) {
  deliver("1-1", "c");
  redis_do(&redis, "XGROUP", "DESTROY", FACES_LO, LK_GROUP, NULL);
  FINISH("(0 1 0 0 *)", "1-1", "1", ALWAYS, "", "a");
  expect_redis("0", "EXISTS", LIST, NULL);
  expect_call("1", LK_JOIN, "1", FACES_LO, LK_GROUP, NULL);
  expect_redis("((" FACES_LO " ((1-1 (to me)))))", "XREADGROUP", "GROUP", LK_GROUP, "c", "STREAMS", FACES_LO, ">",
               NULL);
}

/* Its jobs are gone, and the caller is told which key it is; but not for another key's sake. */
Test(functions, a_stream_of_another_type_has_no_jobs) {
  redis_do(&redis, "SET", FACES_LO, "text", NULL);
  FINISH("!NOGROUP " FACES_LO " holds a string", "1-1", "1", ALWAYS, "", "a");
  expect_call("!NOGROUP " FACES_LO " holds a string", LK_DISCARD, "2", FACES_LO, FACES_DEAD, LK_GROUP, "1-1", "why",
              NULL);
  expect_redis("0", "EXISTS", LIST, NULL);
  expect_redis("0", "EXISTS", FACES_DEAD, NULL);
}

Test(functions, a_group_made_again_finds_nothing_that_was_answered) {
  deliver_three();
  FINISH("(2 0 0 0 *)", "1-1", "1", ALWAYS, "", "a", "1-3", "1", ALWAYS, "", "c");
  redis_do(&redis, "XGROUP", "DESTROY", FACES_LO, LK_GROUP, NULL);
  redis_do(&redis, "XADD", FACES_LO, "1-4", "to", "me", NULL);
  expect_call("1", LK_JOIN, "1", FACES_LO, LK_GROUP, NULL);
  expect_redis("((" FACES_LO " ((1-2 (to me)) (1-4 (to me)))))", "XREADGROUP", "GROUP", LK_GROUP, "c", "STREAMS",
               FACES_LO, ">", NULL);
}

Test(functions, finish_takes_more_than_lua_can_unpack) {
  enum { JOBS = 9000 };
  static char entries[JOBS][16];
  lk_command command = {0};
  lk_functions_begin(&command, LK_FINISH, "3");
  const char *const first[] = {FACES_LO, FACES_DEAD, LIST, LK_GROUP};
  for (int i = 0; i < 4; i++) lk_command_add_string(&command, first[i]);
  for (int i = 0; i < JOBS; i++) {
    snprintf(entries[i], sizeof entries[i], "1-%d", i + 1);
    redis_do(&redis, "XADD", FACES_LO, entries[i], "a", "b", NULL);
    const char *const job[] = {entries[i], "1", ALWAYS, entries[i], entries[i]};
    for (int r = 0; r < 6; r++) lk_command_add_string(&command, job[r]);
  }
  redis_do(&redis, "XREADGROUP", "GROUP", LK_GROUP, "c", "STREAMS", FACES_LO, ">", NULL);
  lk_redis_reply *reply = NULL;
  cr_assert_eq(lk_functions_call(redis.link, &command, &reply, NULL), LK_OK);
  cr_assert_null(lk_redis_reply_error(reply), "%s", lk_redis_reply_error(reply));
  cr_assert_eq(lk_redis_reply_integer(lk_redis_reply_element(reply, 0)), JOBS);
  lk_redis_reply_free(reply);
  lk_command_free(&command);
  expect_pending("0");
  expect_redis("9000", "LLEN", LIST, NULL);
  expect_redis("(1-9000)", "LRANGE", LIST, "-1", "-1", NULL);
}

Test(functions, discard) {
  deliver("1-1", "c");
  for (int i = 0; i < 2; i++)
    expect_call("OK", LK_DISCARD, "2", FACES_LO, FACES_DEAD, LK_GROUP, "1-1", "nobody asked", NULL);
  expect_redis("((* (entry 1-1 to  reason nobody asked)))", "XRANGE", FACES_DEAD, "-", "+", NULL);
  expect_pending("0");
  expect_redis("0", "XLEN", FACES_LO, NULL);
}

#define SIGNED FACES_SIGNED "00ff"

Test(functions, once) {
  expect_call("", LK_ONCE, "1", SIGNED, "1-1", "60000", NULL);
  expect_call("1-1", LK_ONCE, "1", SIGNED, "1-2", "60000", NULL);
  expect_redis("60", "TTL", SIGNED, NULL);
}

/* Of the jobs that a call answers, those are noted that their entry brought first; an entry out of its time is not
 * answered, and another's memory is left alone. */
Test(functions, what_is_answered_is_remembered) {
  static const char *const hashes[] = {"01", "02", "03", "04"};
  static const char *const brought[] = {FACES_LO " 1-1", FACES_LO " 1-2", FACES_LO " 9-9", FACES_LO " 1-3"};
  for (int i = 0; i < 4; i++) {
    char key[64], entry[8];
    snprintf(key, sizeof key, FACES_SIGNED "%s", hashes[i]);
    snprintf(entry, sizeof entry, "1-%d", i + 1);
    deliver(entry, "c");
    if (i < 3) expect_call("", LK_ONCE, "1", key, brought[i], "60000", NULL);
  }
  redis_do(&redis, "RPUSH", FACES_SIGNED "04", "no text", NULL);
  expect_call("(3 0 0 (2) *)", LK_FINISH, "7", FACES_LO, FACES_DEAD, LIST, FACES_SIGNED "01", FACES_SIGNED "02",
              FACES_SIGNED "03", FACES_SIGNED "04", LK_GROUP, "1-1", "1", ALWAYS, "", "a", "1-2", "1", "0", "1", "",
              "b", "1-3", "1", ALWAYS, "", "c", "1-4", "1", ALWAYS, "", "d", NULL);
  expect_call(FACES_LO " 1-1 answered", LK_ONCE, "1", FACES_SIGNED "01", brought[0], "60000", NULL);
  expect_call(brought[1], LK_ONCE, "1", FACES_SIGNED "02", brought[1], "60000", NULL);
  expect_call(brought[2], LK_ONCE, "1", FACES_SIGNED "03", "1-4", "60000", NULL);
  expect_redis("60", "TTL", FACES_SIGNED "01", NULL);
  expect_redis("list", "TYPE", FACES_SIGNED "04", NULL);
}

Test(functions, head) {
  expect_call("*-0", LK_HEAD, "1", FACES_HEADS, "10", "h", NULL);
  expect_redis("((* (head h)))", "XRANGE", FACES_HEADS, "-", "+", NULL);
  for (int i = 0; i < 300; i++) expect_call("*-*", LK_HEAD, "1", FACES_HEADS, "10", "h", NULL);
  cr_assert_leq(redis_number(&redis, "XLEN", FACES_HEADS, NULL), 200);
}

#define STREAM FACES_LO
#define GOOD "1-1", "1", ALWAYS, "j", "good"

/* Each call has a good job first, which must not be answered. */
Test(functions, finish_checks_what_it_is_given) {
  static const struct {
    const char *words[24], *expected;
  } cases[] = {
      {{"2", STREAM, FACES_DEAD, LK_GROUP, GOOD}, "needs at least 3 keys, not 2"},
      {{"3", STREAM, FACES_DEAD, LIST}, "needs 1 argument and 6 for each job, not 0"},
      {{"3", STREAM, FACES_DEAD, LIST, LK_GROUP, GOOD, "1-2", "1", ALWAYS, "x"}, "for each job, not 12"},
      {{"3", STREAM, FACES_DEAD, LIST, "", GOOD}, "the group has no name"},
      {{"3", STREAM, FACES_DEAD, LIST, LK_GROUP, GOOD, "+", "1", ALWAYS, "", "x"}, "job 2 is not the id of an entry"},
      {{"3", STREAM, FACES_DEAD, LIST, LK_GROUP, GOOD, "1-02", "1", ALWAYS, "", "x"}, "job 2 is not the id of"},
      {{"3", STREAM, FACES_DEAD, LIST, LK_GROUP, GOOD, "18446744073709551616-0", "1", ALWAYS, "", "x"},
       "job 2 is not the id of"},
      {{"3", STREAM, FACES_DEAD, LIST, LK_GROUP, GOOD, "1-99999999999999999999", "1", ALWAYS, "", "x"},
       "job 2 is not the id of"},
      {{"3", STREAM, FACES_DEAD, LIST, LK_GROUP, GOOD, "1-2", "2", ALWAYS, "", "x"}, "job 2 is not the number of"},
      {{"3", STREAM, FACES_DEAD, LIST, LK_GROUP, GOOD, "1-2", "0", ALWAYS, "", "x"}, "job 2 is not the number of"},
      {{"3", STREAM, FACES_DEAD, LIST, LK_GROUP, GOOD, "1-2", "1.5", ALWAYS, "", "x"}, "job 2 is not the number of"},
      {{"3", STREAM, FACES_DEAD, LIST, LK_GROUP, GOOD, "1-2", "1", "soon", "9", "", "x"}, "job 2 has a time"},
      {{"3", STREAM, FACES_DEAD, LIST, LK_GROUP, GOOD, "1-2", "1", "0", "1e9", "", "x"}, "job 2 has a time"},
      {{"3", STREAM, FACES_DEAD, LIST, LK_GROUP, GOOD, "1-2", "1", "0", "-1", "", "x"}, "job 2 has a time"},
      {{"3", STREAM, FACES_DEAD, LIST, LK_GROUP, GOOD, "1-2", "1", "0", "99999999999999999", "", "x"}, "job 2 has"},
      {{"3", LIST, FACES_DEAD, LIST, LK_GROUP, GOOD}, "key 1 is not a stream of jobs"},
      {{"3", "lk:{fa ces}:q:lo", FACES_DEAD, LIST, LK_GROUP, GOOD}, "key 1 is not a stream of jobs"},
      {{"3", "lk:{faces/}:q:lo", FACES_DEAD, LIST, LK_GROUP, GOOD}, "key 1 is not a stream of jobs"},
      {{"3", STREAM ":0", FACES_DEAD, LIST, LK_GROUP, GOOD}, "key 1 is not a stream of jobs"},
      {{"3", STREAM ":16", FACES_DEAD, LIST, LK_GROUP, GOOD}, "key 1 is not a stream of jobs"},
      {{"3", "lk:{faces/1}:q:lo:15", FACES_DEAD, LIST, LK_GROUP, GOOD}, "key 2 is not lk:{faces/1}:dead"},
      {{"3", "q:lo", FACES_DEAD, LIST, LK_GROUP, GOOD}, "key 1 is not a stream of jobs"},
      {{"3", "lk:{other}:q:lo", FACES_DEAD, LIST, LK_GROUP, GOOD}, "key 2 is not lk:{other}:dead"},
      {{"3", STREAM, FACES_HEADS, LIST, LK_GROUP, GOOD}, "key 2 is not lk:{faces}:dead"},
      {{"3", STREAM, FACES_DEAD, "other", LK_GROUP, GOOD}, "key 3 is no list of replies"},
      {{"3", STREAM, FACES_DEAD, "lk:{other}:r:me", LK_GROUP, GOOD}, "key 3 is no list of replies"},
      {{"4", STREAM, FACES_DEAD, LIST, FACES_REPLIES, LK_GROUP, GOOD}, "key 4 is no list of replies"},
      {{"3", STREAM, FACES_DEAD, SIGNED, LK_GROUP, GOOD}, "key 3 is no list of replies"},
      {{"4", STREAM, FACES_DEAD, LIST, FACES_SIGNED "me", LK_GROUP, GOOD}, "key 4 is no list of replies"},
      {{"4", STREAM, FACES_DEAD, LIST, "lk:{other}:signed:00", LK_GROUP, GOOD}, "key 4 is not that of a signed job"},
      {{"5", STREAM, FACES_DEAD, LIST, SIGNED, LIST, LK_GROUP, GOOD}, "key 4 is no list of replies"},
  };
  deliver("1-1", "c");
  deliver("1-2", "c");
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    const char *words[28] = {LK_FINISH};
    memcpy(words + 1, cases[i].words, sizeof cases[i].words);
    expect_refused(cases[i].expected, words);
  }
}

Test(functions, discard_once_and_head_check_what_they_are_given) {
  static const struct {
    const char *words[12], *expected;
  } cases[] = {
      {{LK_DISCARD, "1", STREAM, LK_GROUP, "1-1", "why"}, "wrong number of keys, 1"},
      {{LK_DISCARD, "2", STREAM, FACES_DEAD, LK_GROUP, "1-1"}, "wrong number of arguments, 2"},
      {{LK_DISCARD, "2", STREAM, FACES_DEAD, "", "1-1", "why"}, "argument 1 is empty"},
      {{LK_DISCARD, "2", STREAM, FACES_DEAD, LK_GROUP, "-", "why"}, "argument 2 is not the id"},
      {{LK_DISCARD, "2", STREAM, "dead", LK_GROUP, "1-1", "why"}, "key 2"},
      {{LK_ONCE, "1", SIGNED, "1-1"}, "wrong number of arguments"},
      {{LK_ONCE, "2", SIGNED, SIGNED, "1-1", "1"}, "wrong number of keys"},
      {{LK_ONCE, "1", SIGNED, "", "1"}, "argument 1 is empty"},
      {{LK_ONCE, "1", FACES_SIGNED "me", "1-1", "1"}, "key 1"},
      {{LK_ONCE, "1", SIGNED, "1-1", "0"}, "argument 2"},
      {{LK_HEAD, "1", FACES_HEADS, "10"}, "wrong number of arguments"},
      {{LK_HEAD, "0", "10", "h"}, "wrong number of keys"},
      {{LK_HEAD, "1", FACES_DEAD, "10", "h"}, "key 1"},
      {{LK_HEAD, "1", FACES_HEADS, "0", "h"}, "argument 1"},
      {{LK_HEAD, "1", FACES_HEADS, "10", ""}, "argument 2 is empty"},
  };
  deliver("1-1", "c");
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) expect_refused(cases[i].expected, cases[i].words);
}
