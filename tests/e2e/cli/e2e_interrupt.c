/* SIGINT and SIGTERM end each command at once, and nothing is left half done. Who reads no further is obeyed, too. */
#include <criterion/criterion.h>
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/e2e/e2e.h"

enum { ROWS = 150000, DIM = 128, PATIENCE_MS = 30000 };
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { AT_ONCE_MS = 10000 };
#else
enum { AT_ONCE_MS = 3000 }; /* of a machine that does other things; undisturbed, each would take longer */
#endif

static process p;
static char large[PATH_MAX], rows[PATH_MAX];

/* A file of many rows, and a gallery that has some of them. */
static void setup(void) {
  random_state random = {4};
  files_setup();
  strcpy(rows, files_path("rows.fvecs"));
  float *data = files_random(&random, ROWS, DIM);
  files_write_vecs(rows, sizeof *data, ROWS, DIM, data);
  strcpy(large, files_gallery("large", LK_L2, DIM));
  files_enroll(large, data, ROWS / 2, DIM, NULL);
  free(data);
}

static void teardown(void) {
  process_close(&p);
  files_teardown();
}

TestSuite(interrupt, .init = setup, .fini = teardown, .timeout = 300);

static int compare_names(const void *a, const void *b) { return strcmp(a, b); }

/* The names in a folder, sorted. */
static const char *listing(const char *folder) {
  static char text[1 << 15], names[64][NAME_MAX + 1];
  int count = 0;
  DIR *open = opendir(folder);
  text[0] = '\0';
  if (open == NULL) return text;
  for (struct dirent *entry; (entry = readdir(open)) != NULL && count < 64;)
    if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
      snprintf(names[count++], sizeof names[0], "%s", entry->d_name);
  closedir(open);
  qsort(names, (size_t)count, sizeof names[0], compare_names);
  for (int i = 0; i < count; i++) strcat(strcat(text, names[i]), "\n");
  return text;
}

/* Waits until the folder has other files than `before`. */
static void await_change(const char *folder, const char *before) {
  for (uint64_t end_ms = now_ms() + PATIENCE_MS; strcmp(listing(folder), before) == 0 && now_ms() < end_ms;)
    sleep_ms(1);
  cr_assert_str_neq(listing(folder), before, "nothing was begun: %s", process_log(&p));
}

/* The signal ends what was begun in the folder, and leaves there what was before. */
static void expect_undone(const char *folder, const char *before, const char *command, int signal) {
  await_change(folder, before);
  uint64_t began_ms = now_ms();
  process_signal(&p, signal);
  int code = process_wait(&p, PATIENCE_MS);
  cr_assert_eq(code, 128 + signal, "%d: %s", code, process_log(&p));
  cr_assert_leq(now_ms() - began_ms, AT_ONCE_MS);
  char wanted[64];
  snprintf(wanted, sizeof wanted, "likeness %s: interrupted\n", command);
  cr_assert_str_eq(process_log(&p), wanted);
  cr_assert_str_eq(listing(folder), before);
}

Test(interrupt, enroll) {
  for (int i = 0; i < 2; i++) {
    char *before = strdup(listing(large));
    likeness_start(&p, "enroll", large, rows, NULL);
    expect_undone(large, before, "enroll", i == 0 ? SIGINT : SIGTERM);
    free(before);
  }
  EXPECT(&p, 0, "", "stat", large);
  expect_out(&p, "templates   75000\n");
  EXPECT(&p, 0, "", "check", large);
}

Test(interrupt, compact) {
  EXPECT(&p, 0, "", "delete", large, "--key", "7");
  char *before = strdup(listing(large));
  likeness_start(&p, "compact", large, NULL);
  await_change(large, before);
  process_signal(&p, SIGINT);
  int code = process_wait(&p, PATIENCE_MS);
  cr_assert_eq(code, 130, "%d: %s", code, process_log(&p));
  EXPECT(&p, 0, "", "check", large);
  EXPECT(&p, 0, "", "stat", large);
  expect_out(&p, "templates   74999\n");
  expect_out(&p, "deleted     1\n");
  free(before);
}

Test(interrupt, export_and_import) {
  char to[PATH_MAX];
  strcpy(to, files_path("to"));
  char *const file = strdup(files_path("to/large.lkg"));
  EXPECT(&p, 0, "", "create", to, "--dim", "2"); /* a folder */
  char *before = strdup(listing(to));
  likeness_start(&p, "export", large, file, NULL);
  expect_undone(to, before, "export", SIGINT);
  EXPECT(&p, 0, "", "export", large, file);
  likeness_start(&p, "import", files_path("new"), file, NULL);
  expect_undone(files_path("new"), "", "import", SIGTERM);
  EXPECT(&p, 0, "", "import", files_path("new"), file);
  free(before);
  free(file);
}

/* Commands that change nothing are ended where they are. */
static void expect_ended(int signal) {
  sleep_ms(100);
  uint64_t began_ms = now_ms();
  process_signal(&p, signal);
  int code = process_wait(&p, PATIENCE_MS);
  cr_assert_eq(code, 128 + signal, "%d: %s", code, process_log(&p));
  cr_assert_leq(now_ms() - began_ms, AT_ONCE_MS);
}

Test(interrupt, what_only_reads) {
  char labels[PATH_MAX];
  strcpy(labels, files_path("labels.txt"));
  FILE *text = fopen(labels, "w");
  cr_assert_not_null(text);
  for (int i = 0; i < ROWS; i++) fprintf(text, "s%d\n", i / 2);
  fclose(text);
  likeness_start(&p, "identify", large, rows, "--threads", "1", NULL);
  expect_ended(SIGTERM);
  likeness_start(&p, "evaluate", large, rows, "--labels", labels, "--threads", "1", NULL);
  expect_ended(SIGINT);
  likeness_start(&p, "dedupe", large, "--threshold", "-1e9", "--threads", "1", NULL);
  expect_ended(SIGTERM);
}

/* Runs a script of bash with the program as $1, the gallery as $2 and the rows as $3. */
static void bash_start(const char *script) {
  process_start(&p, (const char *const[]){"bash", "-c", script, "bash", LIKENESS_PROGRAM, large, rows, NULL});
}

static int bash(const char *script) {
  bash_start(script);
  return process_wait(&p, PROCESS_PATIENCE_MS);
}

Test(interrupt, while_it_waits_for_stdin) {
  bash_start("exec < <(exec sleep 20); exec \"$1\" identify \"$2\" -");
  sleep_ms(300);
  expect_ended(SIGINT);
}

/* --output: a file that is not complete has no name, and what was there stays. */
Test(interrupt, output) {
  files_write(files_path("answer"), "before", 6);
  likeness_start(&p, "identify", large, rows, "--threads", "1", "--output", files_path("answer"), NULL);
  for (int i = 0; i < 5000 && access(files_path("answer.new"), F_OK) != 0; i++) sleep_ms(2);
  expect_ended(SIGINT);
  cr_assert_neq(access(files_path("answer.new"), F_OK), 0);
  size_t size;
  char *text = files_read(files_path("answer"), &size);
  cr_assert(size == 6 && memcmp(text, "before", 6) == 0);
  free(text);
}

/* As other programs do: without a word, by SIGPIPE, and soon. */
Test(interrupt, the_reader_has_gone) {
  static const char *const commands[] = {"list \"$2\"", "list \"$2\" --format csv",
                                         "identify \"$2\" \"$3\" --format csv", "dedupe \"$2\" --threshold -1e9",
                                         "--help"};
  for (int i = 0; i < 5; i++) {
    char script[200];
    snprintf(script, sizeof script, "\"$1\" %s | head -2 | wc -l; echo ${PIPESTATUS[0]}", commands[i]);
    cr_assert_eq(bash(script), 0);
    if (i < 4) cr_assert_str_eq(process_out(&p), "2\n141\n", "%s: %s", commands[i], process_out(&p));
    cr_assert_str_eq(process_log(&p), "", "%s", commands[i]);
  }
}

Test(interrupt, the_reason_of_a_failed_write) {
  cr_assert_eq(bash("\"$1\" list \"$2\" >/dev/full"), 1);
  cr_assert_str_eq(process_log(&p), "likeness list: cannot write the output: No space left on device\n");
  cr_assert_eq(bash("\"$1\" stat \"$2\" >&-"), 1);
  cr_assert_str_eq(process_log(&p), "likeness stat: cannot write the output: Bad file descriptor\n");
}
