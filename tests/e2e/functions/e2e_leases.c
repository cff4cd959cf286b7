/* The functions of workers that live, leave and die: who holds a job, and who takes it over. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/e2e/functions/calls.h"

TestSuite(leases, .init = calls_setup, .fini = calls_teardown);

#define STREAM FACES_LO

static void lease(const char *worker, const char *ms) {
  expect_call("(* *)", LK_LEASE, "1", FACES_WORKERS, worker, ms, LK_GROUP, NULL);
}

#define CLAIM(pattern, worker, most, whose) \
  expect_call(pattern, LK_CLAIM, "2", FACES_WORKERS, STREAM, LK_GROUP, worker, most, whose, NULL)

/* The consumers of FACES_LO, as "name:pending ", by name. */
static void expect_consumers(const char *expected) {
  char found[1024] = "";
  lk_redis_reply *reply = redis_ask(&redis, "XINFO", "CONSUMERS", STREAM, LK_GROUP, NULL);
  for (size_t i = 0; i < lk_redis_reply_elements(reply); i++) {
    const lk_redis_reply *consumer = lk_redis_reply_element(reply, i);
    size_t length, used = strlen(found);
    snprintf(found + used, sizeof found - used, "%s:%lld ",
             lk_redis_reply_string(lk_redis_reply_element(consumer, 1), &length),
             (long long)lk_redis_reply_integer(lk_redis_reply_element(consumer, 3)));
  }
  lk_redis_reply_free(reply);
  cr_assert_str_eq(found, expected);
}

/* The key is there only while a worker lives, and says until when by Redis' clock. */
Test(leases, run_out) {
  expect_call("(1 *)", LK_LEASE, "1", FACES_WORKERS, "a", "300", LK_GROUP, NULL);
  expect_call("(2 *)", LK_LEASE, "1", FACES_WORKERS, "b", "600000", LK_GROUP, NULL);
  int64_t end_ms = redis_number(&redis, "ZSCORE", FACES_WORKERS, "b", NULL),
          left_ms = redis_number(&redis, "PTTL", FACES_WORKERS, NULL);
  cr_assert(left_ms > 500000 && left_ms <= 600000, "the longest lease counts");
  lk_redis_reply *reply = redis_ask(&redis, "TIME", NULL);
  int64_t now = lk_redis_reply_integer(lk_redis_reply_element(reply, 0)) * 1000;
  lk_redis_reply_free(reply);
  cr_assert(end_ms > now + 500000 && end_ms <= now + 601000);
  sleep_ms(320);
  expect_call("(1 *)", LK_LEASE, "1", FACES_WORKERS, "b", "200", LK_GROUP, NULL);
  sleep_ms(220);
  expect_redis("0", "EXISTS", FACES_WORKERS, NULL);
}

/* The worker that died before Redis' clock was set back by an hour does not live for an hour. */
Test(leases, end_in_time_when_the_clock_is_set_back) {
  redis_do(&redis, "ZADD", FACES_WORKERS, "9007199254740992", "dead", NULL);
  for (int i = 0; i < 2; i++) {
    expect_call("(2 *)", LK_LEASE, "1", FACES_WORKERS, "c", "1000", LK_GROUP, NULL);
    sleep_ms(600);
  }
  expect_call("(1 *)", LK_LEASE, "1", FACES_WORKERS, "c", "1000", LK_GROUP, NULL);
}

Test(leases, of_a_worker_keep_its_group_for_a_day) {
  lk_redis_reply *reply = redis_ask(&redis, "TIME", NULL);
  int64_t now = lk_redis_reply_integer(lk_redis_reply_element(reply, 0)) * 1000;
  lk_redis_reply_free(reply);
  redis_do(&redis, "DEL", FACES_GROUPS, NULL);
  lease("c", "3000");
  int64_t end_ms = redis_number(&redis, "ZSCORE", FACES_GROUPS, LK_GROUP, NULL);
  cr_assert(end_ms >= now + 86400000 && end_ms < now + 86460000);
  expect_redis("86400", "TTL", FACES_GROUPS, NULL);
}

Test(leases, only_what_the_dead_hold_is_claimed) {
  deliver("1-1", "dead");
  deliver("1-2", "living");
  deliver("1-3", "me");
  deliver("1-4", "dead");
  lease("living", "60000");
  CLAIM("0", "me", "1000", "returned");
  CLAIM("0", "me", "0", "all");
  CLAIM("((1 1-1 0))", "me", "1", "all");
  CLAIM("((1 1-4 0))", "me", "1000", "all");
  expect_consumers("dead:0 living:1 me:3 ");
  CLAIM("0", "me", "1000", "all");
  expect_consumers("living:1 me:3 ");
  CLAIM("((1 1-1 0) (1 1-3 0) (1 1-4 0))", "living", "1000", "all");
  expect_redis("(1-1 1-2 1-3 1-4)", "EVAL",
               "local ids = {} for _, e in ipairs(redis.call('XPENDING', KEYS[1], ARGV[1], '-', '+', 9, 'living')) do "
               "ids[#ids + 1] = e[1] end return ids",
               "1", STREAM, LK_GROUP, NULL);
}

/* Of each stream, of lanes too, the number; one without the group, and a key of another type, stop nothing. */
Test(leases, claims_from_all_streams) {
  expect_call("1", LK_JOIN, "1", FACES_LO_3, LK_GROUP, NULL);
  redis_do(&redis, "XADD", FACES_LO_3, "5-5", "a", "b", NULL);
  redis_do(&redis, "XREADGROUP", "GROUP", LK_GROUP, "dead", "STREAMS", FACES_LO_3, ">", NULL);
  deliver("1-1", "dead");
  redis_do(&redis, "SET", FACES_HI, "text", NULL);
  static const char *const whose[] = {"returned", "all"};
  for (int i = 0; i < 2; i++)
    expect_call(i == 0 ? "0" : "((3 1-1 0) (4 5-5 0))", LK_CLAIM, "5", FACES_WORKERS, FACES_HI, FACES_HI ":1", STREAM,
                FACES_LO_3, LK_GROUP, "me", "9", whose[i], NULL);
}

Test(leases, an_entry_deleted_while_it_was_pending_is_reported) {
  deliver("1-1", "dead");
  deliver("1-2", "dead");
  deliver("1-3", "dead");
  redis_do(&redis, "XDEL", STREAM, "1-1", "1-3", NULL);
  expect_call("0", LK_RETURN, "1", STREAM, LK_GROUP, "dead", "1-3", NULL);
  CLAIM("((1 1-2 0))", "me", "1000", "all");
  expect_redis("((* (entry 1-3 to  reason the entry was deleted*)) (* (entry 1-1 *)))", "XRANGE", FACES_DEAD, "-", "+",
               NULL);
}

Test(leases, what_is_handed_back_is_claimed_by_the_next) {
  deliver("1-1", "a");
  deliver("1-2", "a");
  deliver("1-3", "b");
  lease("a", "60000");
  lease("b", "60000");
  expect_call("1", LK_RETURN, "1", STREAM, LK_GROUP, "a", "1-1", "1-3", "9-9", NULL);
  expect_call("0", LK_RETURN, "1", STREAM, LK_GROUP, "a", "1-1", NULL);
  expect_consumers("a:1 b:1 returned:1 ");
  CLAIM("((1 1-1 0))", "b", "1000", "returned");
  expect_call("1", LK_RETURN, "1", STREAM, LK_GROUP, "a", "1-2", NULL);
  CLAIM("((1 1-2 0))", "b", "1000", "all");
  expect_consumers("a:0 b:3 returned:0 ");
  CLAIM("0", "b", "1000", "all");
  expect_consumers("a:0 b:3 ");
  expect_call("0", LK_RETURN, "1", FACES_HI, LK_GROUP, "a", "1-1", NULL);
}

Test(leases, leave) {
  deliver("1-1", "a");
  lease("a", "60000");
  lease("b", "60000");
  expect_call("1", LK_RUN, "1", FACES_RUNNING, "a/0", "q:lo 1-1", NULL);
  expect_call("1", LK_RUN, "1", FACES_RUNNING, "b/1", "q:lo 1-2", NULL);
  expect_call("1", LK_LEAVE, "3", FACES_WORKERS, STREAM, FACES_HI, LK_GROUP, "a", NULL);
  expect_redis("(b)", "ZRANGE", FACES_WORKERS, "0", "-1", NULL);
  expect_redis("(b/1)", "HKEYS", FACES_RUNNING, NULL);
  expect_consumers("returned:1 ");
  CLAIM("((1 1-1 0))", "b", "9", "returned");
  expect_call("0", LK_LEAVE, "2", FACES_WORKERS, STREAM, LK_GROUP, "a", NULL);
  expect_consumers("b:1 returned:0 ");
}

/* In pieces, over all its streams. */
Test(leases, what_a_worker_that_leaves_still_holds_is_handed_back) {
  static const char *const moved[] = {"1000", "300", "0"};
  expect_call("1", LK_JOIN, "1", FACES_LO_3, LK_GROUP, NULL);
  for (int i = 0; i < 1300; i++) redis_do(&redis, "XADD", i < 700 ? STREAM : FACES_LO_3, "*", "a", "b", NULL);
  redis_do(&redis, "XREADGROUP", "GROUP", LK_GROUP, "a", "STREAMS", STREAM, FACES_LO_3, ">", ">", NULL);
  deliver("9999999999999-1", "b");
  for (int i = 0; i < 3; i++)
    expect_call(moved[i], LK_LEAVE, "3", FACES_WORKERS, STREAM, FACES_LO_3, LK_GROUP, "a", NULL);
  expect_consumers("b:1 returned:700 ");
}

/* Everything that may be refused is refused before anything is claimed; and what is claimed is told. */
Test(leases, a_claim_that_is_refused_claims_nothing) {
  deliver("1-1", "dead");
  redis_do(&redis, "XGROUP", "CREATECONSUMER", STREAM, LK_GROUP, "empty", NULL);
  redis_do(&redis, "SET", FACES_DEATHS, "text", NULL);
  CLAIM("!*WRONGTYPE*", "me", "9", "all");
  expect_consumers("dead:1 empty:0 ");
  redis_do(&redis, "DEL", FACES_DEATHS, NULL);
  redis_do(&redis, "ACL", "SETUSER", "default", "-xgroup|delconsumer", NULL);
  CLAIM("((1 1-1 0))", "me", "9", "all");
  CLAIM("!*can't run this command*", "me", "9", "all");
  redis_do(&redis, "ACL", "SETUSER", "default", "+@all", NULL);
  CLAIM("0", "me", "9", "all");
  expect_consumers("me:1 ");
}

Test(leases, run) {
  expect_call("1", LK_RUN, "1", FACES_RUNNING, "a/0", "q:lo 1-1\nq:hi:3 2-2", NULL);
  cr_assert_gt(redis_number(&redis, "PTTL", FACES_RUNNING, NULL), 86000000, "it expires, from the first note on");
  expect_call("0", LK_RUN, "1", FACES_RUNNING, "a/0", "q:lo 1-2", NULL);
  expect_redis("(a/0 q:lo 1-2)", "HGETALL", FACES_RUNNING, NULL);
  expect_call("1", LK_RUN, "1", FACES_RUNNING, "a/0", "", NULL);
  expect_redis("0", "EXISTS", FACES_RUNNING, NULL);
}

/* A worker takes all that waits, and dies of the jobs that it runs. */
static void die_of(const char *worker, const char *jobs) {
  static const char *const fields[] = {"%s/0", "%s/1"};
  char field[64];
  snprintf(field, sizeof field, fields[worker[0] % 2], worker);
  expect_call("1", LK_RUN, "1", FACES_RUNNING, field, jobs, NULL);
}

Test(leases, deaths_are_counted_of_what_ran) {
  deliver("1-1", "a");
  deliver("1-2", "a");
  deliver("1-3", "a");
  die_of("a", "q:lo 1-1\nq:lo 1-2\nq:lo 7-7\nq:hi 1-3\nnonsense\nq:lo 99999999999999999999-0");
  CLAIM("((1 1-1 1) (1 1-2 1) (1 1-3 0))", "b", "9", "all");
  expect_redis("2", "HLEN", FACES_DEATHS, NULL);
  expect_redis("3600", "TTL", FACES_DEATHS, NULL);
  expect_redis("0", "EXISTS", FACES_RUNNING, NULL);
  die_of("b", "q:lo 1-1");
  CLAIM("((1 1-1 2))", "c", "1", "all");
  CLAIM("((1 1-2 1) (1 1-3 0))", "c", "9", "all");
  expect_redis("0", "EXISTS", FACES_COUNTS, NULL);
}

/* What was noted of workers goes with them, also where they are no consumers. */
Test(leases, notes_of_the_dead_are_forgotten) {
  deliver("1-1", "living");
  lease("living", "60000");
  die_of("living", "q:lo 1-1");
  die_of("gone", "q:lo 1-1");
  die_of("me", "q:lo 1-1");
  CLAIM("0", "me", "9", "returned");
  CLAIM("0", "me", "9", "uncounted");
  expect_redis("3", "HLEN", FACES_RUNNING, NULL);
  CLAIM("0", "me", "9", "all");
  expect_redis("0", "HEXISTS", FACES_RUNNING, "gone/1", NULL);
  expect_redis("2", "HLEN", FACES_RUNNING, NULL);
  expect_redis("0", "EXISTS", FACES_DEATHS, NULL);
}

/* Who seems to be dead right after an outage may be alive. */
Test(leases, deaths_are_not_counted_where_they_are_doubted) {
  deliver("1-1", "a");
  deliver("1-2", "a");
  die_of("a", "q:lo 1-1\nq:lo 1-2");
  CLAIM("((1 1-1 0))", "b", "1", "uncounted");
  CLAIM("((1 1-2 1))", "c", "1", "all");
  expect_redis("(q:lo 1-2 1)", "HGETALL", FACES_DEATHS, NULL);
}

/* One that another worker took from it, or that was answered, did not kill it. */
Test(leases, deaths_are_of_what_the_worker_held) {
  deliver("1-1", "a");
  deliver("1-2", "a");
  die_of("a", "q:lo 1-1\nq:lo 1-2");
  redis_do(&redis, "XCLAIM", STREAM, LK_GROUP, "b", "0", "1-1", "JUSTID", NULL);
  redis_do(&redis, "XACK", STREAM, LK_GROUP, "1-2", NULL);
  lease("b", "60000");
  CLAIM("0", "c", "9", "all");
  expect_redis("0", "EXISTS", FACES_DEATHS, NULL);
}

/* After the third the job is reported, and whoever has it answers it, however often that one dies before. */
Test(leases, poison) {
  static const char *const workers[] = {"a", "b", "c", "d", "e"};
  static const char *const claimed[] = {"((1 1-1 1) (1 1-2 0))", "((1 1-1 2) (1 1-2 0))", "((1 1-1 3) (1 1-2 0))",
                                        "((1 1-1 3) (1 1-2 0))"};
  redis_do(&redis, "XADD", STREAM, "1-1", "to", "me", NULL);
  deliver("1-2", "a");
  for (int i = 0; i < 4; i++) {
    if (i < 3) die_of(workers[i], "q:lo 1-1");
    CLAIM(claimed[i], workers[i + 1], "9", "all");
  }
  expect_redis("1", "HGET", FACES_COUNTS, "poison", NULL);
  expect_redis("((* (entry 1-1 to me reason 3 workers died of it)))", "XRANGE", FACES_DEAD, "-", "+", NULL);
  expect_call("(1 0 0 0 *)", LK_FINISH, "3", STREAM, FACES_DEAD, FACES_MY_REPLIES, LK_GROUP, "1-1", "1", ALWAYS, "",
              "EPOISON", NULL);
  expect_redis("0", "EXISTS", FACES_DEATHS, NULL);
}

Test(leases, poison_though_the_counts_are_spoilt) {
  redis_do(&redis, "SET", FACES_COUNTS, "text", NULL);
  redis_do(&redis, "HSET", FACES_DEATHS, "q:lo 1-1", "2", NULL);
  deliver("1-1", "a");
  die_of("a", "q:lo 1-1");
  CLAIM("((1 1-1 3))", "b", "9", "all");
  expect_redis("1", "XLEN", FACES_DEAD, NULL);
}

Test(leases, workers_calls_check_what_they_are_given) {
  static const struct {
    const char *words[12], *expected;
  } cases[] = {
      {{LK_LEASE, "0", "a", "1", "g"}, "wrong number of keys"},
      {{LK_LEASE, "1", FACES_WORKERS, "a", "1"}, "wrong number of arguments"},
      {{LK_LEASE, "1", FACES_DEAD, "a", "1", "g"}, "key 1"},
      {{LK_LEASE, "1", "lk:{}:workers", "a", "1", "g"}, "key 1"},
      {{LK_LEASE, "1", "lk:{a/b}:workers", "a", "1", "g"}, "key 1"},
      {{LK_LEASE, "1", FACES_WORKERS, "", "1", "g"}, "argument 1 is empty"},
      {{LK_LEASE, "1", FACES_WORKERS, "a", "0", "g"}, "argument 2"},
      {{LK_LEASE, "1", FACES_WORKERS, "a", "86400001", "g"}, "argument 2"},
      {{LK_RUN, "1", FACES_RUNNING, "a/0"}, "wrong number of arguments"},
      {{LK_RUN, "1", FACES_RUNNING, "a", "x"}, "argument 1"},
      {{LK_RUN, "1", FACES_RUNNING, "a/2", "x"}, "argument 1"},
      {{LK_RUN, "1", FACES_WORKERS, "a/0", "x"}, "key 1"},
      {{LK_RETURN, "1", STREAM, LK_GROUP, "a"}, "wrong number of arguments"},
      {{LK_RETURN, "1", STREAM, "", "a", "1-1"}, "argument 1 is empty"},
      {{LK_RETURN, "1", STREAM, LK_GROUP, "", "1-1"}, "argument 2 is empty"},
      {{LK_RETURN, "1", STREAM, LK_GROUP, "a", "1-1", "1"}, "argument 4"},
      {{LK_RETURN, "1", FACES_DEAD, LK_GROUP, "a", "1-1"}, "key 1"},
      {{LK_LEAVE, "1", FACES_WORKERS, LK_GROUP, "a"}, "wrong number of keys"},
      {{LK_LEAVE, "2", STREAM, STREAM, LK_GROUP, "a"}, "key 1"},
      {{LK_LEAVE, "3", FACES_WORKERS, STREAM, "lk:{other}:q:lo", LK_GROUP, "a"}, "key 3"},
      {{LK_LEAVE, "2", FACES_WORKERS, STREAM, LK_GROUP, ""}, "argument 2 is empty"},
      {{LK_CLAIM, "1", FACES_WORKERS, LK_GROUP, "a", "1", "all"}, "wrong number of keys"},
      {{LK_CLAIM, "2", FACES_DEAD, STREAM, LK_GROUP, "a", "1", "all"}, "key 1"},
      {{LK_CLAIM, "2", FACES_WORKERS, FACES_DEAD, LK_GROUP, "a", "1", "all"}, "key 2"},
      {{LK_CLAIM, "2", FACES_WORKERS, "lk:{other}:q:lo", LK_GROUP, "a", "1", "all"}, "key 2"},
      {{LK_CLAIM, "2", FACES_WORKERS, STREAM, LK_GROUP, "", "1", "all"}, "argument 2 is empty"},
      {{LK_CLAIM, "2", FACES_WORKERS, STREAM, LK_GROUP, "a", "1001", "all"}, "argument 3"},
      {{LK_CLAIM, "2", FACES_WORKERS, STREAM, LK_GROUP, "a", "1", "some"}, "argument 4"},
  };
  deliver("1-1", "a");
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) expect_refused(cases[i].expected, cases[i].words);
  expect_call("(1 *)", LK_LEASE, "1", "lk:{faces/1}:workers", "a", "9", "g", NULL);
}
