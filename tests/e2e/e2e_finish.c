/* The giving side of a worker: in which calls replies leave, and what becomes of those that nobody can get. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/e2e/e2e.h"

static process worker;

static void teardown(void) {
  process_close(&worker);
  e2e_teardown();
}

TestSuite(finish, .init = e2e_setup_with_redis, .fini = teardown);

static void expect_dead(uint32_t count, const char *to, const char *reason) {
  cr_assert(redis_reaches(&redis, count, "XLEN", FACES_DEAD, NULL));
  lk_redis_reply *reply = redis_ask(&redis, "XREVRANGE", FACES_DEAD, "+", "-", "COUNT", "1", NULL);
  const lk_redis_reply *fields = lk_redis_reply_element(lk_redis_reply_element(reply, 0), 1);
  cr_assert_eq(lk_redis_reply_elements(fields), 6);
  size_t length;
  cr_assert_str_eq(lk_redis_reply_string(lk_redis_reply_element(fields, 3), &length), to);
  const char *given = lk_redis_reply_string(lk_redis_reply_element(fields, 5), &length);
  cr_assert_not_null(strstr(given, reason), "%s", given);
  lk_redis_reply_free(reply);
}

Test(finish, replies_that_nobody_can_get) {
  worker_start(&worker, NULL);
  redis_do(&redis, "SET", FACES_REPLIES "odd", "no list", NULL);
  send_job(&(test_job){.to = "odd"});
  expect_dead(1, "odd", "holds a string");
  send_job(&(test_job){.to = NO_FIELD});
  expect_dead(2, "", "to");
  send_job(&(test_job){.to = "a\nb", .id = NO_FIELD});
  expect_dead(3, "", "id");
  send_job(&(test_job){0});
  expect_reply("me", "j1", "OK", "");
  worker_stop(&worker);
  cr_assert_eq(pending(), 0);
}

/* Entries whose fields are not those of a job. */
Test(finish, entries_that_are_no_jobs) {
  worker_start(&worker, NULL);
  redis_do(&redis, "XADD", FACES_HI, "*", "hello", "world", NULL);
  expect_dead(1, "", "id");
  lk_command command = {0};
  char names[200][8];
  lk_command_add_string(&command, "XADD");
  lk_command_add_string(&command, FACES_LO);
  const char *const first[] = {"*", "to", "me", "id", "many", "flags", "json"};
  for (int i = 0; i < 7; i++) lk_command_add_string(&command, first[i]);
  for (int i = 0; i < 200; i++) {
    snprintf(names[i], sizeof names[i], "f%d", i);
    lk_command_add_string(&command, names[i]);
    lk_command_add_string(&command, "x");
  }
  lk_redis_reply *reply = NULL;
  cr_assert_eq(lk_redis_call(redis.link, &command, &reply, NULL), LK_OK);
  lk_redis_reply_free(reply);
  lk_command_free(&command);
  expect_reply("me", "many", "EBADJOB", "64 fields");
}

/* Calls of RPUSH, which the functions make too. */
static uint32_t pushes(void) {
  size_t length;
  unsigned calls = 0;
  lk_redis_reply *reply = redis_ask(&redis, "INFO", "commandstats", NULL);
  const char *line = strstr(lk_redis_reply_string(reply, &length), "cmdstat_rpush:calls=");
  cr_assert(line != NULL && sscanf(line, "cmdstat_rpush:calls=%u", &calls) == 1);
  lk_redis_reply_free(reply);
  return calls;
}

#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
enum { LARGE_JOBS = 4, LARGE_PEAK_MB = 16384 }; /* slow, and memory of its own */
#else
enum { LARGE_JOBS = 40, LARGE_PEAK_MB = 600 };
#endif

/* The largest jobs there are, in one batch: their replies, of 7 MB each, neither block Redis nor fill the memory. */
Test(finish, large_replies_leave_one_by_one) {
  enum { CLIENTS = 4, ROWS = 4200, PROBES = 64 };
  static const char *const clients[CLIENTS] = {"a", "b", "c", "d"};
  const char *const many = files_gallery("many", LK_COSINE, FACES_DIM);
  random_state random = {11};
  float *rows = files_random(&random, ROWS, FACES_DIM);
  files_enroll(many, rows, ROWS, FACES_DIM, NULL);
  free(rows);
  redis_do(&redis, "CONFIG", "SET", "slowlog-log-slower-than", "500000", NULL);
  for (int i = 0; i < LARGE_JOBS; i++)
    send_job(&(test_job){.stream = "lk:{many}:q:lo",
                         .gallery = "many",
                         .to = clients[i % CLIENTS],
                         .k = "4096",
                         .n = "64",
                         .flags = "",
                         .f32 = faces_probes,
                         .bytes = PROBES * FACES_DIM * sizeof(float)});
  worker_start(&worker, many, "--batch", "2560", NULL);
  for (int i = 0; i < CLIENTS; i++) {
    char list[64];
    snprintf(list, sizeof list, "lk:{many}:r:%s", clients[i]);
    cr_assert(redis_reaches(&redis, LARGE_JOBS / CLIENTS, "LLEN", list, NULL), "%s", process_log(&worker));
  }
  uint64_t peak_mb = process_peak_bytes(&worker) >> 20;
  cr_assert_lt(peak_mb, LARGE_PEAK_MB, "%llu MB", (unsigned long long)peak_mb);
  cr_assert_eq(redis_number(&redis, "SLOWLOG", "LEN", NULL), 0);
  cr_assert_eq(pushes(), LARGE_JOBS);
  worker_stop(&worker);
}
