/* The audit log from the command line, and by the verifier of docs/audit.md, which knows nothing of this program. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <likeness/audit.h>
#include "tests/e2e/e2e.h"
#include "tests/support/audit_log.h"

static process p;
static char log_folder[PATH_MAX], key[PATH_MAX], public_key[PATH_MAX + 4];

/* 40 records in some files. */
static void setup(void) {
  files_setup();
  strcpy(log_folder, files_path("log"));
  strcpy(key, files_path("key"));
  snprintf(public_key, sizeof public_key, "%s.pub", key);
  EXPECT(&p, 0, "key.pub to those who verify", "key", key);
  lk_audit *audit;
  lk_audit_options options = {.key_file = key, .file_bytes = 4000};
  cr_assert_eq(lk_audit_open(log_folder, &options, &audit, NULL), LK_OK);
  for (uint32_t i = 0; i < 40; i++) {
    audit_log_append(audit, i);
    cr_assert_eq(lk_audit_commit(audit, NULL), LK_OK);
  }
  cr_assert_eq(lk_audit_close(audit, NULL), LK_OK);
}

static void teardown(void) {
  process_close(&p);
  files_teardown();
}

TestSuite(audit_cli, .init = setup, .fini = teardown);

Test(audit_cli, usage) {
  EXPECT(&p, 2, "which one? A second word is missing", "audit");
  EXPECT(&p, 2, "unknown command 'audit burn'", "audit", "burn");
  EXPECT(&p, 2, "an operand is missing", "audit", "verify");
  EXPECT(&p, 2, "there is an operand too many: b", "audit", "verify", "a", "b");
  EXPECT(&p, 2, "--format", "audit", "verify", "a", "--format", "json");
  EXPECT(&p, 2, "--format", "audit", "show", log_folder, "--format", "csv");
  EXPECT(&p, 1, "key: cannot create: File exists", "key", key);
  EXPECT(&p, 1, "nowhere: No such file", "audit", "verify", files_path("nowhere"));
}

static void save_out(const char *path) { files_write(path, process_out(&p), strlen(process_out(&p))); }

Test(audit_cli, verify_and_head) {
  const char *head = files_path("head");
  EXPECT(&p, 0, "", "audit", "verify", log_folder);
  expect_out(&p, "the chain is whole\n");
  expect_out(&p, "; closed");
  expect_out(&p, "no --key was given");
  expect_out(&p, "not checked: no --head was given");
  EXPECT(&p, 0, "", "audit", "head", log_folder, "--key", key);
  save_out(head);
  EXPECT(&p, 0, "", "audit", "verify", log_folder, "--head", head, "--key", public_key);
  expect_out(&p, "no: the log has the head's record");
  size_t size;
  char *last = NULL, name[64];
  snprintf(name, sizeof name, "log/audit-%06u.log", files_count(log_folder));
  last = files_read(files_path(name), &size);
  last[size] = '\0';
  last[size - 1] = '\0'; /* the end of the last line */
  files_write(files_path(name), last, (size_t)(strrchr(last, '\n') + 1 - last));
  EXPECT(&p, 0, "", "audit", "verify", log_folder);
  EXPECT(&p, 1, "the log was cut", "audit", "verify", log_folder, "--head", head);
  files_write(files_path(name), last, 40);
  EXPECT(&p, 1, "incomplete record", "audit", "verify", log_folder);
  free(last);
}

Test(audit_cli, show) {
  EXPECT(&p, 0, "", "audit", "show", log_folder);
  expect_out(&p, "Z  decision       actor=\"Z\xc3\xbcrich\\\\desk-1\" authenticated=true");
  expect_out(&p, " threshold=0.333333343 ");
  expect_out(&p, "  rotated ");
  EXPECT(&p, 0, "", "audit", "show", files_path("log/audit-000002.log"), "--format", "json");
  size_t size;
  char *data = files_read(files_path("log/audit-000002.log"), &size);
  data[size] = '\0';
  cr_assert_str_eq(process_out(&p), data);
  data[size / 2] ^= 1;
  files_write(files_path("log/audit-000002.log"), data, size);
  EXPECT(&p, 1, "audit-000002.log: line ", "audit", "show", log_folder, "--format", "json");
  expect_out(&p, "\"type\":\"rotated\"");
  free(data);
}

/* Extracts the verifier from the document. */
static void write_verifier(const char *path) {
  size_t size;
  char *text = files_read(LIKENESS_SOURCE "/docs/audit.md", &size);
  text[size] = '\0';
  char *from = strstr(text, "```python\n");
  cr_assert_not_null(from);
  from += strlen("```python\n");
  files_write(path, from, (size_t)(strstr(from, "```") - from));
  free(text);
}

static int run_verifier(const char *path) {
  const char *words[] = {"python3", path, log_folder, NULL};
  process_start(&p, words);
  return process_wait(&p, PROCESS_PATIENCE_MS);
}

Test(audit_cli, a_strangers_verifier) {
  if (system("python3 -c 'import hashlib' >/dev/null 2>&1") != 0) cr_skip("no python3 here");
  char verifier[PATH_MAX], wanted[128];
  strcpy(verifier, files_path("verifier.py"));
  write_verifier(verifier);
  lk_audit_report report;
  cr_assert_eq(lk_audit_verify(log_folder, NULL, NULL, &report, NULL), LK_OK);
  cr_assert_eq(run_verifier(verifier), 0, "%s", process_log(&p));
  snprintf(wanted, sizeof wanted, "%u %s\n", (unsigned)report.last, report.hash);
  cr_assert_str_eq(process_out(&p), wanted);
  size_t size;
  char *data = files_read(files_path("log/audit-000002.log"), &size);
  for (size_t at = 20; at < size; at += size / 5) {
    data[at] ^= 1;
    files_write(files_path("log/audit-000002.log"), data, size);
    cr_assert_eq(run_verifier(verifier), 1);
    data[at] ^= 1;
  }
  free(data);
}
