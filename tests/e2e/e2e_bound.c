/* Galleries that are bound to a policy, at the command line and in serve. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include <likeness/likeness.h>
#include "base/clock.h"
#include "tests/e2e/e2e.h"

static process one, worker;
static char policy[PATH_MAX], audit[PATH_MAX], labels[PATH_MAX];

static void setup(void) {
  e2e_setup();
  strcpy(policy, files_path("policy.yaml"));
  strcpy(audit, files_path("audit"));
  strcpy(labels, files_path("labels.csv"));
  files_write(policy, DEMO_PERMIT, strlen(DEMO_PERMIT));
}

static void teardown(void) {
  process_close(&one);
  process_close(&worker);
  e2e_teardown();
}

TestSuite(bound, .init = setup, .fini = teardown);

static void bind(void) {
  cr_assert_eq(likeness(&one, "bind", faces, "--policy", policy, "--audit", audit, NULL), 0, "%s", process_log(&one));
  process_close(&one);
}

static void expect_refused(int code) {
  cr_assert_eq(code, 3, "exit code %d: %s", code, process_log(&one));
  cr_assert_not_null(strstr(process_log(&one), "permits it"), "%s", process_log(&one));
  cr_assert_str_eq(process_out(&one), "");
  process_close(&one);
}

static void expect_done(int code, const char *words) {
  cr_assert_eq(code, 0, "exit code %d: %s", code, process_log(&one));
  cr_assert_not_null(strstr(process_out(&one), words), "'%s' is not in: %s", words, process_out(&one));
  process_close(&one);
}

static void write_labels(void) {
  FILE *file = fopen(labels, "w");
  fputs("row,subject\n", file);
  for (int i = 0; i < FACES_PROBES; i++) fprintf(file, "%d,%s%d\n", i, i % 2 == 0 ? "s" : "stranger", i);
  cr_assert_eq(fclose(file), 0);
}

Test(bound, every_command_asks) {
  write_labels();
  bind();
  expect_refused(likeness(&one, "identify", faces, probes, NULL));
  expect_refused(likeness(&one, "identify", faces, probes, "--purpose", "sport", "--format", "json", NULL));
  expect_refused(likeness(&one, "verify", faces, probes, "--subject", "s3", NULL));
  expect_refused(likeness(&one, "enroll", faces, probes, NULL));
  expect_refused(likeness(&one, "evaluate", faces, probes, "--labels", labels, NULL));
  expect_done(likeness(&one, "identify", faces, probes, "--purpose", "demo", NULL), "; rules: demo\n");
  expect_done(likeness(&one, "identify", faces, probes, "--purpose", "demo", "--format", "json", NULL),
              "\"decision\":{\"decision\":\"permit\"");
  expect_done(likeness(&one, "verify", faces, probes, "--subject", "s3", "--purpose", "demo", NULL), "; rules: demo\n");
  expect_done(likeness(&one, "evaluate", faces, probes, "--labels", labels, "--purpose", "demo", NULL), "FPIR");
  expect_done(likeness(&one, "stat", faces, NULL), policy);
  expect_done(likeness(&one, "enroll", faces, probes, "--purpose", "demo", NULL), "");
  cr_assert_eq(likeness(&one, "audit", "verify", audit, NULL), 0, "%s", process_log(&one));
}

Test(bound, limits_cut_what_is_printed) {
  static const char limited[] = DEMO_PERMIT "    max_candidates: 2\n    min_score: 0.4\n";
  files_write(policy, limited, strlen(limited));
  bind();
  cr_assert_eq(likeness(&one, "identify", faces, probes, "-k", "9", "--purpose", "demo", "--format", "csv", NULL), 0);
  const char *line = strchr(process_out(&one), '\n') + 1;
  cr_assert_neq(line[0], '\0');
  for (; *line != '\0'; line = strchr(line, '\n') + 1) {
    int probe, rank;
    float score;
    cr_assert_eq(sscanf(line, "%d,%d,", &probe, &rank), 2, "%.40s", line);
    const char *last = strchr(line, '\n');
    while (last[-1] != ',') last--;
    cr_assert_eq(sscanf(last, "%f", &score), 1, "%.40s", line);
    cr_assert(rank <= 2 && score >= 0.4F, "%.40s", line);
  }
}

/* A file has the name of the log's folder: the log cannot be opened, so no result is printed. */
Test(bound, nothing_is_printed_without_the_log) {
  bind();
  cr_assert_eq(rename(audit, files_path("aside")), 0);
  files_write(audit, "?", 1);
  cr_assert_eq(likeness(&one, "identify", faces, probes, "--purpose", "demo", NULL), 1);
  cr_assert_str_eq(process_out(&one), "");
}

Test(bound, a_gallery_that_is_not_bound_says_so) {
  expect_done(likeness(&one, "identify", faces, probes, NULL), "\npolicy: none\n");
  expect_done(likeness(&one, "identify", faces, probes, "--format", "json", NULL),
              ",\"decision\":{\"policy\":\"none\"}}\n");
  expect_done(likeness(&one, "verify", faces, probes, "--subject", "s3", NULL), "\npolicy: none\n");
  bind();
  cr_assert_eq(likeness(&one, "bind", faces, "--policy", "none", NULL), 0);
  process_close(&one);
  expect_done(likeness(&one, "identify", faces, probes, NULL), "\npolicy: none\n");
}

/* The same search prints the same bytes, in every format. */
Test(bound, submit_prints_what_identify_prints) {
  static const char *const formats[] = {"table", "csv", "json"};
  redis_server_start(&redis, true);
  worker_start(&worker, NULL);
  for (int i = 0; i < 3; i++) {
    process other = {0};
    cr_assert_eq(likeness(&one, "identify", faces, probes, "--format", formats[i], NULL), 0);
    cr_assert_eq(
        likeness(&other, "submit", probes, "--redis", redis.url, "--gallery", "faces", "--format", formats[i], NULL),
        0);
    cr_assert_str_eq(process_out(&one), process_out(&other));
    process_close(&other);
    process_close(&one);
  }
}

Test(bound, serve_enforces_it) {
  bind();
  redis_server_start(&redis, true);
  worker_start(&worker, NULL);
  send_job(&(test_job){.id = "unsaid"});
  expect_reply("me", "unsaid", "EPOLICY", "");
  send_job(&(test_job){.id = "demo", .extra = "purpose", .extra_value = "demo"});
  expect_reply("me", "demo", "OK", "");
  cr_assert_eq(likeness(&one, "identify", faces, probes, "--purpose", "demo", NULL), 1, "the worker writes the log");
  process_close(&one);
  worker_stop(&worker);
  process_close(&worker);
  worker_start(&worker, "--audit", files_path("workers-own"), NULL);
  cr_assert_eq(likeness(&one, "identify", faces, probes, "--purpose", "demo", NULL), 0, "%s", process_log(&one));
  worker_stop(&worker);
}

Test(bound, a_worker_has_one_policy) {
  char other[PATH_MAX], second[PATH_MAX];
  strcpy(other, files_path("other.yaml"));
  strcpy(second, files_path("second"));
  files_write(other, DEMO_PERMIT, strlen(DEMO_PERMIT));
  bind();
  cr_assert_eq(likeness(&one, "serve", faces, "--redis", redis.url, "--policy", other, NULL), 2);
  cr_assert(strstr(process_log(&one), other) != NULL && strstr(process_log(&one), policy) != NULL, "%s",
            process_log(&one));
  process_close(&one);
  cr_assert_eq(likeness(&one, "create", second, "--dim", "8", "--policy", other, NULL), 0, "%s", process_log(&one));
  process_close(&one);
  cr_assert_eq(likeness(&one, "serve", faces, second, "--redis", redis.url, NULL), 2);
  cr_assert_not_null(strstr(process_log(&one), "the gallery second is bound to the policy"), "%s", process_log(&one));
}

/* Each worker has one log, so galleries with different logs cannot be served without saying which it is. */
Test(bound, a_worker_has_one_log) {
  char second[PATH_MAX];
  strcpy(second, files_path("second"));
  bind();
  cr_assert_eq(
      likeness(&one, "create", second, "--dim", "8", "--policy", policy, "--audit", files_path("other-log"), NULL), 0,
      "%s", process_log(&one));
  process_close(&one);
  cr_assert_eq(likeness(&one, "serve", faces, second, "--redis", redis.url, NULL), 2);
  cr_assert_not_null(strstr(process_log(&one), "is bound to the audit log"), "%s", process_log(&one));
}

/* At the command line a lost log is an error until a person declares it lost. */
Test(bound, a_lost_log) {
  char file[PATH_MAX + 32];
  bind();
  expect_done(likeness(&one, "identify", faces, probes, "--purpose", "demo", NULL), "; rules: demo\n");
  snprintf(file, sizeof file, "%s/audit-000001.log", audit);
  cr_assert_eq(remove(file), 0);
  cr_assert_eq(likeness(&one, "identify", faces, probes, "--purpose", "demo", NULL), 1);
  cr_assert_str_eq(process_out(&one), "");
  cr_assert_not_null(strstr(process_log(&one), "the audit log is gone"), "%s", process_log(&one));
  process_close(&one);
  cr_assert_eq(likeness(&one, "bind", faces, "--policy", "none", NULL), 1, "%s", process_log(&one));
  process_close(&one);
  cr_assert_eq(likeness(&one, "bind", faces, "--policy", policy, "--audit", audit, "--lost-audit-log", NULL), 0, "%s",
               process_log(&one));
  process_close(&one);
  expect_done(likeness(&one, "identify", faces, probes, "--purpose", "demo", NULL), "; rules: demo\n");
  expect_done(likeness(&one, "audit", "show", audit, NULL), "  lost           gallery=\"faces\"");
}

Test(bound, bad_bindings_are_refused) {
  cr_assert_eq(likeness(&one, "bind", faces, NULL), 2);
  process_close(&one);
  cr_assert_eq(likeness(&one, "bind", faces, "--policy", probes, NULL), 1);
  cr_assert_not_null(strstr(process_log(&one), probes), "%s", process_log(&one));
  process_close(&one);
  cr_assert_eq(likeness(&one, "bind", faces, "--policy", "none", "--audit", audit, NULL), 2);
  process_close(&one);
  expect_done(likeness(&one, "identify", faces, probes, NULL), "\npolicy: none\n");
}

static int submit_later(const char *purpose) {
  lk_clock_sleep_us(1000000);
  process_close(&one);
  return likeness(&one, "submit", probes, "--redis", redis.url, "--gallery", "faces", "--purpose", purpose, NULL);
}

/* Nobody sends a signal: the worker sees it within a second, and its log says which file it read. */
Test(bound, a_worker_follows_its_policy) {
  static const char sport[] = DEMO_PERMIT "  - {id: sport, effect: permit, text: yes, purposes: sport}\n";
  char words[2 * PATH_MAX];
  redis_server_start(&redis, true);
  bind();
  worker_start(&worker, NULL);
  cr_assert_eq(submit_later("sport"), 3);
  files_write(policy, sport, strlen(sport));
  cr_assert_eq(submit_later("sport"), 0, "%s", process_log(&one));
  snprintf(words, sizeof words, "the policy was reloaded: %s, sha256 ", policy);
  cr_assert(process_logs(&worker, words, 10000), "%s", process_log(&worker));
  files_write(policy, "policy: 2\n", 10);
  cr_assert_eq(submit_later("sport"), 3);
  cr_assert(process_logs(&worker, "every job is refused", 10000), "%s", process_log(&worker));
}

/* It took its rules when it started, so it cannot tell what the new ones say. */
Test(bound, a_worker_refuses_jobs_for_a_gallery_that_is_bound_anew) {
  redis_server_start(&redis, true);
  worker_start(&worker, "--follow", NULL);
  cr_assert_eq(submit_later("demo"), 0, "%s", process_log(&one));
  process_close(&one);
  bind();
  cr_assert_eq(submit_later("demo"), 3);
  cr_assert_not_null(strstr(process_log(&one), "was bound anew since this worker started"), "%s", process_log(&one));
  worker_stop(&worker);
  process_close(&worker);
  worker_start(&worker, NULL);
  cr_assert_eq(submit_later("demo"), 0, "%s", process_log(&one));
}

/* A copy of a gallery's folder has its name, and a job could mean either. */
Test(bound, a_worker_serves_one_gallery_of_a_name) {
  cr_assert_eq(likeness(&one, "serve", faces, faces, "--redis", redis.url, NULL), 2);
  cr_assert_not_null(strstr(process_log(&one), "have one name: faces"), "%s", process_log(&one));
}

/* The command line and the queue print alike what a policy leaves of scores: identify's words must be in submit's. */
Test(bound, scores_that_are_rounded_or_withheld) {
  static const char *const lines[] = {"    score_decimals: 1\n    min_score: 0.4\n",
                                      "    decision_only: true\n    min_score: 0.4\n"};
  static const char *const shown[2][3] = {{"0.400000006\n", ",0.400000006\n", "\"score\":0.400000006"},
                                          {" -\n", ",\n", "\"score\":null"}};
  static const char *const formats[] = {"table", "csv", "json"};
  char text[1024];
  redis_server_start(&redis, true);
  for (int l = 0; l < 2; l++) {
    snprintf(text, sizeof text, DEMO_PERMIT "%s", lines[l]);
    files_write(policy, text, strlen(text));
    cr_assert_eq(likeness(&one, "bind", faces, "--policy", policy, NULL), 0, "%s", process_log(&one));
    process_close(&one);
    worker_start(&worker, NULL);
    for (int i = 0; i < 3; i++) {
      expect_done(likeness(&one, "identify", faces, probes, "--purpose", "demo", "--format", formats[i], NULL),
                  shown[l][i]);
      expect_done(likeness(&one, "submit", probes, "--redis", redis.url, "--gallery", "faces", "--purpose", "demo",
                           "--format", formats[i], NULL),
                  shown[l][i]);
    }
    worker_stop(&worker);
    process_close(&worker);
  }
  expect_done(likeness(&one, "verify", faces, probes, "--subject", "s3", "--purpose", "demo", "--format", "csv", NULL),
              ",no\n");
  cr_assert_eq(
      likeness(&one, "verify", faces, probes, "--subject", "s0", "--purpose", "demo", "--threshold", "0.9", NULL), 3);
  cr_assert_not_null(strstr(process_log(&one), "releases no scores"), "%s", process_log(&one));
}

Test(bound, probes_that_find_one_subject_are_counted_by_the_worker) {
  static const char limited[] = DEMO_PERMIT "    min_score: 0.3\n    subject_probes_per_hour: 150\n";
  files_write(policy, limited, strlen(limited));
  redis_server_start(&redis, true);
  bind();
  worker_start(&worker, NULL);
  cr_assert_eq(submit_later("demo"), 0, "150 probes find each subject 150 times at most: %s", process_log(&one));
  int code = 0;
  for (int i = 0; code == 0 && i < 150; i++) {
    process_close(&one);
    code = likeness(&one, "submit", probes, "--redis", redis.url, "--gallery", "faces", "--purpose", "demo", NULL);
  }
  cr_assert_eq(code, 3);
  cr_assert_not_null(strstr(process_log(&one), "more than 150 probes found one of these subjects"), "%s",
                     process_log(&one));
}
