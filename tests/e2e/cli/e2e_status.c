/* What `likeness status` tells of a queue. */
#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "tests/e2e/e2e.h"

static process p, worker;
static json_t *overview;

static void teardown(void) {
  json_decref(overview);
  process_close(&p);
  process_close(&worker);
  e2e_teardown();
}

TestSuite(status, .init = e2e_setup_with_redis, .fini = teardown);

/* Reads what it tells of "faces". */
static void look(void) {
  json_error_t error;
  EXPECT(&p, 0, "", "status", "--redis", redis.url, "--gallery", "faces", "--format", "json");
  json_decref(overview);
  overview = json_loads(process_out(&p), 0, &error);
  cr_assert_not_null(overview, "%s: %s", error.text, process_out(&p));
}

static json_int_t number(const char *object, const char *member) {
  const json_t *from = object != NULL ? json_object_get(overview, object) : overview,
               *value = json_object_get(from, member);
  cr_assert(json_is_integer(value), "%s: %s", member, process_out(&p));
  return json_integer_value(value);
}

static const json_t *only_worker(void) {
  const json_t *workers = json_object_get(overview, "workers");
  cr_assert_eq(json_array_size(workers), 1, "%s", process_out(&p));
  return json_array_get(workers, 0);
}

Test(status, jobs_that_nobody_takes) {
  send_jobs(FACES_LO, "x", "me", 30);
  send_jobs(FACES_HI, "y", "me", 2);
  send_jobs(FACES_LO ":7", "z", "me", 3);
  sleep_ms(300);
  look();
  cr_assert_str_eq(reply_text(overview, "gallery"), "faces");
  cr_assert(number("lo", "jobs") == 33 && number("lo", "held") == 0, "%s", process_out(&p));
  cr_assert(number("hi", "jobs") == 2 && number("hi", "held") == 0, "%s", process_out(&p));
  cr_assert(number("lo", "oldest_ms") >= 300 && number("lo", "oldest_ms") < 60000, "%s", process_out(&p));
  cr_assert_eq(json_array_size(json_object_get(overview, "workers")), 0);
  EXPECT(&p, 0, "", "status", "--redis", redis.url);
  expect_out(&p, "faces\n  hi       jobs 2, held 0, oldest ");
  expect_out(&p, "  lo       jobs 33, held 0, oldest ");
  expect_out(&p, "  worker   none\n");
}

/* A worker that waits for company holds jobs; killed, it holds them still, but has no lease. */
Test(status, who_holds_what) {
  enum { JOBS = 40 };
  worker_start(&worker, "--max-queue-delay-us", "60000000", "--batch", "4096", NULL);
  cr_assert(redis_reaches(&redis, 2, "EXISTS", FACES_HI, FACES_LO, NULL));
  send_jobs(FACES_LO, "x", "me", JOBS);
  for (int tries = 0; pending() < JOBS && tries < 500; tries++) sleep_ms(20);
  look();
  cr_assert(number("lo", "jobs") == JOBS && number("lo", "held") == JOBS, "%s", process_out(&p));
  cr_assert_eq(json_integer_value(json_object_get(only_worker(), "held")), JOBS);
  json_int_t lease_ms = json_integer_value(json_object_get(only_worker(), "lease_ms"));
  cr_assert(lease_ms > 0 && lease_ms <= LK_LEASE_MS, "%s", process_out(&p));
  process_signal(&worker, SIGKILL);
  sleep_ms(LK_LEASE_MS + 500);
  look();
  cr_assert(json_is_null(json_object_get(only_worker(), "lease_ms")), "%s", process_out(&p));
  cr_assert_eq(json_integer_value(json_object_get(only_worker(), "held")), JOBS);
}

Test(status, what_is_searched_for_and_what_went_wrong) {
  redis_do(&redis, "HSET", FACES_RUNNING, "w-1/0", "q:lo 1-1\nq:lo 1-2", "w-1/1", "q:hi 1-3", NULL);
  redis_do(&redis, "ZADD", FACES_WORKERS, "9999999999999", "w-1", NULL);
  redis_do(&redis, "HSET", "lk:{faces}:counts", "poison", "2", "replies_dropped", "5", NULL);
  redis_do(&redis, "HSET", FACES_DEATHS, "q:lo 1-1", "1", NULL);
  redis_do(&redis, "XADD", FACES_DEAD, "*", "reason", "r", NULL);
  look();
  cr_assert_eq(json_integer_value(json_object_get(only_worker(), "searching")), 3, "%s", process_out(&p));
  cr_assert(number("counts", "poison") == 2 && number("counts", "replies_dropped") == 5);
  cr_assert(number(NULL, "dead") == 1 && number(NULL, "deaths") == 1);
  EXPECT(&p, 0, "", "status", "--redis", redis.url);
  expect_out(&p, "  counts   dead 1, deaths 1, poison 2, replies_dropped 5, replies_not_kept 0\n");
  expect_out(&p, "held 0, searching 3\n");
}

Test(status, all_galleries_in_order) {
  EXPECT(&p, 0, "no gallery has a queue here", "status", "--redis", redis.url);
  redis_do(&redis, "XADD", "lk:{zoo}:q:hi", "1-1", "v", "1", NULL);
  redis_do(&redis, "ZADD", "lk:{ants}:workers", "1", "w", NULL);
  redis_do(&redis, "SET", "lk:{not a name}:workers", "x", NULL);
  redis_do(&redis, "RPUSH", "lk:{mute}:r:me", "x", NULL);
  EXPECT(&p, 0, "", "status", "--redis", redis.url);
  cr_assert_eq(strncmp(process_out(&p), "ants\n", 5), 0, "%s", process_out(&p));
  expect_out(&p, "  worker   w                        lease -, held 0, searching 0\n"); /* its lease is over */
  expect_out(&p, "\nzoo\n  hi       jobs 1, held 0, oldest ");
  cr_assert(strstr(process_out(&p), "not a name") == NULL && strstr(process_out(&p), "mute") == NULL);
}

/* It takes no part: nothing in Redis is another than before. */
Test(status, changes_nothing) {
  send_jobs(FACES_LO, "x", "me", 3);
  int64_t keys = redis_number(&redis, "DBSIZE", NULL);
  look();
  cr_assert_eq(redis_number(&redis, "DBSIZE", NULL), keys);
  cr_assert_eq(pending(), 0);
  cr_assert_eq(queued(), 3);
}

Test(status, refusals) {
  EXPECT(&p, 2, "--redis is missing", "status");
  EXPECT(&p, 2, "a b", "status", "--redis", redis.url, "--gallery", "a b");
  EXPECT(&p, 2, "does not write 'csv'", "status", "--redis", redis.url, "--format", "csv");
  redis_do(&redis, "SET", FACES_LO, "x", NULL);
  EXPECT(&p, 1, "WRONGTYPE", "status", "--redis", redis.url, "--gallery", "faces");
  redis_do(&redis, "ACL", "SETUSER", "default", "-scan", NULL);
  EXPECT(&p, 1, "SCAN", "status", "--redis", redis.url);
}
