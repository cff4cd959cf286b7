/* A Redis that has no memory left takes no job, and everything that a worker and a client need to empty it: also where
 * its functions are gone, and cannot be loaded again. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "tests/e2e/functions/calls.h"

TestSuite(full, .init = calls_setup, .fini = calls_teardown);

#define STREAM FACES_LO
#define LIST FACES_MY_REPLIES
#define SUBMIT(pattern, id) expect_call(pattern, LK_SUBMIT, "1", STREAM, "id", id, "to", "me", NULL)

/* All that workers and clients do with jobs that wait; `a` and `b` name two jobs that Redis has. */
static void drain(const char *a, const char *b, const char *hash) {
  char key[64];
  snprintf(key, sizeof key, FACES_SIGNED "%s", hash);
  expect_call("(1 *)", LK_LEASE, "1", FACES_WORKERS, "c", "60000", LK_GROUP, NULL);
  expect_call("2", LK_JOIN, "2", STREAM, FACES_HI, LK_GROUP, NULL);
  expect_call("1", LK_RUN, "1", FACES_RUNNING, "c/0", "q:lo 1-1", NULL);
  expect_call("((1 * 0) (1 * 0))", LK_CLAIM, "2", FACES_WORKERS, STREAM, LK_GROUP, "c", "2", "all", NULL);
  expect_call("1", LK_RETURN, "1", STREAM, LK_GROUP, "c", a, NULL);
  expect_call("", LK_ONCE, "1", key, a, "60000", NULL);
  expect_call("*-*", LK_HEAD, "1", FACES_HEADS, "10", "h", NULL);
  expect_call("(HELD *)", LK_WHERE, "2", STREAM, FACES_WORKERS, LK_GROUP, b, NULL);
  expect_call("1", LK_CANCEL, "1", FACES_CANCELLED, "me", "a", NULL);
  expect_call("(1 0 0 0 *)", LK_FINISH, "3", STREAM, FACES_DEAD, LIST, LK_GROUP, a, "1", ALWAYS, a, "found", NULL);
  expect_call("OK", LK_DISCARD, "2", STREAM, FACES_DEAD, LK_GROUP, b, "why", NULL);
  expect_call("1", LK_FORGET, "1", LIST, a, NULL);
  expect_call("0", LK_TRIM, "1", STREAM, LK_GROUP, NULL);
  expect_call("0", LK_MEND, "1", STREAM, LK_GROUP, "60000", NULL);
  expect_call("0", LK_LEAVE, "2", FACES_WORKERS, STREAM, LK_GROUP, "c", NULL);
}

Test(full, it_can_be_drained) {
  for (int i = 1; i <= 4; i++) {
    char entry[8];
    snprintf(entry, sizeof entry, "1-%d", i);
    deliver(entry, "dead");
  }
  limit_to(50);
  expect_redis("!OOM*", "XADD", STREAM, "*", "a", "b", NULL);
  SUBMIT("!OOM*", "1-1");
  drain("1-1", "1-2", "00");
  redis_do(&redis, "FUNCTION", "FLUSH", NULL);
  expect_redis("!OOM*", "FUNCTION", "LOAD", lk_functions_library, NULL);
  drain("1-3", "1-4", "01");
  SUBMIT("(EBUSY 200)", "1-1");
  expect_redis("0", "FUNCTION", "LIST", NULL);
  expect_redis("(found found)", "LRANGE", LIST, "0", "-1", NULL);
  expect_redis("0", "XLEN", STREAM, NULL);
}

Test(full, clients_wait_before_it_is) {
  SUBMIT("(QUEUED *)", "a");
  limit_to(130);
  SUBMIT("(QUEUED *)", "b");
  limit_to(110);
  SUBMIT("(EBUSY 200)", "c");
  SUBMIT("(WAITING *)", "a");
  expect_redis("2", "XLEN", STREAM, NULL);
  redis_do(&redis, "CONFIG", "SET", "maxmemory", "0", NULL);
  sleep_ms(60);
  SUBMIT("(QUEUED *)", "c");
}

/* Whoever calls first loads them; a user who may not is told so. */
Test(full, functions_that_are_gone_are_loaded) {
  redis_do(&redis, "FUNCTION", "FLUSH", NULL);
  SUBMIT("(QUEUED *)", "a");
  redis_do(&redis, "FUNCTION", "FLUSH", NULL);
  redis_do(&redis, "ACL", "SETUSER", "default", "-function", NULL);
  SUBMIT("!NOPERM*", "b");
}
