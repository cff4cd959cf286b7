/* What commands read from stdin, and the forms and places in which they write their answers. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/e2e/e2e.h"

static process p;

static void teardown(void) {
  process_close(&p);
  e2e_teardown();
}

TestSuite(answers, .init = e2e_setup, .fini = teardown);

/* Runs a script of bash with the program as $1, the gallery as $2, the probes as $3 and the test's folder as $4. */
static int bash(const char *script) {
  process_start(&p,
                (const char *const[]){"bash", "-c", script, "bash", LIKENESS_PROGRAM, faces, probes, files_root, NULL});
  return process_wait(&p, PROCESS_PATIENCE_MS);
}

static void expect_bash(const char *script) { cr_assert_eq(bash(script), 0, "%s: %s", script, process_log(&p)); }

/* Two scripts that print the same, and something. */
static void expect_same(const char *script, const char *other) {
  expect_bash(script);
  char *text = strdup(process_out(&p));
  cr_assert_gt(strlen(text), 10, "%s", script);
  expect_bash(other);
  cr_assert_str_eq(process_out(&p), text, "%s", other);
  free(text);
}

Test(answers, stdin_has_the_probes) {
  static const char plain[] = "\"$1\" identify \"$2\" \"$3\" --format csv";
  expect_same(plain, "\"$1\" identify \"$2\" - --format csv <\"$3\"");
  expect_same(plain, "cat \"$3\" | \"$1\" identify \"$2\" - --format csv");
  expect_same("\"$1\" verify \"$2\" \"$3\" --subject s5", "cat \"$3\" | \"$1\" verify \"$2\" - --subject s5");
}

Test(answers, stdin_has_a_list_or_labels) {
  expect_same("printf 't5\\nt7\\n' >\"$4/k\"; \"$1\" identify \"$2\" \"$3\" --keys \"$4/k\"",
              "printf 't5\\nt7\\n' | \"$1\" identify \"$2\" \"$3\" --keys -");
  expect_same("printf 's5\\n' >\"$4/k\"; \"$1\" identify \"$2\" \"$3\" --subjects \"$4/k\"",
              "printf 's5\\n' | \"$1\" identify \"$2\" \"$3\" --subjects -");
  expect_bash("printf 't8\\nt9\\n' | \"$1\" delete \"$2\" --keys -");
  expect_out(&p, "2 templates deleted");
  expect_bash(
      "\"$1\" create \"$4/new\" --dim 24; { echo key; seq 1001 1150; } | \"$1\" enroll \"$4/new\" \"$3\" --labels -");
  expect_bash("\"$1\" list \"$4/new\" --format csv");
  expect_out(&p, "\n1150,1150,0,,,\n");
}

Test(answers, stdin_is_one_file) {
  cr_assert_eq(bash("\"$1\" identify \"$2\" - --keys - <\"$3\""), 2);
  cr_assert_not_null(strstr(process_log(&p), "only one file can be -"), "%s", process_log(&p));
  cr_assert_eq(bash("\"$1\" identify \"$2\" - </dev/null"), 1);
  cr_assert_eq(bash("\"$1\" identify \"$2\" - <&-"), 1);
}

Test(answers, output_is_what_stdout_has) {
  static const char *const commands[] = {"identify \"$2\" \"$3\" --format json", "list \"$2\" --format csv",
                                         "dedupe \"$2\" --threshold 0.3 --format csv",
                                         "verify \"$2\" \"$3\" --subject s5"};
  for (int i = 0; i < 4; i++) {
    char plain[200], into[200];
    snprintf(plain, sizeof plain, "\"$1\" %s", commands[i]);
    snprintf(into, sizeof into, "\"$1\" %s --output \"$4/answer\" && cat \"$4/answer\"", commands[i]);
    expect_same(plain, into);
  }
  expect_bash("ls \"$4\" | grep -c new || true");
  cr_assert_str_eq(process_out(&p), "0\n");
}

/* A link, as /dev/stdout is, is written through and stays: tried on one of the test's own. */
Test(answers, output_replaces_no_link) {
  expect_bash("echo before >\"$4/file\" && ln -s file \"$4/link\"");
  expect_same("\"$1\" list \"$2\"",
              "\"$1\" list \"$2\" --output \"$4/link\" && cat \"$4/file\" && test -L \"$4/link\"");
}

/* An answer that fails takes no name, and what had it stays. */
Test(answers, output_that_fails) {
  expect_bash("echo before >\"$4/answer\"");
  cr_assert_eq(bash("\"$1\" verify \"$2\" \"$3\" --subject nobody --output \"$4/answer\""), 1);
  expect_bash("cat \"$4/answer\"; ls \"$4\" | grep -c new || true");
  cr_assert_str_eq(process_out(&p), "before\n0\n");
  expect_bash("echo theirs >\"$4/answer.new\"");
  cr_assert_eq(bash("\"$1\" list \"$2\" --output \"$4/answer\""), 1);
  cr_assert_not_null(strstr(process_log(&p), "another process writes this file"), "%s", process_log(&p));
  expect_bash("cat \"$4/answer.new\"");
  cr_assert_str_eq(process_out(&p), "theirs\n");
  cr_assert_eq(bash("\"$1\" list \"$2\" --output /dev/full"), 1);
  cr_assert_str_eq(process_log(&p), "likeness list: /dev/full: cannot write: No space left on device\n");
  cr_assert_eq(bash("\"$1\" list \"$2\" --output \"$4/none/answer\""), 1);
  cr_assert_not_null(strstr(process_log(&p), "No such file or directory"), "%s", process_log(&p));
}

static json_t *parsed(const char *text) {
  json_error_t error;
  json_t *root = json_loads(text, JSON_DISABLE_EOF_CHECK, &error);
  cr_assert_not_null(root, "%s: %s", error.text, text);
  return root;
}

Test(answers, stat_and_check_in_json) {
  EXPECT(&p, 0, "", "stat", faces, "--format", "json");
  json_t *stat = parsed(process_out(&p));
  cr_assert_eq(reply_number(stat, "templates"), FACES_ROWS);
  cr_assert_eq(reply_number(stat, "dim"), FACES_DIM);
  cr_assert_eq(reply_number(stat, "subjects"), FACES_ROWS / 3);
  cr_assert_str_eq(reply_text(stat, "model"), "m1");
  cr_assert_str_eq(reply_text(stat, "metric"), "cosine");
  cr_assert(json_is_null(json_object_get(stat, "policy")));
  json_decref(stat);
  EXPECT(&p, 0, "", "check", faces, "--format", "json");
  json_t *check = parsed(process_out(&p));
  cr_assert(json_is_true(json_object_get(check, "whole")) && reply_number(check, "templates") == FACES_ROWS);
  json_decref(check);
  files_write(files_path("p.yaml"), DEMO_PERMIT, strlen(DEMO_PERMIT));
  EXPECT(&p, 0, "", "bind", faces, "--policy", files_path("p.yaml"));
  EXPECT(&p, 0, "", "stat", faces, "--format", "json");
  stat = parsed(process_out(&p));
  cr_assert_not_null(strstr(reply_text(stat, "policy"), "/p.yaml"));
  json_decref(stat);
  EXPECT(&p, 2, "does not write 'csv'", "stat", faces, "--format", "csv");
}

static const char labels[] = "key,subject,group,tags,expires,metadata\n"
                             "a,\"Doe, J\",\"g \"\"1\"\"\",18446744073709551615,2030-01-02T03:04:05Z,\"two\nlines\"\n"
                             "b; c,\" s\",,0,,x;y\n\"d\",\xc3\xa9,\"a,b\",7,253402300800000,\"\ttab\"\n";

static void make_labelled(void) {
  static const float rows[] = {1, 0, 0, 1, 1, 1};
  files_write_npy(files_path("three.npy"), "<f4", 3, 2, rows, sizeof rows);
  files_write(files_path("labels.csv"), labels, sizeof labels - 1);
  EXPECT(&p, 0, "", "create", files_path("one"), "--dim", "2");
  EXPECT(&p, 0, "", "enroll", files_path("one"), files_path("three.npy"), "--labels", files_path("labels.csv"));
}

/* list --format csv is what enroll --labels reads: no field is lost or changed. */
Test(answers, a_list_can_be_enrolled) {
  make_labelled();
  EXPECT(&p, 0, "", "create", files_path("two"), "--dim", "2");
  expect_bash("\"$1\" list \"$4/one\" --format csv | \"$1\" enroll \"$4/two\" \"$4/three.npy\" --labels -");
  expect_same("\"$1\" list \"$4/one\" --format json", "\"$1\" list \"$4/two\" --format json");
  EXPECT(&p, 0, "", "list", files_path("two"), "--format", "json");
  json_t *first = parsed(process_out(&p));
  cr_assert_str_eq(reply_text(first, "subject"), "Doe, J");
  cr_assert_str_eq(reply_text(first, "group"), "g \"1\"");
  cr_assert_str_eq(reply_text(first, "metadata"), "two\nlines");
  cr_assert_str_eq(reply_text(first, "expiry"), "2030-01-02T03:04:05Z");
  expect_out(&p, "\"tags\":\"0xffffffffffffffff\",");
  expect_out(&p, "\"expiry\":null");
  json_decref(first);
}

Test(answers, the_same_file_again) {
  make_labelled();
  const char *three = files_path("three.npy"), *two = files_path("two.npy"), *fresh = files_path("fresh");
  static const float others[] = {1, 0, 0, 1.5f};
  char *const same = strdup(three), *const part = strdup(two), *const to = strdup(fresh);
  files_write_npy(part, "<f4", 2, 2, others, sizeof others);
  EXPECT(&p, 1, "is in the gallery already", "enroll", files_path("one"), same, "--labels", files_path("labels.csv"));
  EXPECT(&p, 0, "", "create", to, "--dim", "2", "--metric", "l2");
  EXPECT(&p, 0, "enrolled", "enroll", to, part);
  cr_assert_null(strstr(process_log(&p), "warning"), "%s", process_log(&p));
  EXPECT(&p, 0, "enrolled", "enroll", to, same);
  cr_assert_null(strstr(process_log(&p), "warning"), "the first row only is there: %s", process_log(&p));
  EXPECT(&p, 0, "warning: all rows of ", "enroll", to, same);
  cr_assert_not_null(strstr(process_log(&p), "were in the gallery already, from number 2 to 4: they are there twice"),
                     "%s", process_log(&p));
  EXPECT(&p, 0, "", "delete", to, "--key", "0");
  EXPECT(&p, 0, "enrolled", "enroll", to, part);
  cr_assert_null(strstr(process_log(&p), "warning"), "it was deleted: %s", process_log(&p));
  free(same);
  free(part);
  free(to);
}

/* Who must ask a policy is not told whom the gallery has. */
Test(answers, no_warning_under_a_policy) {
  files_write(files_path("p.yaml"), DEMO_PERMIT, strlen(DEMO_PERMIT));
  files_write(files_path("keys.txt"), "nobody\n", 7);
  EXPECT(&p, 0, "", "bind", faces, "--policy", files_path("p.yaml"));
  EXPECT(&p, 0, "", "identify", faces, probes, "--keys", files_path("keys.txt"), "--purpose", "demo");
  cr_assert_str_eq(process_log(&p), "");
  for (int i = 0; i < 2; i++) {
    EXPECT(&p, 0, "enrolled", "enroll", faces, probes, "--purpose", "demo");
    cr_assert_null(strstr(process_log(&p), "warning"), "%s", process_log(&p));
  }
}

Test(answers, a_refusal_says_what_was_missing) {
  static const char policy[] = DEMO_PERMIT "    actors: [desk]\n  - {id: two, effect: permit, text: t, actors: [x]}\n";
  files_write(files_path("p.yaml"), policy, strlen(policy));
  EXPECT(&p, 0, "", "bind", faces, "--policy", files_path("p.yaml"));
  EXPECT(&p, 3, "no rule of policy 'test' permits it; no purpose and no actor was given\n", "identify", faces, probes);
  EXPECT(&p, 3, "permits it; no actor was given\n", "identify", faces, probes, "--purpose", "demo");
  EXPECT(&p, 3, "permits it\n", "identify", faces, probes, "--purpose", "demo", "--actor", "nobody");
  EXPECT(&p, 0, "", "identify", faces, probes, "--purpose", "demo", "--actor", "desk");
}
