/* The functions that look after streams and groups. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/e2e/functions/calls.h"

TestSuite(streams, .init = calls_setup, .fini = calls_teardown);

#define STREAM FACES_LO

static int64_t pending_lo(void) {
  lk_redis_reply *reply = redis_ask(&redis, "XPENDING", STREAM, LK_GROUP, NULL);
  int64_t count = lk_redis_reply_integer(lk_redis_reply_element(reply, 0));
  lk_redis_reply_free(reply);
  return count;
}

/* Each stream that can be joined is, whatever the others are. */
Test(streams, join) {
  redis_do(&redis, "SET", FACES_HI, "text", NULL);
  expect_call("!WRONGTYPE*" FACES_HI, LK_JOIN, "3", FACES_HI, STREAM, FACES_LO_3, LK_GROUP, NULL);
  redis_do(&redis, "DEL", FACES_HI, NULL);
  for (int i = 0; i < 2; i++) expect_call("3", LK_JOIN, "3", FACES_HI, STREAM, FACES_LO_3, LK_GROUP, NULL);
  const char *const streams[] = {FACES_HI, STREAM, FACES_LO_3};
  for (int i = 0; i < 3; i++)
    expect_redis("((name e1.s0 consumers 0 pending 0 last-delivered-id 0-0 entries-read 0 lag 0))", "XINFO", "GROUPS",
                 streams[i], NULL);
  expect_redis("(e1.s0)", "ZRANGE", FACES_GROUPS, "0", "-1", NULL);
}

/* Also where others finished, and deleted, what came first. */
Test(streams, a_group_made_again_knows_its_lag) {
  for (int i = 1; i <= 6; i++) {
    char entry[16];
    snprintf(entry, sizeof entry, "1-%d", i);
    deliver(entry, "c");
    if (i <= 4)
      expect_call("(1 *)", LK_FINISH, "3", STREAM, FACES_DEAD, FACES_MY_REPLIES, LK_GROUP, entry, "1", ALWAYS, "", "a",
                  NULL);
  }
  redis_do(&redis, "XGROUP", "DESTROY", STREAM, LK_GROUP, NULL);
  expect_call("1", LK_JOIN, "1", STREAM, LK_GROUP, NULL);
  expect_redis("((* lag 2))", "XINFO", "GROUPS", STREAM, NULL);
}

static int64_t trim(void) { return redis_number(&redis, "FCALL", LK_TRIM, "1", FACES_LO, LK_GROUP, NULL); }

/* The stream's nodes hold one entry, so that an approximate trim is exact. */
Test(streams, trim_keeps_what_any_group_needs) {
  redis_do(&redis, "CONFIG", "SET", "stream-node-max-entries", "1", NULL);
  expect_call("1", LK_JOIN, "1", FACES_LO, "slow", NULL);
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

Test(streams, mend_leaves_a_good_stream_alone) {
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
Test(streams, mend_undoes_the_highest_id) {
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
  expect_call("(1 0 0 0 *)", LK_FINISH, "3", STREAM, FACES_DEAD, FACES_MY_REPLIES, LK_GROUP, HIGHEST, "1", ALWAYS, "",
              "refused", NULL);
  cr_assert_eq(pending_lo(), 4);
}

Test(streams, mend_passes_over_a_key_of_another_type) {
  redis_do(&redis, "SET", FACES_LO_3, "text", NULL);
  expect_call("0", LK_MEND, "2", FACES_LO_3, STREAM, LK_GROUP, "60000", NULL);
}

Test(streams, mend_undoes_an_id_that_left_no_entry) {
  redis_do(&redis, "XADD", STREAM, "MAXLEN", "0", HIGHEST, "a", "b", NULL);
  cr_assert_eq(mend(), 1);
  redis_do(&redis, "XADD", STREAM, "*", "a", "b", NULL);
  cr_assert_eq(read_new(LK_GROUP), 1);
}

/* Ids have more digits than Lua's numbers. */
Test(streams, trim_compares_ids_exactly) {
  redis_do(&redis, "CONFIG", "SET", "stream-node-max-entries", "1", NULL);
  redis_do(&redis, "XADD", STREAM, "1-9007199254740992", "a", "b", NULL);
  redis_do(&redis, "XADD", STREAM, "1-9007199254740993", "a", "b", NULL);
  redis_do(&redis, "XGROUP", "CREATE", STREAM, "a", "1-9007199254740993", NULL);
  redis_do(&redis, "XGROUP", "CREATE", STREAM, "b", "1-9007199254740992", NULL);
  redis_do(&redis, "ZADD", FACES_GROUPS, "9007199254740992", "a", "9007199254740992", "b", NULL);
  redis_do(&redis, "XGROUP", "SETID", STREAM, LK_GROUP, "$", NULL);
  cr_assert_eq(trim(), 0, "b was given only the first");
  cr_assert_eq(redis_number(&redis, "XLEN", STREAM, NULL), 2);
}

/* Its entries wait for it, though another group has finished them. */
Test(streams, trim_waits_for_a_group_that_was_destroyed) {
  redis_do(&redis, "CONFIG", "SET", "stream-node-max-entries", "1", NULL);
  expect_call("1", LK_JOIN, "1", STREAM, "other", NULL);
  for (int i = 0; i < 3; i++) redis_do(&redis, "XADD", STREAM, "*", "a", "b", NULL);
  redis_do(&redis, "XREADGROUP", "GROUP", "other", "c", "NOACK", "STREAMS", STREAM, ">", NULL);
  redis_do(&redis, "XGROUP", "DESTROY", STREAM, LK_GROUP, NULL);
  expect_call("0", LK_TRIM, "1", STREAM, LK_GROUP, NULL);
  expect_call("0", LK_TRIM, "1", STREAM, "other", NULL);
  redis_do(&redis, "ZREM", FACES_GROUPS, LK_GROUP, NULL);
  expect_call("2", LK_TRIM, "1", STREAM, "other", NULL);
}

/* A group without a lease keeps nothing. */
Test(streams, trim_ignores_dead_groups) {
  redis_do(&redis, "CONFIG", "SET", "stream-node-max-entries", "1", NULL);
  redis_do(&redis, "XGROUP", "CREATE", STREAM, "dead", "0", NULL);
  for (int i = 0; i < 3; i++) redis_do(&redis, "XADD", STREAM, "*", "a", "b", NULL);
  redis_do(&redis, "XREADGROUP", "GROUP", LK_GROUP, "c", "NOACK", "STREAMS", STREAM, ">", NULL);
  cr_assert_eq(trim(), 2);
}

/* The last id is far, and no entry is: those that were answered are deleted. */
Test(streams, mend_undoes_an_id_whose_entry_was_answered) {
  redis_do(&redis, "XADD", STREAM, "*", "a", "b", NULL);
  deliver(HIGHEST, "c");
  expect_call("(1 *)", LK_FINISH, "3", STREAM, FACES_DEAD, FACES_MY_REPLIES, LK_GROUP, HIGHEST, "1", ALWAYS, "", "a",
              NULL);
  cr_assert_eq(redis_number(&redis, "XLEN", STREAM, NULL), 1);
  cr_assert_eq(mend(), 1);
  redis_do(&redis, "XADD", STREAM, "*", "a", "b", NULL);
  cr_assert_eq(read_new(LK_GROUP), 1);
}

/* However many there are, a call ends soon; the next one goes on. */
Test(streams, mend_deletes_in_parts) {
  redis_do(&redis, "EVAL", "for i = 1, 2500 do redis.call('XADD', KEYS[1], '9999999999999-' .. i, 'a', 'b') end", "1",
           STREAM, NULL);
  cr_assert_eq(read_new(LK_GROUP), 2500);
  cr_assert_eq(mend(), 0);
  cr_assert_eq(redis_number(&redis, "XLEN", STREAM, NULL), 1500);
  cr_assert_eq(mend(), 0);
  cr_assert_eq(mend(), 1);
  cr_assert_eq(redis_number(&redis, "XLEN", STREAM, NULL), 0);
}

Test(streams, the_streams_calls_check_what_they_are_given) {
  static const struct {
    const char *words[12], *expected;
  } cases[] = {
      {{LK_JOIN, "0", LK_GROUP}, "wrong number of keys"},
      {{LK_JOIN, "2", STREAM, FACES_DEAD, LK_GROUP}, "key 2"},
      {{LK_JOIN, "2", STREAM, "lk:{other}:q:lo", LK_GROUP}, "key 2"},
      {{LK_JOIN, "1", STREAM, ""}, "argument 1 is empty"},
      {{LK_TRIM, "0", LK_GROUP}, "wrong number of keys"},
      {{LK_TRIM, "1", STREAM}, "wrong number of arguments"},
      {{LK_TRIM, "1", FACES_HEADS, LK_GROUP}, "key 1"},
      {{LK_MEND, "1", STREAM, LK_GROUP}, "wrong number of arguments"},
      {{LK_MEND, "1", STREAM, LK_GROUP, "-60000"}, "argument 2"},
      {{LK_MEND, "1", STREAM, LK_GROUP, "0"}, "argument 2"},
      {{LK_MEND, "1", STREAM, LK_GROUP, "86400001"}, "argument 2"},
      {{LK_MEND, "1", FACES_HEADS, LK_GROUP, "1"}, "key 1"},
  };
  redis_do(&redis, "XADD", FACES_HEADS, "1-1", "head", "h", NULL);
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) expect_refused(cases[i].expected, cases[i].words);
}
