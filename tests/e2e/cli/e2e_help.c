/* What the program says of itself, and to whoever uses it wrongly. */
#include <criterion/criterion.h>
#include <likeness/version.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/cli/guide/commands.h"
#include "tests/e2e/e2e.h"

static process p;

static void teardown(void) {
  process_close(&p);
  files_teardown();
}

TestSuite(help, .init = files_setup, .fini = teardown);

/* Runs the program with the words of the command's name, then `word`. */
static int ask(const lk_guide *guide, const char *word) {
  char name[64];
  snprintf(name, sizeof name, "%s", guide->name);
  char *space = strchr(name, ' ');
  if (space == NULL) return likeness(&p, name, word, NULL);
  *space = '\0';
  return likeness(&p, name, space + 1, word, NULL);
}

static void expect_narrow(const char *text) {
  for (; *text != '\0'; text += strcspn(text, "\n") + 1)
    cr_assert_leq(strcspn(text, "\n"), 80, "%.*s", (int)strcspn(text, "\n"), text);
}

Test(help, of_each_command) {
  int count = 0;
  for (const lk_guide *g = lk_guides; g->name != NULL; g++, count++) {
    cr_assert_eq(ask(g, "--help"), 0, "%s: %s", g->name, process_log(&p));
    char *text = strdup(process_out(&p)), begin[80];
    snprintf(begin, sizeof begin, "usage: likeness %s ", g->name);
    cr_assert_eq(strncmp(text, begin, strlen(begin)), 0, "%s", text);
    expect_out(&p, g->example);
    cr_assert_str_eq(process_log(&p), "");
    expect_narrow(text);
    cr_assert_eq(ask(g, "-h"), 0);
    cr_assert_str_eq(process_out(&p), text);
    free(text);
  }
  cr_assert_gt(count, 20);
}

Test(help, by_name) {
  EXPECT(&p, 0, "", "policy", "check", "--help");
  char *text = strdup(process_out(&p));
  EXPECT(&p, 0, "", "help", "policy", "check");
  cr_assert_str_eq(process_out(&p), text);
  free(text);
  EXPECT(&p, 0, "", "help", "audit");
  expect_out(&p, "audit verify");
  cr_assert_null(strstr(process_out(&p), "policy"));
  EXPECT(&p, 0, "", "audit", "-h");
  expect_out(&p, "audit verify");
  EXPECT(&p, 2, "unknown command 'frobnicate'", "help", "frobnicate");
}

Test(help, of_all) {
  EXPECT(&p, 0, "", "--help");
  char *text = strdup(process_out(&p));
  expect_narrow(text);
  for (const lk_guide *g = lk_guides; g->name != NULL; g++) {
    char line[64];
    snprintf(line, sizeof line, "\n  %-14s", g->name);
    const char *at = strstr(text, line);
    cr_assert_not_null(at, "%s", g->name);
    cr_assert_null(strstr(at + 1, line), "%s stands twice", g->name);
  }
  expect_out(&p, "  143  ended by SIGTERM\n");
  EXPECT(&p, 0, "", "help");
  cr_assert_str_eq(process_out(&p), text);
  EXPECT(&p, 0, "", "-h");
  cr_assert_str_eq(process_out(&p), text);
  free(text);
}

Test(help, version) {
  EXPECT(&p, 0, "", "--version");
  cr_assert_eq(strncmp(process_out(&p), "likeness " LK_VERSION "\nprocessor   ", 22 + strlen(LK_VERSION)), 0, "%s",
               process_out(&p));
  static const char *const parts[] = {" cpu:portable\n", "\nGPU  ", "hiredis ", "jansson ", "libsodium ", "zlib "};
  for (int i = 0; i < 6; i++) expect_out(&p, parts[i]);
}

/* Two lines: where help is, and last what is wrong. */
static void expect_wrong(int code, const char *hint, const char *reason) {
  char wanted[500];
  snprintf(wanted, sizeof wanted, "`likeness%s --help` tells more\nlikeness%s: %s\n", hint, hint, reason);
  cr_assert_eq(code, 2);
  cr_assert_str_eq(process_log(&p), wanted);
  cr_assert_str_eq(process_out(&p), "");
}

#define WRONG(hint, reason, ...) expect_wrong(likeness(&p, __VA_ARGS__, NULL), hint, reason)

Test(help, the_error_is_the_last_line) {
  expect_wrong(likeness(&p, NULL), "", "which command?");
  WRONG("", "unknown command 'frobnicate'", "frobnicate");
  WRONG("", "unknown command 'identfy'; did you mean 'identify'?", "identfy", "a");
  WRONG(" policy", "unknown command 'policy explian'; did you mean 'policy explain'?", "policy", "explian");
  WRONG(" policy", "which one? A second word is missing", "policy");
  WRONG(" create", "an operand is missing: DIR --dim N", "create");
  WRONG(" identify", "an operand is missing: DIR PROBES", "identify", "faces");
  WRONG(" list", "there is an operand too many: b", "list", "a", "b");
  WRONG(" list", "unknown option --formt; did you mean --format?", "list", "a", "--formt", "csv");
  WRONG(" list", "unknown option --colour", "list", "a", "--colour=red");
  WRONG(" identify", "-k needs a value", "identify", "a", "b", "-k");
  WRONG(" identify", "-k: '5x' is not a whole number", "identify", "a", "b", "-k5x");
  WRONG(" verify", "--subject is missing: the subject to compare with", "verify", "a", "b");
}

Test(help, that_cannot_be_written) {
  static const char *const asked[] = {"--help", "--version", "help"};
  for (int i = 0; i < 3; i++) {
    p.output = "/dev/full";
    process_start(&p, (const char *const[]){LIKENESS_PROGRAM, asked[i], NULL});
    cr_assert_eq(process_wait(&p, PROCESS_PATIENCE_MS), 1);
    cr_assert_str_eq(process_log(&p), "likeness: cannot write the output: No space left on device\n");
  }
}

/* Runs a script of bash, whose $1 is the program and whose $2 is the folder with what the program wrote. */
static int bash(const char *script) {
  process_start(&p, (const char *const[]){"bash", "-c", script, "bash", LIKENESS_PROGRAM, files_root, NULL});
  return process_wait(&p, PROCESS_PATIENCE_MS);
}

static void write_guide(void) {
  cr_assert_eq(bash("mkdir \"$2/man1\" && \"$1\" --write-guide \"$2\""), 0, "%s", process_log(&p));
}

Test(help, man_pages) {
  write_guide();
  cr_assert_eq(bash("cd \"$2/man1\" && ls | wc -l && for page in *; do LC_ALL=C.UTF-8 MANWIDTH=80 "
                    "man --warnings -l \"$page\" >/dev/null || echo \"$page\" >&2; done"),
               0);
  cr_assert_str_eq(process_log(&p), "");
  int pages = 1;
  for (const lk_guide *g = lk_guides; g->name != NULL; g++) pages++;
  cr_assert_eq(atoi(process_out(&p)), pages);
  cr_assert_eq(bash("man -l \"$2/man1/likeness-submit.1\" | col -b"), 0);
  expect_out(&p, "--job-probes N");
}

/* What bash offers for these words and the one that is begun. */
static void expect_completed(const char *words, const char *wanted) {
  char script[500];
  snprintf(script, sizeof script,
           "cd \"$2\"; . ./likeness.bash; COMP_WORDS=(likeness %s); COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); _likeness; "
           "echo ${COMPREPLY[@]}",
           words);
  cr_assert_eq(bash(script), 0);
  cr_assert_str_eq(process_log(&p), "");
  cr_assert_str_eq(process_out(&p), wanted, "%s", words);
}

Test(help, completion) {
  write_guide();
  files_write(files_path("v.npy"), "", 0);
  cr_assert_eq(bash("bash -n \"$2/likeness.bash\""), 0, "%s", process_log(&p));
  expect_completed("e", "enroll evaluate expire export\n");
  expect_completed("policy ''", "check explain\n");
  expect_completed("help ver", "verify\n");
  expect_completed("enroll faces v", "v.npy\n");
  expect_completed("identify faces v.npy --for", "--format\n");
  expect_completed("identify faces v.npy --format j", "json\n");
  expect_completed("identify faces v.npy --by ''", "template subject\n");
  expect_completed("stat faces --purp", "\n");
  expect_completed("verify faces --purp", "--purpose\n");
  expect_completed("policy explain v.npy --metric l", "l2\n");
  expect_completed("enroll faces v.npy --labels v", "v.npy\n");
  if (bash("command -v zsh") == 0) cr_assert_eq(bash("zsh -n \"$2/_likeness\""), 0, "%s", process_log(&p));
}
