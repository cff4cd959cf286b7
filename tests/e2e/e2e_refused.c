/* What a worker and the command line tell under a policy: of a permitted job the truth, of a refused one nothing. */
#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "engine/queue/reply.h"
#include "tests/e2e/e2e.h"

static process worker, one;
static char policy[PATH_MAX], audit[PATH_MAX];

static void setup(void) {
  e2e_setup();
  redis_server_start(&redis, true);
  strcpy(policy, files_path("policy.yaml"));
  strcpy(audit, files_path("audit"));
  files_write(policy, DEMO_PERMIT, strlen(DEMO_PERMIT));
}

static void teardown(void) {
  process_close(&worker);
  process_close(&one);
  e2e_teardown();
}

TestSuite(refused, .init = setup, .fini = teardown);

static void start(void) { worker_start(&worker, "--policy", policy, "--audit", audit, NULL); }

static uint32_t records_with(const char *words) { return files_lines_with(audit, "audit-000001.log", words); }

/* Jobs that differ in what they would tell of the gallery, if they were permitted. */
static const test_job probing[] = {
    {.id = "plain"},
    {.id = "known", .op = "verify", .subject = "s3"},
    {.id = "unknown", .op = "verify", .subject = "nobody"},
    {.id = "model", .model = "m2"},
    {.id = "dim", .bytes = (FACES_DIM - 1) * sizeof(float)},
};
enum { PROBING = sizeof probing / sizeof probing[0] };

static test_job job_of(int i, const char *purpose) {
  test_job job = probing[i];
  if (purpose != NULL) job.extra = "purpose", job.extra_value = purpose;
  return job;
}

/* Without what a client may know anyway: its job's id, the decision's id and number, and times. */
static char *stripped(json_t *reply) {
  json_t *decision = json_object_get(reply, "decision");
  json_object_del(reply, "id");
  json_object_del(reply, "wait_us");
  json_object_del(decision, "id");
  json_object_del(decision, "audit");
  return json_dumps(reply, JSON_SORT_KEYS);
}

/* All refusals are the same: neither a subject nor a model nor a dimension shows in them. */
Test(refused, every_refusal_is_the_same) {
  start();
  char *first = NULL;
  for (int i = 0; i < PROBING; i++) {
    test_job job = job_of(i, NULL);
    send_job(&job);
    json_t *reply = next_reply("me");
    cr_assert_str_eq(reply_text(reply, "status"), "EPOLICY", "%s: %s", job.id, reply_text(reply, "text"));
    cr_assert_str_eq(reply_text(reply, "model"), "");
    cr_assert(reply_number(reply, "epoch") == 0 && reply_number(reply, "total") == 0);
    cr_assert_eq(reply_number(reply, "searched"), 0);
    cr_assert_null(json_object_get(json_object_get(reply, "decision"), "total"));
    char *text = stripped(reply);
    if (first == NULL) first = strdup(text);
    cr_assert_str_eq(text, first, "%s", job.id);
    free(text);
    json_decref(reply);
  }
  free(first);
  worker_stop(&worker);
  cr_assert_eq(records_with("\"permitted\":false"), PROBING);
}

Test(refused, nor_does_a_binary_refusal_tell) {
  start();
  send_job(&(test_job){.id = "binary", .flags = ""});
  lk_redis_reply *popped = redis_ask(&redis, "BLPOP", FACES_REPLIES "me", "10", NULL);
  size_t length = 0;
  const char *data = lk_redis_reply_string(lk_redis_reply_element(popped, 1), &length);
  lk_reply_reader reader;
  lk_error error = {0};
  cr_assert_eq(lk_reply_decode(data, length, &reader, &error), LK_OK, "%s", error.text);
  cr_assert_eq(reader.head.status, LK_EPOLICY);
  cr_assert(reader.head.model.length == 0 && reader.head.epoch == 0 && reader.head.total == 0);
  cr_assert(reader.head.searched == 0 && reader.head.probes == 0);
  lk_redis_reply_free(popped);
}

static void expect_permitted(int i, const char *status, const char *decision) {
  test_job job = job_of(i, "demo");
  send_job(&job);
  json_t *reply = next_reply("me");
  cr_assert_str_eq(reply_text(reply, "status"), status, "%s: %s", job.id, reply_text(reply, "text"));
  cr_assert_str_eq(reply_text(json_object_get(reply, "decision"), "decision"), decision, "%s", job.id);
  json_decref(reply);
}

/* A permitted caller is told what is wrong; the log has a refusal, not a permit that led to nothing. */
Test(refused, what_cannot_be_searched_is_written_down) {
  start();
  expect_permitted(2, "EBADJOB", "permit");
  expect_permitted(3, "EMODEL", "refuse");
  expect_permitted(4, "EDIM", "refuse");
  worker_stop(&worker);
  cr_assert_eq(records_with("\"reason\":\"EMODEL\""), 1);
  cr_assert_eq(records_with("\"reason\":\"EDIM\""), 1);
  cr_assert_eq(records_with("\"permitted\":false"), 2);
  cr_assert_eq(records_with("\"released\":true"), 1, "that there is no such subject is an answer");
}

static void expect_searched(const test_job *job, int64_t searched) {
  test_job demo = *job;
  demo.extra = "purpose", demo.extra_value = "demo";
  send_job(&demo);
  json_t *reply = next_reply("me");
  cr_assert_str_eq(reply_text(reply, "status"), "OK", "%s", reply_text(reply, "text"));
  cr_assert_eq(reply_number(reply, "searched"), searched);
  cr_assert_eq(reply_number(json_object_get(reply, "decision"), "searched"), searched);
  cr_assert_eq(reply_number(reply, "total"), FACES_ROWS);
  json_decref(reply);
}

Test(refused, what_was_searched_is_what_was_compared) {
  start();
  expect_searched(&(test_job){.id = "all"}, FACES_ROWS);
  expect_searched(&(test_job){.id = "one", .op = "verify", .subject = "s3"}, 3);
  expect_searched(&(test_job){.id = "two", .op = "verify", .subject = "s3", .tags = "1"}, 2);
  expect_searched(&(test_job){.id = "none", .op = "verify", .subject = "s3", .tags = "4"}, 0);
  worker_stop(&worker);
  cr_assert_eq(records_with("\"searched\":3,"), 1);
  cr_assert_eq(records_with("\"searched\":2,"), 1);
  cr_assert_eq(records_with("\"narrowing\":\"subject\""), 1);
  cr_assert_eq(records_with("\"narrowing\":\"subject+tags\""), 2);
}

static void expect_withheld(const char *status) {
  json_t *reply = next_reply("me");
  cr_assert_str_eq(reply_text(reply, "status"), status, "%s", reply_text(reply, "text"));
  cr_assert_str_eq(reply_text(json_object_get(reply, "decision"), "decision"), "refuse");
  cr_assert_null(json_object_get(json_object_get(reply, "decision"), "total"));
  cr_assert(reply_number(reply, "total") == 0 && json_array_size(json_object_get(reply, "probes")) == 0);
  json_decref(reply);
}

/* It was permitted, and then its time ran out: no reply calls that a permit, nor does the log leave it open. */
Test(refused, a_job_that_came_too_late_was_withheld) {
  worker_start(&worker, "--policy", policy, "--audit", audit, "--max-queue-delay-us", "300000", NULL);
  send_job(&(test_job){.id = "late", .ttl = "1", .extra = "purpose", .extra_value = "demo"});
  expect_withheld("EDEADLINE");
  worker_stop(&worker);
  cr_assert_eq(records_with("\"reason\":\"EDEADLINE\""), 1);
  cr_assert_eq(records_with("\"released\":false"), 1);
}

/* The rules change between the search and its reply. What was found stays here, also that nothing was found: the two
 * replies are the same. */
Test(refused, new_rules_withhold_what_was_found) {
  static const char forbid[] = "policy: 1\nname: test\nrules:\n  - {id: halt, effect: forbid, text: Halted.}\n";
  worker_start(&worker, "--policy", policy, "--audit", audit, "--max-queue-delay-us", "3000000", NULL);
  cr_assert(redis_reaches(&redis, 3, "EXISTS", FACES_HI, FACES_LO, FACES_HEADS, NULL), "it reads no jobs");
  for (int i = 0; i < 3; i++) {
    test_job job = job_of(i, "demo");
    send_job(&job);
  }
  for (int tries = 0; pending() < 3 && tries < 1000; tries++) sleep_ms(5);
  files_write(policy, forbid, strlen(forbid));
  process_signal(&worker, SIGHUP);
  cr_assert(process_logs(&worker, "policy was reloaded", 10000), "%s", process_log(&worker));
  for (int i = 0; i < 3; i++) expect_withheld("EPOLICY");
  worker_stop(&worker);
  cr_assert_eq(records_with("\"permitted\":true"), 3);
  cr_assert_eq(records_with("\"released\":false,\"rules\":[\"halt\"]"), 3);
  cr_assert_eq(records_with("\"released\":true"), 0);
}

/* A limit on the file size stands for a full disk. The job is urgent: the records of others are committed before their
 * replies are made, with those of urgent jobs. */
Test(refused, without_the_log_no_decision_is_a_permit) {
  char words[64];
  start();
  send_job(&(test_job){.id = "before", .extra = "purpose", .extra_value = "demo"});
  expect_reply("me", "before", "OK", "");
  snprintf(words, sizeof words, "prlimit --pid %d --fsize=100", (int)worker.pid);
  cr_assert_eq(system(words), 0);
  send_job(&(test_job){.stream = FACES_HI, .id = "a", .extra = "purpose", .extra_value = "demo"});
  expect_withheld("EINTERNAL");
}

/* The command line checks all probes before it prints: that must not come before the policy. */
Test(refused, the_command_line_tells_the_rule_first) {
  char wide[PATH_MAX];
  strcpy(wide, files_path("wide.npy"));
  files_write_npy(wide, "<f4", FACES_PROBES / 2, 2 * FACES_DIM, faces_probes,
                  (size_t)FACES_PROBES * FACES_DIM * sizeof(float));
  cr_assert_eq(likeness(&one, "bind", faces, "--policy", policy, "--audit", audit, NULL), 0, "%s", process_log(&one));
  process_close(&one);
  for (int verify = 0; verify < 2; verify++)
    for (int permitted = 0; permitted < 2; permitted++) {
      cr_assert_eq(likeness(&one, verify ? "verify" : "identify", faces, wide, "--purpose", permitted ? "demo" : "x",
                            verify ? "--subject" : NULL, "s3", NULL),
                   permitted ? 1 : 3);
      cr_assert_not_null(strstr(process_log(&one), permitted ? "dimension" : "permits it"), "%s", process_log(&one));
      process_close(&one);
    }
  cr_assert_eq(records_with("\"reason\":\"EDIM\""), 2);
  cr_assert_eq(records_with("\"reason\":\"EPOLICY\""), 2);
}
