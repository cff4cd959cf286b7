/* Policies and the audit log of a worker. */
#include <criterion/criterion.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <likeness/audit.h>
#include <likeness/signing_key.h>
#include "base/timestamp.h"
#include "tests/e2e/e2e.h"

static process worker, other;
static char policy[PATH_MAX], audit[PATH_MAX];

static void setup(void) {
  e2e_setup();
  redis_server_start(&redis, true);
  strcpy(policy, files_path("policy.yaml"));
  strcpy(audit, files_path("audit"));
}

static void teardown(void) {
  process_close(&worker);
  process_close(&other);
  e2e_teardown();
}

TestSuite(governance, .init = setup, .fini = teardown);

/* At once, as policies should be: a worker may look at any moment. */
static void write_policy(const char *text) {
  char fresh[PATH_MAX];
  snprintf(fresh, sizeof fresh, "%s", files_path("fresh.yaml"));
  files_write(fresh, text, strlen(text));
  cr_assert_eq(rename(fresh, policy), 0);
}

static void send_demo(const char *id, const char *k) {
  send_job(&(test_job){.id = id, .k = k, .extra = "purpose", .extra_value = "demo"});
}

static const json_t *decision_of(const json_t *reply) {
  const json_t *decision = json_object_get(reply, "decision");
  cr_assert(json_is_object(decision));
  return decision;
}

static const char *text_of(const json_t *object, const char *name) {
  const char *text = json_string_value(json_object_get(object, name));
  return text != NULL ? text : "";
}

static lk_audit_report verified(void) {
  lk_audit_report report;
  lk_error error = {0};
  cr_assert_eq(lk_audit_verify(audit, NULL, NULL, &report, &error), LK_OK, "%s", error.text);
  return report;
}

/* How many records of the log have these words. */
static uint32_t records_with(const char *words) { return files_lines_with(audit, "audit-000001.log", words); }

Test(governance, without_rules_each_reply_says_so) {
  worker_start(&worker, NULL);
  send_job(&(test_job){.id = "plain"});
  json_t *reply = next_reply("me");
  cr_assert_str_eq(reply_text(reply, "status"), "OK");
  cr_assert_str_eq(text_of(decision_of(reply), "policy"), "none");
  json_decref(reply);
}

Test(governance, permitted_within_limits_and_written_down) {
  write_policy(DEMO_PERMIT "    max_candidates: 2\n    min_score: 0.05\n    retention_hours: 24\n");
  worker_start(&worker, "--policy", policy, "--audit", audit, NULL);
  send_demo("demo", "50");
  json_t *reply = next_reply("me");
  cr_assert_str_eq(reply_text(reply, "status"), "OK", "%s", reply_text(reply, "text"));
  const json_t *decision = decision_of(reply);
  cr_assert_str_eq(text_of(decision, "decision"), "permit");
  cr_assert_eq(strlen(text_of(decision, "policy")), 64);
  cr_assert_eq(strlen(text_of(decision, "id")), 32);
  cr_assert_str_eq(json_string_value(json_array_get(json_object_get(decision, "rules"), 0)), "demo");
  cr_assert_eq(reply_number(decision, "k"), 2);
  cr_assert_eq(reply_number(decision, "retention_hours"), 24);
  cr_assert_eq(reply_number(decision, "searched"), FACES_ROWS);
  cr_assert_eq(reply_number(decision, "total"), FACES_ROWS);
  cr_assert_float_eq(json_real_value(json_object_get(decision, "threshold")), 0.05, 1e-6);
  cr_assert(json_is_null(json_object_get(decision, "expected_false_candidates")), "nothing calibrates the model");
  cr_assert_eq(json_array_size(json_array_get(json_object_get(reply, "probes"), 0)), 2);
  char words[64];
  snprintf(words, sizeof words, "\"id\":\"%s\"", text_of(decision, "id"));
  worker_stop(&worker);
  verified();
  cr_assert_eq(records_with(words), 2, "the decision and the result");
  snprintf(words, sizeof words, "\"sequence\":%lld,", (long long)reply_number(decision, "audit"));
  cr_assert_eq(records_with(words), 1);
  cr_assert_eq(records_with("\"type\":\"result\""), 1);
  json_decref(reply);
}

/* Refused before any compute: nothing was searched, and the reply says why. */
Test(governance, refused_by_default_and_by_rule) {
  write_policy(DEMO_PERMIT
               "  - id: no-tests\n    effect: forbid\n    text: Tests are not allowed.\n    purposes: [test]\n");
  worker_start(&worker, "--policy", policy, "--audit", audit, NULL);
  send_job(&(test_job){.id = "unsaid"});
  send_job(&(test_job){.id = "other", .extra = "purpose", .extra_value = "sport"});
  send_job(&(test_job){.id = "test", .extra = "purpose", .extra_value = "test"});
  for (int i = 0; i < 3; i++) {
    json_t *reply = next_reply("me");
    cr_assert_str_eq(reply_text(reply, "status"), "EPOLICY");
    cr_assert_str_eq(text_of(decision_of(reply), "decision"), "refuse");
    if (strcmp(reply_text(reply, "id"), "test") == 0) {
      cr_assert_not_null(strstr(reply_text(reply, "text"), "no-tests"));
      cr_assert_not_null(strstr(reply_text(reply, "text"), "Tests are not allowed."));
    }
    json_decref(reply);
  }
  worker_stop(&worker);
  cr_assert_not_null(strstr(process_log(&worker), "stopped after 3 jobs, 0 probes searched"), "%s",
                     process_log(&worker));
  cr_assert_eq(records_with("\"type\":\"decision\""), 3);
  cr_assert_eq(records_with("\"permitted\":true"), 0);
  cr_assert_eq(records_with("\"type\":\"result\""), 0);
}

Test(governance, submit_says_its_purpose) {
  write_policy(DEMO_PERMIT);
  worker_start(&worker, "--policy", policy, NULL);
  cr_assert_eq(likeness(&other, "submit", probes, "--redis", redis.url, "--gallery", "faces", NULL), 3);
  cr_assert_not_null(strstr(process_log(&other), "EPOLICY"), "%s", process_log(&other));
  process_close(&other);
  cr_assert_eq(
      likeness(&other, "submit", probes, "--redis", redis.url, "--gallery", "faces", "--purpose", "demo", NULL), 0,
      "%s", process_log(&other));
}

/* On SIGHUP the worker reloads the rules. Malformed rules refuse every job, and name the line, until they are mended.
 */
Test(governance, reloaded_on_hangup) {
  write_policy(DEMO_PERMIT);
  worker_start(&worker, "--policy", policy, "--audit", audit, NULL);
  send_demo("a", "3");
  expect_reply("me", "a", "OK", "");
  write_policy("policy: 1\nname: test\nrules:\n  - id: demo\n    effect: perhaps\n");
  process_signal(&worker, SIGHUP);
  cr_assert(process_logs(&worker, "every job is refused", 10000), "%s", process_log(&worker));
  send_demo("b", "3");
  json_t *reply = next_reply("me");
  cr_assert_not_null(strstr(reply_text(reply, "text"), "line 5"), "%s", reply_text(reply, "text"));
  cr_assert_str_eq(text_of(decision_of(reply), "policy"), "broken");
  cr_assert_str_eq(text_of(decision_of(reply), "decision"), "refuse");
  json_decref(reply);
  write_policy(DEMO_PERMIT);
  process_signal(&worker, SIGHUP);
  cr_assert(process_logs(&worker, "policy was reloaded", 10000), "%s", process_log(&worker));
  send_demo("c", "3");
  expect_reply("me", "c", "OK", "");
  worker_stop(&worker);
  verified();
  /* The worker may have seen each change by itself before the signal had it read again. */
  uint32_t loaded = records_with("\"type\":\"policy_loaded\""), refused = records_with("\"type\":\"policy_refused\"");
  cr_assert(loaded == 2 || loaded == 3, "%u", loaded);
  cr_assert(refused == 1 || refused == 2, "%u", refused);
  cr_assert_eq(records_with("\"line\":5"), refused);
}

Test(governance, a_broken_policy_does_not_start) {
  write_policy("policy: 1\nname: test\nrules: 7\n");
  cr_assert_eq(likeness(&other, "serve", faces, "--redis", redis.url, "--policy", policy, NULL), 1);
  cr_assert_not_null(strstr(process_log(&other), "line 3"), "%s", process_log(&other));
  process_close(&other);
  cr_assert_eq(likeness(&other, "serve", faces, "--redis", redis.url, "--calibration", policy, NULL), 2);
  process_close(&other);
  cr_assert_eq(likeness(&other, "serve", faces, "--redis", redis.url, "--audit-key", policy, NULL), 2);
  process_close(&other);
  cr_assert_eq(likeness(&other, "serve", faces, "--redis", redis.url, "--lost-audit-log", NULL), 2);
}

/* The probes of a case are counted over all jobs, and after a restart from the log. */
Test(governance, probes_of_a_case) {
  write_policy("policy: 1\nname: test\nrules:\n  - id: case\n    effect: permit\n    text: Two probes a case.\n"
               "    probes_per_case: 2\n");
  for (int restart = 0; restart < 2; restart++) {
    worker_start(&worker, "--policy", policy, "--audit", audit, NULL);
    send_job(&(test_job){.id = "x", .extra = "case", .extra_value = "c-7"});
    expect_reply("me", "x", "OK", "");
    worker_stop(&worker);
    process_close(&worker);
  }
  worker_start(&worker, "--policy", policy, "--audit", audit, NULL);
  send_job(&(test_job){.id = "third", .extra = "case", .extra_value = "c-7"});
  expect_reply("me", "third", "EPOLICY", "fewer probes");
  send_job(&(test_job){.id = "fresh", .extra = "case", .extra_value = "c-8"});
  expect_reply("me", "fresh", "OK", "");
}

/* A result that cannot be logged is not released. A limit on the file size stands for a full disk. */
Test(governance, nothing_leaves_without_the_log) {
  write_policy(DEMO_PERMIT);
  worker_start(&worker, "--policy", policy, "--audit", audit, NULL);
  send_demo("a", "3");
  expect_reply("me", "a", "OK", "");
  char words[64];
  snprintf(words, sizeof words, "prlimit --pid %d --fsize=100", (int)worker.pid);
  cr_assert_eq(system(words), 0);
  send_demo("b", "3");
  expect_reply("me", "b", "EINTERNAL", "audit log");
  send_demo("c", "3");
  expect_reply("me", "c", "EINTERNAL", "audit log");
  cr_assert_eq(pending(), 0);
}

/* The newest head in Redis. */
static const char *published_head(void) {
  static char head[LK_AUDIT_HEAD_MAX];
  lk_redis_reply *reply = redis_ask(&redis, "XREVRANGE", FACES_HEADS, "+", "-", "COUNT", "1", NULL);
  cr_assert_eq(lk_redis_reply_elements(reply), 1, "no head");
  size_t length;
  const lk_redis_reply *fields = lk_redis_reply_element(lk_redis_reply_element(reply, 0), 1);
  snprintf(head, sizeof head, "%s", lk_redis_reply_string(lk_redis_reply_element(fields, 1), &length));
  lk_redis_reply_free(reply);
  return head;
}

static lk_status verify_with(const char *head, lk_error *error) {
  lk_audit_report report;
  return lk_audit_verify(audit, head, NULL, &report, error);
}

/* The worker publishes heads in Redis at its start and when it stops. They show that a log was cut. */
Test(governance, a_cut_is_found_against_a_head_in_redis) {
  char path[PATH_MAX + 32], key[PATH_MAX];
  lk_error error;
  strcpy(key, files_path("key"));
  cr_assert_eq(lk_signing_key_make(key, &error), LK_OK);
  write_policy(DEMO_PERMIT);
  worker_start(&worker, "--policy", policy, "--audit", audit, "--audit-key", key, NULL);
  cr_assert(redis_reaches(&redis, 1, "XLEN", FACES_HEADS, NULL));
  cr_assert_eq(verify_with(published_head(), &error), LK_OK, "%s", error.text);
  send_demo("a", "3");
  expect_reply("me", "a", "OK", "");
  worker_stop(&worker);
  cr_assert_eq(redis_number(&redis, "XLEN", FACES_HEADS, NULL), 2);
  cr_assert_eq(verify_with(published_head(), &error), LK_OK, "%s", error.text);
  snprintf(path, sizeof path, "%s/audit-000001.log", audit);
  size_t size;
  char *text = files_read(path, &size);
  text[size] = '\0';
  char *released = strstr(text, "\"released\":true");
  cr_assert_not_null(released);
  while (released[-1] != '\n') released--;
  files_write(path, text, (size_t)(released - text));
  free(text);
  verified(); /* without a head it verifies */
  cr_assert_eq(verify_with(published_head(), &error), LK_ECORRUPT);
}

/* Deletes the log's folder, as somebody may who runs no part of this. */
static void delete_log(void) { files_remove_folder(audit); }

static void expect_no_start(const char *words) {
  cr_assert_eq(likeness(&other, "serve", faces, "--redis", redis.url, "--policy", policy, "--audit", audit, NULL), 1);
  cr_assert_not_null(strstr(process_log(&other), words), "'%s' is not in: %s", words, process_log(&other));
  process_close(&other);
}

/* The worker still has the file open, but what it writes there is lost; and no worker begins a new log unasked. */
Test(governance, a_log_that_is_deleted_while_the_worker_runs) {
  write_policy(DEMO_PERMIT);
  worker_start(&worker, "--policy", policy, "--audit", audit, NULL);
  send_demo("a", "3");
  expect_reply("me", "a", "OK", "");
  delete_log();
  send_demo("b", "3");
  expect_reply("me", "b", "EINTERNAL", "audit log");
  send_demo("c", "3");
  expect_reply("me", "c", "EINTERNAL", "audit log");
  cr_assert_not_null(strstr(process_log(&worker), "was deleted"), "%s", process_log(&worker));
  process_signal(&worker, SIGTERM);
  cr_assert_eq(process_wait(&worker, PROCESS_PATIENCE_MS), 1);
  process_close(&worker);
  expect_no_start("the audit log is gone");
  worker_start(&worker, "--policy", policy, "--audit", audit, "--lost-audit-log", NULL);
  worker_stop(&worker);
  cr_assert_eq(records_with("\"type\":\"lost\""), 1);
}

/* A worker that was killed had no time to say where its log ends. */
Test(governance, a_log_that_is_cut_after_the_worker_was_killed) {
  write_policy(DEMO_PERMIT);
  worker_start(&worker, "--policy", policy, "--audit", audit, NULL);
  send_demo("a", "3");
  expect_reply("me", "a", "OK", "");
  process_close(&worker);
  char path[PATH_MAX + 32];
  snprintf(path, sizeof path, "%s/audit-000001.log", audit);
  size_t size;
  char *text = files_read(path, &size);
  do size--;
  while (text[size - 1] != '\n');
  files_write(path, text, size);
  free(text);
  verified();
  expect_no_start("the audit log was cut");
}

/* ---- rules that change while a job is in the worker ---- */

#define FORBID                  \
  "policy: 1\n"                 \
  "name: test\n"                \
  "rules:\n"                    \
  "  - id: halt\n"              \
  "    effect: forbid\n"        \
  "    text: Halted for now.\n" \
  "    until: null\n"

static void reload_policy(const char *text) {
  write_policy(text);
  process_signal(&worker, SIGHUP);
  cr_assert(process_logs(&worker, "policy was reloaded", 10000), "%s", process_log(&worker));
}

/* Starts a worker with this queue delay and waits until both of its connections are open. */
static void start_patient(const char *delay_us) {
  worker_start(&worker, "--policy", policy, "--audit", audit, "--max-queue-delay-us", delay_us, NULL);
  cr_assert(redis_reaches(&redis, 3, "EXISTS", FACES_HI, FACES_LO, FACES_HEADS, NULL));
}

/* Waits until the worker has taken n jobs from the queue. */
static void await_pending(int64_t n) {
  for (int tries = 0; pending() < n; tries++) {
    cr_assert_lt(tries, 1000);
    sleep_ms(5);
  }
}

Test(governance, new_rules_hold_for_jobs_that_were_permitted_before) {
  write_policy(DEMO_PERMIT);
  start_patient("3000000");
  send_demo("a", "3");
  await_pending(1);
  reload_policy(FORBID);
  expect_reply("me", "a", "EPOLICY", "Halted for now.");
  worker_stop(&worker);
  verified();
  cr_assert_eq(records_with("\"permitted\":true"), 1);
  cr_assert_eq(records_with("\"released\":false"), 1);
  cr_assert_eq(records_with("\"released\":true"), 0);
}

/* The reply waits because Redis is down. */
Test(governance, new_rules_hold_for_replies_that_wait_for_redis) {
  redis_server_close(&redis);
  redis.appendonly = true;
  redis_server_start(&redis, true);
  write_policy(DEMO_PERMIT);
  start_patient("1000000");
  send_demo("a", "3");
  await_pending(1);
  redis_server_kill(&redis);
  cr_assert(process_logs(&worker, "finish: redis", 10000), "%s", process_log(&worker));
  reload_policy(FORBID);
  redis_server_start(&redis, true);
  expect_reply("me", "a", "EPOLICY", "Halted for now.");
  cr_assert_eq(pending(), 0);
}

/* The limit is of two probes a case, then of one: the first job keeps its place, whatever came after it. */
Test(governance, later_jobs_do_not_count_against_earlier_ones) {
  static const char rules[] = "policy: 1\nname: test\nrules:\n  - id: case\n    effect: permit\n    text: A limit.\n"
                              "    probes_per_case: ";
  char text[sizeof rules + 8];
  snprintf(text, sizeof text, "%s2\n", rules);
  write_policy(text);
  start_patient("3000000");
  send_job(&(test_job){.id = "first", .extra = "case", .extra_value = "c-7"});
  send_job(&(test_job){.id = "second", .extra = "case", .extra_value = "c-7"});
  await_pending(2);
  snprintf(text, sizeof text, "%s1\n", rules);
  reload_policy(text);
  expect_reply("me", "first", "OK", "");
  expect_reply("me", "second", "EPOLICY", "fewer probes");
}

/* After a connection broke, the worker reads its pending entries again; the job still waits in it. */
Test(governance, a_job_that_is_read_again_is_decided_once) {
  write_policy("policy: 1\nname: test\nrules:\n  - id: case\n    effect: permit\n    text: One probe a case.\n"
               "    probes_per_case: 1\n");
  start_patient("3000000");
  send_job(&(test_job){.id = "once", .extra = "case", .extra_value = "c-7"});
  await_pending(1);
  redis_do(&redis, "CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes", NULL);
  cr_assert(process_logs(&worker, "redis is back", 10000), "%s", process_log(&worker));
  expect_reply("me", "once", "OK", "");
  worker_stop(&worker);
  verified();
  cr_assert_eq(records_with("\"type\":\"decision\""), 1);
  cr_assert_eq(records_with("\"released\":true"), 1);
}

/* ---- a moratorium across the flow of jobs ---- */

static int64_t redis_ms(void) {
  lk_redis_reply *reply = redis_ask(&redis, "TIME", NULL);
  int64_t ms = lk_redis_reply_integer(lk_redis_reply_element(reply, 0)) * 1000 +
               lk_redis_reply_integer(lk_redis_reply_element(reply, 1)) / 1000;
  lk_redis_reply_free(reply);
  return ms;
}

/* Replies there were before `edge` for certain, and those that may have been: between two looks at the clock. */
struct edge {
  int64_t at_ms, before, upto;
};

static void look(struct edge *edge) {
  int64_t earlier_ms = redis_ms(), count = redis_number(&redis, "LLEN", FACES_REPLIES "me", NULL),
          later_ms = redis_ms();
  if (later_ms < edge->at_ms) edge->before = count;
  if (earlier_ms >= edge->at_ms && edge->upto < 0) edge->upto = count;
}

static bool is_ok(int64_t index) {
  char number[24];
  snprintf(number, sizeof number, "%lld", (long long)index);
  lk_redis_reply *reply = redis_ask(&redis, "LINDEX", FACES_REPLIES "me", number, NULL);
  size_t length;
  const char *text = lk_redis_reply_string(reply, &length);
  cr_assert(strstr(text, "\"status\":\"OK\"") != NULL || strstr(text, "\"status\":\"EPOLICY\"") != NULL, "%s", text);
  bool ok = strstr(text, "\"status\":\"OK\"") != NULL;
  lk_redis_reply_free(reply);
  return ok;
}

/* The worker lets the reply leave before `from`; it reaches Redis, which is held up, after it. */
Test(governance, a_reply_that_comes_too_late_is_decided_again) {
  char from[LK_TIMESTAMP_SIZE], text[1024];
  write_policy(DEMO_PERMIT);
  start_patient("1000000");
  int64_t from_ms = redis_ms() + 2500;
  lk_timestamp_format(from_ms, from);
  snprintf(text, sizeof text, DEMO_PERMIT "  - id: halt\n    effect: forbid\n    text: Halted.\n    from: %s\n", from);
  reload_policy(text);
  send_demo("late", "3");
  await_pending(1);
  redis_do(&redis, "CLIENT", "PAUSE", "3000", "ALL", NULL);
  expect_reply("me", "late", "EPOLICY", "Halted.");
  worker_stop(&worker);
  verified();
  cr_assert_eq(records_with("\"released\":true"), 1, "by the worker's clock it was in time");
  cr_assert_eq(records_with("\"released\":false"), 1);
}

/* No result is sent between `from` and `until`, by Redis' clock. */
Test(governance, a_moratorium_begins_and_ends_in_the_flow_of_jobs) {
  char from[LK_TIMESTAMP_SIZE], until[LK_TIMESTAMP_SIZE], text[1024];
  struct edge begin = {.at_ms = redis_ms() + 2500, .upto = -1}, end = {.at_ms = begin.at_ms + 1500, .upto = -1};
  lk_timestamp_format(begin.at_ms, from);
  lk_timestamp_format(end.at_ms, until);
  snprintf(text, sizeof text,
           DEMO_PERMIT "  - id: halt\n    effect: forbid\n    text: Halted.\n    from: %s\n    until: %s\n", from,
           until);
  write_policy(text);
  worker_start(&worker, "--policy", policy, "--audit", audit, "--max-queue-delay-us", "3000", NULL);
  int64_t sent = 0;
  for (; redis_ms() < end.at_ms + 700; sent++) {
    send_demo("j", "5");
    look(&begin);
    look(&end);
  }
  cr_assert(redis_reaches(&redis, sent, "LLEN", FACES_REPLIES "me", NULL));
  cr_assert(begin.before > 10 && end.before > begin.upto + 10 && sent > end.upto + 10, "%lld %lld %lld %lld of %lld",
            (long long)begin.before, (long long)begin.upto, (long long)end.before, (long long)end.upto,
            (long long)sent);
  for (int64_t i = 0; i < begin.before; i++) cr_assert(is_ok(i), "reply %lld is before it", (long long)i);
  for (int64_t i = begin.upto; i < end.before; i++) cr_assert_not(is_ok(i), "reply %lld is within it", (long long)i);
  cr_assert(is_ok(sent - 1), "it is over");
  worker_stop(&worker);
  verified();
}
