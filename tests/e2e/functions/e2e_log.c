/* The functions that bring changes into a gallery's log, answer them, and trim the log. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/e2e/functions/log_calls.h"

#define LIST FACES_MY_REPLIES
#define OTHER FACES_REPLIES "you"

static void setup(void) {
  calls_setup();
  log_settle();
  expect_own("(OWNER 1 0 0)", "a", &log_nothing);
}

TestSuite(log, .init = setup, .fini = calls_teardown);

static void expect_waiting_jobs(const char *number) {
  char pattern[32];
  snprintf(pattern, sizeof pattern, strcmp(number, "0") == 0 ? "(0 0 0 0)" : "(%s *)", number);
  expect_redis(pattern, "XPENDING", FACES_LO, LK_GROUP, NULL);
  expect_redis(number, "XLEN", FACES_LO, NULL);
}

static void log_three(void) {
  log_add("1-1", "j1");
  log_add("1-2", "j2");
  log_add("1-3", "j3");
}

#define ACKNOWLEDGE(pattern, nonce, term, ...) \
  expect_call(pattern, LK_ACKNOWLEDGE, "3", FACES_STATE, LIST, OTHER, nonce, term, __VA_ARGS__, NULL)

/* With the hash of the text that the protocol says, and of the hash before. */
Test(log, a_change_goes_from_the_queue_into_the_log) {
  log_entry entries[2];
  char fields[512];
  deliver("1-1", "w");
  deliver("1-2", "w");
  expect_mutate("(LOGGED *-* 1 0)", "1-1", "j1");
  expect_call("(LOGGED *-* 2 2)", LK_MUTATE, "3", FACES_LOG, FACES_STATE, FACES_LO, LK_GROUP, "1-2", "0", EVER, "003",
              "", "op", "delete", "id", "j2", "to", "me", "keys", "a\nb", NULL);
  log_read(entries, 2);
  lk_redis_reply *hash = redis_ask(&redis, "EVAL", "return redis.sha1hex(ARGV[1])", "0",
                                   "40 " ZEROS "1 11 01 22 op6 enroll2 id2 j12 to2 me", NULL);
  size_t length;
  cr_assert_str_eq(lk_redis_reply_string(hash, &length), log_hash(&entries[0]));
  lk_redis_reply_free(hash);
  snprintf(fields, sizeof fields,
           "((%s (seq 1 term 1 prev " ZEROS
           " hash %s number 0 rows 2 op enroll id j1 to me)) (%s (seq 2 term 1 prev %s "
           "hash %s number 2 rows 3 op delete id j2 to me keys a\nb)))",
           entries[0].id, log_hash(&entries[0]), entries[1].id, log_hash(&entries[0]), log_hash(&entries[1]));
  expect_redis(fields, "XRANGE", FACES_LOG, "-", "+", NULL);
  snprintf(fields, sizeof fields, "(2 %s 5)", log_hash(&entries[1]));
  expect_redis(fields, "HMGET", FACES_STATE, "seq", "hash", "number", NULL);
  expect_redis("vectors", "GET", FACES_VECTORS "1", NULL);
  expect_redis("0", "EXISTS", FACES_VECTORS "2", NULL);
  expect_waiting_jobs("0");
}

/* Also where another entry brings it. */
Test(log, a_change_is_logged_once) {
  log_add("1-1", "j1");
  expect_mutate("(GONE)", "1-1", "j1");
  expect_mutate("(GONE)", "7-7", "j2");
  deliver("1-2", "w");
  expect_mutate("(KNOWN)", "1-2", "j1");
  expect_waiting_jobs("0");
  ACKNOWLEDGE("(ACKNOWLEDGED 1 0 1)", "a", "1", "1", "1", "j1", "done");
  deliver("1-3", "w");
  expect_mutate("(KNOWN)", "1-3", "j1");
  expect_redis("(done done)", "LRANGE", LIST, "0", "-1", NULL);
  expect_waiting_jobs("0");
  redis_do(&redis, "DEL", LIST, NULL);
  redis_do(&redis, "SET", LIST, "text", NULL);
  deliver("1-4", "w");
  expect_mutate("(KNOWN)", "1-4", "j1");
  expect_redis("((* (entry 1-4 to me reason WRONGTYPE*)))", "XRANGE", FACES_DEAD, "-", "+", NULL);
  expect_redis("1", "XLEN", FACES_LOG, NULL);
}

#define SUBMIT(pattern, id) expect_call(pattern, LK_SUBMIT, "1", FACES_LO, "id", id, "to", "me", NULL)

static void read_all(void) { redis_do(&redis, "XREADGROUP", "GROUP", LK_GROUP, "w", "STREAMS", FACES_LO, ">", NULL); }

Test(log, who_submits_it_again_waits_for_the_same_answer) {
  char entry[48];
  size_t length;
  lk_redis_reply *reply = redis_ask(&redis, "FCALL", LK_SUBMIT, "1", FACES_LO, "id", "j1", "to", "me", NULL);
  strcpy(entry, lk_redis_reply_string(lk_redis_reply_element(reply, 1), &length));
  lk_redis_reply_free(reply);
  read_all();
  expect_mutate("(LOGGED * 1 0)", entry, "j1");
  SUBMIT("(WAITING )", "j1");
  ACKNOWLEDGE("(ACKNOWLEDGED 1 0 1)", "a", "1", "1", "1", "j1", "done");
  SUBMIT("(ANSWERED )", "j1");
  expect_redis("(done done)", "LRANGE", LIST, "0", "-1", NULL);
  expect_call("1", LK_FORGET, "1", LIST, "j1", NULL);
  SUBMIT("(QUEUED *)", "j1");
}

/* What was noted in the last hour is noted once. */
Test(log, a_change_that_was_sent_in_the_last_hour_is_known) {
  char last_hour[64], now_hour[64];
  int64_t hour = redis_number(&redis, "EVAL", "return math.floor(redis.call('TIME')[1] / 3600)", "0", NULL);
  int64_t soon = redis_number(&redis, "EVAL", "return math.floor((redis.call('TIME')[1] + 60) / 3600)", "0", NULL);
  snprintf(last_hour, sizeof last_hour, "lk:{faces}:j:%lld:me", (long long)(soon > hour ? soon : hour - 1));
  snprintf(now_hour, sizeof now_hour, "lk:{faces}:j:%lld:me", (long long)hour);
  redis_do(&redis, "HSET", last_hour, "j1", "qq:lo 1-1", NULL);
  log_add("1-1", "j1");
  expect_redis("0", "EXISTS", last_hour, NULL);
  expect_redis("m1", "HGET", now_hour, "j1", NULL);
  cr_assert_gt(redis_number(&redis, "TTL", now_hour, NULL), 3500);
}

static void expect_nothing_logged(void) {
  expect_redis("0", "EXISTS", FACES_LOG, FACES_VECTORS "1", NULL);
  expect_redis("(0 0)", "HMGET", FACES_STATE, "seq", "number", NULL);
  expect_waiting_jobs("1");
}

static void expect_timed(const char *pattern, const char *since, const char *until) {
  expect_call(pattern, LK_MUTATE, "4", FACES_LOG, FACES_STATE, FACES_LO, "lk:{faces}:signed:ab", LK_GROUP, "1-1", since,
              until, "0", "", "op", "delete", "id", "j1", "to", "me", NULL);
}

/* A decision that Redis has kept waiting may not hold any more. */
Test(log, what_comes_too_late_is_not_logged) {
  char now[24];
  deliver("1-1", "w");
  redis_do(&redis, "SET", "lk:{faces}:signed:ab", FACES_LO " 1-1", NULL);
  int64_t now_ms = redis_number(&redis, "EVAL", "local t = redis.call('TIME') return t[1] * 1000", "0", NULL);
  snprintf(now, sizeof now, "%lld", (long long)now_ms - 1);
  expect_timed("(UNTIMELY *)", "0", now);
  snprintf(now, sizeof now, "%lld", (long long)now_ms + 60000);
  expect_timed("(UNTIMELY *)", now, EVER);
  expect_nothing_logged();
  expect_redis(FACES_LO " 1-1", "GET", "lk:{faces}:signed:ab", NULL);
  expect_timed("(LOGGED *)", "0", now);
  expect_redis(FACES_LO " 1-1 answered", "GET", "lk:{faces}:signed:ab", NULL);
}

/* Also the job that another entry brought before. */
Test(log, a_signed_job_that_is_known_is_answered) {
  deliver("1-1", "w");
  redis_do(&redis, "SET", "lk:{faces}:signed:ab", FACES_LO " 1-1", NULL);
  log_add("1-2", "j1");
  expect_timed("(KNOWN)", "0", EVER);
  expect_redis(FACES_LO " 1-1 answered", "GET", "lk:{faces}:signed:ab", NULL);
}

Test(log, nothing_is_logged_without_an_owner) {
  deliver("1-1", "w");
  log_end_lease();
  expect_mutate("(EBUSY 200 no worker owns the log)", "1-1", "j1");
  expect_nothing_logged();
  expect_own("(OWNER 1 0 0)", "a", &log_nothing);
  expect_mutate("(LOGGED *)", "1-1", "j1");
}

/* What was logged is acknowledged, and the lease is renewed. */
Test(log, a_full_redis_takes_no_changes_but_answers_them) {
  log_entry entry;
  log_add("1-1", "j1");
  deliver("1-2", "w");
  log_read(&entry, 1);
  limit_to(110);
  expect_mutate("(EBUSY 200 redis is nearly full)", "1-2", "j2");
  limit_to(50);
  expect_mutate("!OOM*", "1-2", "j2");
  expect_append("!OOM*", "a", &entry);
  expect_own("(OWNER 1 1 0)", "a", &entry);
  ACKNOWLEDGE("(ACKNOWLEDGED 1 0 1)", "a", "1", "1", "1", "j1", "done");
  expect_call("1", LK_APPLIED, "3", FACES_LOG, FACES_STATE, FACES_READERS, "a", "1", "a", "erase", NULL);
  expect_waiting_jobs("1");
}

Test(log, what_redis_refuses_changes_nothing) {
  static const char *const forbidden[] = {"-xadd", "-set", "-hset", "-xack", "-rpush"};
  deliver("1-1", "w");
  for (int i = 0; i < 5; i++) {
    redis_do(&redis, "ACL", "SETUSER", "default", "+@all", forbidden[i], NULL);
    expect_mutate("!NOPERM*", "1-1", "j1");
    expect_nothing_logged();
  }
  redis_do(&redis, "ACL", "SETUSER", "default", "+@all", NULL);
  redis_do(&redis, "SET", FACES_LOG, "text", NULL);
  expect_mutate("!WRONGTYPE*", "1-1", "j1");
  redis_do(&redis, "DEL", FACES_LOG, NULL);
  expect_nothing_logged();
  redis_do(&redis, "RENAME", FACES_STATE, "other", NULL);
  redis_do(&redis, "SET", FACES_STATE, "text", NULL);
  expect_mutate("!WRONGTYPE*", "1-1", "j1");
  expect_call("!WRONGTYPE*", LK_ACKNOWLEDGE, "2", FACES_STATE, LIST, "a", "1", "1", "1", "j1", "r", NULL);
  redis_do(&redis, "RENAME", "other", FACES_STATE, NULL);
  expect_nothing_logged();
}

/* A client that spoilt what is kept of its jobs has them logged all the same. */
Test(log, what_is_kept_may_be_spoilt) {
  char key[64];
  int64_t hour = redis_number(&redis, "EVAL", "return math.floor(redis.call('TIME')[1] / 3600)", "0", NULL);
  snprintf(key, sizeof key, "lk:{faces}:j:%lld:me", (long long)hour);
  redis_do(&redis, "SET", key, "text", NULL);
  log_add("1-1", "j1");
  ACKNOWLEDGE("(ACKNOWLEDGED 1 0 1)", "a", "1", "1", "1", "j1", "done");
  expect_waiting_jobs("0");
}

/* Gaps are what others acknowledged, or what came with no job. */
Test(log, replies_are_pushed_once_and_in_order) {
  log_three();
  ACKNOWLEDGE("(ACKNOWLEDGED 1 0 1)", "a", "1", "1", "1", "j1", "one");
  ACKNOWLEDGE("(ACKNOWLEDGED 0 0 1)", "a", "1", "1", "1", "j1", "again");
  ACKNOWLEDGE("(ACKNOWLEDGED 1 0 3)", "a", "1", "1", "1", "j1", "again", "3", "2", "j3", "three");
  ACKNOWLEDGE("(ACKNOWLEDGED 0 0 3)", "a", "1", "2", "1", "j2", "late");
  log_add("1-4", "j4");
  log_add("1-5", "j5");
  ACKNOWLEDGE("(ACKNOWLEDGED 2 0 5)", "a", "1", "4", "1", "j4", "four", "5", "1", "j5", "five");
  expect_redis("(one four five)", "LRANGE", LIST, "0", "-1", NULL);
  expect_redis("(three)", "LRANGE", OTHER, "0", "-1", NULL);
  int64_t life_ms = redis_number(&redis, "PTTL", LIST, NULL);
  cr_assert(life_ms > 590000 && life_ms <= 600000);
  expect_own("(OWNER 1 5 5)", "a", &log_nothing);
}

/* Nor who knows of entries that Redis does not have. */
Test(log, who_does_not_own_the_log_answers_nothing) {
  log_entry entries[3];
  log_three();
  log_read(entries, 3);
  ACKNOWLEDGE("(LOST a)", "a", "2", "1", "1", "j1", "another term");
  ACKNOWLEDGE("(LOST a)", "b", "1", "1", "1", "j1", "another worker");
  ACKNOWLEDGE("(LOST a)", "a", "1", "1", "1", "j1", "one", "4", "1", "j4", "beyond the end");
  log_end_lease();
  expect_own("(OWNER 2 3 0)", "b", &entries[2]);
  ACKNOWLEDGE("(LOST b)", "a", "1", "1", "1", "j1", "stale");
  ACKNOWLEDGE("(LOST b)", "a", "2", "1", "1", "j1", "stale");
  expect_redis("0", "EXISTS", LIST, OTHER, NULL);
  expect_redis("0", "HEXISTS", FACES_STATE, "acked", NULL);
  ACKNOWLEDGE("(ACKNOWLEDGED 1 0 1)", "b", "2", "1", "1", "j1", "one");
}

/* The change was made, so its reply is kept. */
Test(log, a_reply_that_cannot_be_pushed_is_kept) {
  log_three();
  redis_do(&redis, "SET", LIST, "text", NULL);
  ACKNOWLEDGE("(ACKNOWLEDGED 1 2 3)", "a", "1", "1", "1", "j1", "one", "2", "2", "x", "two", "3", "1", "j3", "three");
  expect_redis("((* (entry m1 to me reason the key of the replies holds a string)) (* (entry m3 *)))", "XRANGE",
               FACES_DEAD, "-", "+", NULL);
  expect_redis("(two)", "LRANGE", OTHER, "0", "-1", NULL);
  redis_do(&redis, "DEL", LIST, NULL);
  SUBMIT("(ANSWERED )", "j3");
  expect_redis("(three)", "LRANGE", LIST, "0", "-1", NULL);
  redis_do(&redis, "ACL", "SETUSER", "default", "-rpush", NULL);
  ACKNOWLEDGE("!NOPERM*", "a", "1", "3", "1", "j3", "three");
}

/* Searches may fill a client's share; changes have another, so that they are not made twice. */
Test(log, replies_to_changes_are_kept_where_those_to_searches_are_not) {
  enum { BYTES = 9 << 20, JOBS = 15 };
  char *reply = malloc(BYTES + 1), entry[16], id[8], seq[8];
  memset(reply, 'x', BYTES);
  reply[BYTES] = '\0';
  for (int i = 1; i <= JOBS; i++) {
    snprintf(entry, sizeof entry, "1-%d", i);
    snprintf(id, sizeof id, "j%d", i);
    snprintf(seq, sizeof seq, "%d", i);
    log_add(entry, id);
    ACKNOWLEDGE("(ACKNOWLEDGED 1 0 *)", "a", "1", seq, "1", id, reply);
    redis_do(&redis, "DEL", LIST, NULL);
  }
  free(reply);
  expect_redis("1", "HGET", FACES_COUNTS, "replies_not_kept", NULL);
  SUBMIT("(ANSWERED )", "j14");
  SUBMIT("(WAITING )", "j15");
  deliver("1-16", "w");
  expect_mutate("(KNOWN)", "1-16", "j15");
}

/* A client used its id again, and nothing else than a change is the same change. */
Test(log, a_search_that_had_the_id_stops_no_change) {
  char key[64], *reply = malloc(1001);
  size_t length;
  int64_t hour = redis_number(&redis, "EVAL", "return math.floor(redis.call('TIME')[1] / 3600)", "0", NULL);
  snprintf(key, sizeof key, "lk:{faces}:j:%lld:me", (long long)hour);
  memset(reply, 'x', 1000);
  reply[1000] = '\0';
  lk_redis_reply *sent = redis_ask(&redis, "FCALL", LK_SUBMIT, "1", FACES_LO, "id", "j1", "to", "me", NULL);
  const char *entry = lk_redis_reply_string(lk_redis_reply_element(sent, 1), &length);
  read_all();
  expect_call("(1 0 0 0 *)", LK_FINISH, "3", FACES_LO, FACES_DEAD, LIST, LK_GROUP, entry, "1", ALWAYS, "j1", reply,
              NULL);
  lk_redis_reply_free(sent);
  free(reply);
  cr_assert_gt(redis_number(&redis, "HGET", key, "", NULL), 900);
  redis_do(&redis, "DEL", LIST, NULL);
  redis_do(&redis, "XADD", FACES_LO, "*", "to", "me", NULL);
  sent = redis_ask(&redis, "XREADGROUP", "GROUP", LK_GROUP, "w", "STREAMS", FACES_LO, ">", NULL);
  const lk_redis_reply *entries = lk_redis_reply_element(lk_redis_reply_element(sent, 0), 1);
  entry = lk_redis_reply_string(lk_redis_reply_element(lk_redis_reply_element(entries, 0), 0), &length);
  expect_mutate("(LOGGED * 1 0)", entry, "j1");
  lk_redis_reply_free(sent);
  expect_redis("0", "EXISTS", LIST, NULL);
  expect_redis("m1", "HGET", key, "j1", NULL);
  expect_redis("0", "HGET", key, "", NULL);
  ACKNOWLEDGE("(ACKNOWLEDGED 1 0 1)", "a", "1", "1", "1", "j1", "done");
  expect_redis("cdone", "HGET", key, "j1", NULL);
}

/* The owner's journal does not have them. */
Test(log, entries_can_be_acknowledged_without_replies) {
  log_three();
  expect_call("(ACKNOWLEDGED 0 0 2)", LK_ACKNOWLEDGE, "1", FACES_STATE, "a", "1", "2", NULL);
  expect_call("(ACKNOWLEDGED 0 0 2)", LK_ACKNOWLEDGE, "1", FACES_STATE, "a", "1", "1", NULL);
  expect_call("(LOST a)", LK_ACKNOWLEDGE, "1", FACES_STATE, "a", "1", "4", NULL);
  expect_call("(LOST a)", LK_ACKNOWLEDGE, "1", FACES_STATE, "b", "1", "3", NULL);
  ACKNOWLEDGE("(ACKNOWLEDGED 1 0 3)", "a", "1", "2", "1", "j2", "late", "3", "1", "j3", "three");
  expect_redis("(three)", "LRANGE", LIST, "0", "-1", NULL);
}

#define APPLIED(pattern, reader, seq, nonce, how) \
  expect_call(pattern, LK_APPLIED, "3", FACES_LOG, FACES_STATE, FACES_READERS, reader, seq, nonce, how, NULL)

/* Puts `count` entries of long ago into the log, all acknowledged, with vectors, whose owner is `a`. */
static void log_old(int count) {
  char seq[16], id[16], key[64];
  log_entry last = log_nothing;
  for (int i = 1; i <= count; i++) {
    snprintf(seq, sizeof seq, "%d", i);
    snprintf(id, sizeof id, "1-%d", i);
    snprintf(key, sizeof key, FACES_VECTORS "%d", i);
    redis_do(&redis, "XADD", FACES_LOG, id, "seq", seq, "hash", ONES, NULL);
    redis_do(&redis, "SET", key, "vectors", NULL);
  }
  redis_do(&redis, "HSET", FACES_STATE, "seq", seq, "acked", seq, "hash", ONES, NULL);
  strcpy(last.id, id);
  strcpy(last.words[1], seq);
  strcpy(last.words[7], ONES);
  expect_own("(OWNER 2 * *)", "a", &last);
}

Test(log, what_everybody_has_applied_goes) {
  log_old(6);
  APPLIED("0", "slow", "2", "", "keep");
  APPLIED("0", "other", "6", "b", "erase");
  APPLIED("2", "a", "5", "a", "keep");
  expect_redis("((1-3 *) (1-4 *) (1-5 *) (1-6 *))", "XRANGE", FACES_LOG, "-", "+", NULL);
  expect_redis("0", "EXISTS", FACES_VECTORS "1", FACES_VECTORS "2", NULL);
  expect_redis("4", "EXISTS", FACES_VECTORS "3", FACES_VECTORS "4", FACES_VECTORS "5", FACES_VECTORS "6", NULL);
  APPLIED("0", "slow", "6", "", "keep");
  redis_do(&redis, "HSET", FACES_STATE, "acked", "4", NULL);
  APPLIED("2", "a", "6", "a", "keep");
  redis_do(&redis, "HSET", FACES_STATE, "acked", "6", NULL);
  APPLIED("1", "a", "5", "a", "keep");
  APPLIED("1", "a", "6", "a", "keep");
  expect_redis("0", "XLEN", FACES_LOG, NULL);
  log_add("1-1", "j1");
}

/* Nor does what is no note at all keep anything. */
Test(log, a_reader_that_is_silent_for_a_day_keeps_nothing) {
  char day_ago[32];
  log_old(3);
  int64_t now_ms = redis_number(&redis, "EVAL", "return redis.call('TIME')[1] * 1000", "0", NULL);
  snprintf(day_ago, sizeof day_ago, "1 %lld", (long long)now_ms - 86390000);
  redis_do(&redis, "HSET", FACES_READERS, "young", day_ago, "spoilt", "text", NULL);
  snprintf(day_ago, sizeof day_ago, "0 %lld", (long long)now_ms - 86410000);
  redis_do(&redis, "HSET", FACES_READERS, "old", day_ago, NULL);
  APPLIED("1", "a", "3", "a", "keep");
  expect_redis("(0 1 0 1)", "EVAL",
               "local held = {} for _, name in ipairs({'old', 'young', 'spoilt', 'a'}) do held[#held + 1] = "
               "redis.call('HEXISTS', KEYS[1], name) end return held",
               "1", FACES_READERS, NULL);
}

Test(log, what_is_young_goes_only_where_it_is_erased) {
  log_three();
  ACKNOWLEDGE("(ACKNOWLEDGED 3 0 3)", "a", "1", "1", "1", "j1", "", "2", "1", "j2", "", "3", "1", "j3", "");
  APPLIED("0", "slow", "2", "", "keep");
  APPLIED("0", "a", "3", "a", "keep");
  redis_do(&redis, "FUNCTION", "LOAD", "REPLACE", lk_functions_library, NULL);
  log_settle();
  APPLIED("0", "a", "3", "a", "erase");
  log_entry entries[3];
  log_read(entries, 3);
  expect_own("(OWNER 2 3 3)", "a", &entries[2]);
  APPLIED("2", "a", "3", "a", "erase");
  expect_redis("1", "XLEN", FACES_LOG, NULL);
  expect_redis("1", "EXISTS", FACES_VECTORS "1", FACES_VECTORS "2", FACES_VECTORS "3", NULL);
}

Test(log, a_call_removes_no_more_than_a_thousand) {
  log_old(1500);
  APPLIED("1000", "a", "1500", "a", "keep");
  expect_redis("500", "XLEN", FACES_LOG, NULL);
  APPLIED("500", "a", "1500", "a", "keep");
  APPLIED("0", "a", "1500", "a", "keep");
  expect_redis("0", "EXISTS", FACES_VECTORS "1", FACES_VECTORS "1000", FACES_VECTORS "1500", NULL);
}

#define KEYS "3", FACES_LOG, FACES_STATE, FACES_LO
#define FIELDS "op", "delete", "id", "j", "to", "me"
#define READERS "3", FACES_LOG, FACES_STATE, FACES_READERS
#define GOOD "1", "1", "j1", "r"

Test(log, calls_check_what_they_are_given) {
  const struct {
    const char *words[20], *expected;
  } cases[] = {
      {{LK_MUTATE, "2", FACES_LOG, FACES_STATE, LK_GROUP, "1-1", "0", "9", "0", "", FIELDS}, "wrong number of keys, 2"},
      {{LK_MUTATE, KEYS, LK_GROUP, "1-1", "0", "9", "0", "", "op", "delete", "id", "j"},
       "wrong number of arguments, 10"},
      {{LK_MUTATE, "3", FACES_LO, FACES_STATE, FACES_LO, LK_GROUP, "1-1", "0", "9", "0", "", FIELDS},
       "key 1 is not the log"},
      {{LK_MUTATE, "3", FACES_LOG, FACES_LOG, FACES_LO, LK_GROUP, "1-1", "0", "9", "0", "", FIELDS}, "key 2 is not"},
      {{LK_MUTATE, "3", FACES_LOG, FACES_STATE, "lk:{other}:q:lo", LK_GROUP, "1-1", "0", "9", "0", "", FIELDS},
       "key 3 is not"},
      {{LK_MUTATE, KEYS, "", "1-1", "0", "9", "0", "", FIELDS}, "argument 1 is empty"},
      {{LK_MUTATE, KEYS, LK_GROUP, "1", "0", "9", "0", "", FIELDS}, "argument 2 is not the id"},
      {{LK_MUTATE, KEYS, LK_GROUP, "1-1", "", "9", "0", "", FIELDS}, "argument 3 is not a whole number"},
      {{LK_MUTATE, KEYS, LK_GROUP, "1-1", "0", "x", "0", "", FIELDS}, "argument 4 is not a whole number"},
      {{LK_MUTATE, "4", FACES_LOG, FACES_STATE, FACES_LO, "lk:{other}:signed:a", LK_GROUP, "1-1", "0", "9", "0", "",
        FIELDS},
       "key 4 is not that of a signed job"},
      {{LK_MUTATE, KEYS, LK_GROUP, "1-1", "0", "9", "-1", "", FIELDS}, "argument 5 is not a whole number"},
      {{LK_MUTATE, KEYS, LK_GROUP, "1-1", "0", "9", "0", "", FIELDS, "x"}, "the last field has no value"},
      {{LK_MUTATE, KEYS, LK_GROUP, "1-1", "0", "9", "0", "", "id", "j", "op", "delete", "to", "me"},
       "argument 7 is not the"},
      {{LK_MUTATE, KEYS, LK_GROUP, "1-1", "0", "9", "0", "", "op", "delete", "id", "j", "to", ""},
       "the field to is missing"},
      {{LK_MUTATE, KEYS, LK_GROUP, "1-1", "0", "9", "0", "", FIELDS, "seq", "9"},
       "argument 13 is a field of the log, seq"},
      {{LK_ACKNOWLEDGE, "1", FACES_STATE, "a", "1", GOOD}, "entry 1 is not for a list"},
      {{LK_ACKNOWLEDGE, "0", "a", "1", GOOD}, "needs at least 1 key, not 0"},
      {{LK_ACKNOWLEDGE, "1", FACES_STATE, "a", "1", "x"}, "argument 3 is not a whole number"},
      {{LK_ACKNOWLEDGE, "1", FACES_STATE, "", "1", "1"}, "argument 1 is empty"},
      {{LK_ACKNOWLEDGE, "1", FACES_LOG, "a", "1", "1"}, "key 1 is not the state of a log"},
      {{LK_ACKNOWLEDGE, "2", FACES_STATE, LIST, "a", "1"}, "needs 2 arguments and 4 for each entry, not 2"},
      {{LK_ACKNOWLEDGE, "2", FACES_STATE, LIST, "a", "1", GOOD, "2"}, "needs 2 arguments and 4 for each entry, not 7"},
      {{LK_ACKNOWLEDGE, "2", FACES_LOG, LIST, "a", "1", GOOD}, "key 1 is not the state of a log"},
      {{LK_ACKNOWLEDGE, "2", FACES_STATE, "lk:{other}:r:me", "a", "1", GOOD}, "key 2 is no list"},
      {{LK_ACKNOWLEDGE, "3", FACES_STATE, LIST, FACES_LO, "a", "1", GOOD}, "key 3 is no list"},
      {{LK_ACKNOWLEDGE, "2", FACES_STATE, LIST, "", "1", GOOD}, "argument 1 is empty"},
      {{LK_ACKNOWLEDGE, "2", FACES_STATE, LIST, "a", "x", GOOD}, "argument 2 is not a whole number"},
      {{LK_ACKNOWLEDGE, "2", FACES_STATE, LIST, "a", "1", "0", "1", "j", "r"}, "entry 1 has no number"},
      {{LK_ACKNOWLEDGE, "2", FACES_STATE, LIST, "a", "1", GOOD, "1", "1", "j", "r"}, "entry 2 does not come after"},
      {{LK_ACKNOWLEDGE, "2", FACES_STATE, LIST, "a", "1", GOOD, "2", "2", "j", "r"}, "entry 2 is not for a list"},
      {{LK_ACKNOWLEDGE, "2", FACES_STATE, LIST, "a", "1", GOOD, "2", "1", "", "r"}, "entry 2 is of a job without"},
      {{LK_APPLIED, "2", FACES_LOG, FACES_STATE, "a", "1", "a", "keep"}, "wrong number of keys, 2"},
      {{LK_APPLIED, READERS, "a", "1", "a"}, "wrong number of arguments, 3"},
      {{LK_APPLIED, READERS, "", "1", "a", "keep"}, "argument 1 is empty"},
      {{LK_APPLIED, READERS, "a", "x", "a", "keep"}, "argument 2 is not a whole number"},
      {{LK_APPLIED, READERS, "a", "1", "a", "all"}, "argument 4 is not keep or erase"},
      {{LK_APPLIED, KEYS, "a", "1", "a", "keep"}, "key 3 is not lk:{faces}:log:readers"},
  };
  deliver("1-1", "w");
  log_add("1-2", "j1");
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) expect_refused(cases[i].expected, cases[i].words);
}
