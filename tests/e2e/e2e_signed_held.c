/* Signed jobs that a worker held when something happened to it or to Redis: each gets its one answer, whoever gives it.
 */
#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include <likeness/signing_key.h>
#include "tests/e2e/e2e.h"

enum { JOBS = 64 }; /* of one probe each: what `submit` sends ahead */

static process worker, other, client;
static char policy[PATH_MAX], audit[PATH_MAX], other_audit[PATH_MAX], key_file[PATH_MAX];

/* The case's probes are just those of the jobs: one that counts twice is refused. */
static void write_policy(const lk_signing_key *key) {
  char text[1024];
  int length = snprintf(text, sizeof text,
                        "policy: 1\nname: test\ndeployment: here\nkeys:\n  - {actor: desk, ed25519: %s}\n"
                        "rules:\n  - id: signed\n    effect: permit\n    text: Who signs may search.\n"
                        "    require: [signature, case]\n    probes_per_case: %d\n",
                        key->public_hex, JOBS);
  files_write(policy, text, (size_t)length);
}

static void setup(void) {
  lk_signing_key key;
  lk_error error;
  e2e_setup();
  files_write_npy(probes, "<f4", JOBS, FACES_DIM, faces_probes, sizeof(float) * JOBS * FACES_DIM);
  redis_server_start(&redis, true);
  strcpy(policy, files_path("policy.yaml"));
  strcpy(audit, files_path("audit"));
  strcpy(other_audit, files_path("audit-other"));
  strcpy(key_file, files_path("desk"));
  cr_assert_eq(lk_signing_key_make(key_file, &error), LK_OK, "%s", error.text);
  cr_assert_eq(lk_signing_key_read_secret(key_file, &key, &error), LK_OK, "%s", error.text);
  write_policy(&key);
}

static void teardown(void) {
  process_close(&worker);
  process_close(&other);
  process_close(&client);
  e2e_teardown();
}

TestSuite(signed_held, .init = setup, .fini = teardown, .timeout = 120);

static void start(process *p, const char *log, const char *delay_us) {
  worker_start(p, "--policy", policy, "--audit", log, "--max-queue-delay-us", delay_us, NULL);
}

static uint32_t count(const char *log, const char *words) { return files_lines_with(log, "audit-000001.log", words); }

static int64_t signed_jobs(void) {
  return redis_number(&redis, "EVAL", "return #redis.call('KEYS', '*signed*')", "0", NULL);
}

/* A worker that has decided all jobs of a client, and waits for more before it searches. The answer to another job
 * takes the decisions to the log's file. */
static void hold(const char *delay_us) {
  start(&worker, audit, delay_us);
  workers_await(FACES_WORKERS);
  likeness_start(&client, "submit", probes, "--redis", redis.url, "--gallery", "faces", "--actor", "desk", "--purpose",
                 "demo", "--case", "c1", "--sign", key_file, "--deployment", "here", "--job-probes", "1", NULL);
  for (int tries = 0; pending() < JOBS && tries < 500; tries++) sleep_ms(20);
  cr_assert_eq(pending(), JOBS, "%s%s", process_log(&client), process_log(&worker));
  do sleep_ms(20);
  while (signed_jobs() < JOBS);
  send_job(&(test_job){.id = "unsigned", .extra = "actor", .extra_value = "desk"});
  expect_reply("me", "unsigned", "EPOLICY", "signature");
  cr_assert_eq(count(audit, "\"type\":\"decision\""), JOBS + 1);
}

/* The client has what it asked for, and nothing is left. An entry that a worker claims while it reads it again may be
 * searched for twice, and is answered once. */
static void expect_answers(const char *log) {
  cr_assert_eq(process_wait(&client, PROCESS_PATIENCE_MS), 0, "%s%s%s", process_log(&client), process_log(&worker),
               process_log(&other));
  cr_assert_eq(pending(), 0);
  cr_assert_eq(queued(), 0);
  cr_assert_geq(count(log, "\"released\":true"), JOBS);
}

static void expect_verified(const char *log) {
  process verify = {0};
  cr_assert_eq(likeness(&verify, "audit", "verify", log, NULL), 0, "%s", process_log(&verify));
  process_close(&verify);
}

/* Jobs that were handed back and that no worker has taken. */
static int64_t returned(void) {
  return redis_number(&redis, "EVAL",
                      "local jobs = 0 for _, key in ipairs(redis.call('KEYS', '*q:lo*')) do "
                      "jobs = jobs + #redis.call('XPENDING', key, ARGV[1], '-', '+', 1000, 'returned') end return jobs",
                      "0", LK_GROUP, NULL);
}

/* Twice: the second time the log has each job twice. */
Test(signed_held, a_worker_stops_and_starts_again) {
  hold("60000000");
  worker_stop(&worker);
  cr_assert_eq(returned(), JOBS);
  process_close(&worker);
  start(&worker, audit, "60000000");
  do sleep_ms(500);
  while (returned() > 0);
  worker_stop(&worker);
  cr_assert_eq(returned(), JOBS);
  process_close(&worker);
  cr_assert_gt(count(audit, "\"permitted\":true"), JOBS);
  start(&worker, audit, "0");
  expect_answers(audit);
  worker_stop(&worker);
  expect_verified(audit);
}

Test(signed_held, a_worker_is_killed_and_starts_again) {
  hold("60000000");
  process_close(&worker);
  start(&worker, audit, "0");
  expect_answers(audit);
  worker_stop(&worker);
  expect_verified(audit);
}

Test(signed_held, a_worker_is_killed_and_another_claims) {
  hold("60000000");
  start(&other, other_audit, "0");
  process_close(&worker);
  expect_answers(other_audit);
  cr_assert_eq(count(audit, "\"released\":true"), 0);
  worker_stop(&other);
  expect_verified(other_audit);
}

static void destroy_groups(void) {
  static const char *const priorities[] = {"hi", "lo"};
  for (int p = 0; p < 2; p++)
    for (int lane = 0; lane < LK_LANES; lane++) {
      char key[64];
      snprintf(key, sizeof key, "lk:{faces}:q:%s:%d", priorities[p], lane);
      if (lane == 0) *strrchr(key, ':') = '\0';
      redis_do(&redis, "XGROUP", "DESTROY", key, LK_GROUP, NULL);
    }
}

/* The entries come as new, and are tasks already. */
Test(signed_held, the_groups_are_destroyed) {
  hold("4000000");
  destroy_groups();
  expect_answers(audit);
  cr_assert_eq(count(audit, "\"type\":\"decision\""), JOBS + 1, "they are decided a second time");
  worker_stop(&worker);
  expect_verified(audit);
}

/* The entries come as new, to a worker that has decided them in an earlier life. */
Test(signed_held, the_groups_are_destroyed_and_the_worker_is_killed) {
  hold("60000000");
  process_close(&worker);
  destroy_groups();
  start(&worker, audit, "0");
  expect_answers(audit);
  worker_stop(&worker);
}

/* Redis lost what it remembers of signed jobs; nothing was answered, so nothing counts twice. */
Test(signed_held, redis_forgot_who_brought_them) {
  hold("60000000");
  worker_stop(&worker);
  process_close(&worker);
  redis_do(&redis, "EVAL", "for _, key in ipairs(redis.call('KEYS', '*signed*')) do redis.call('DEL', key) end", "0",
           NULL);
  start(&worker, audit, "0");
  expect_answers(audit);
  worker_stop(&worker);
}
