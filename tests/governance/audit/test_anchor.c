/* What galleries keep of the log that governs them, and which losses of the log it shows. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "governance/kept_log.h"
#include "tests/support/audit_log.h"
#include "tests/support/files.h"

static char keepers[2][PATH_MAX];
static const char *const both[] = {keepers[0], keepers[1]};
static char file[PATH_MAX];
static lk_error error;

static void setup(void) {
  files_setup();
  strcpy(keepers[0], files_path("faces"));
  strcpy(keepers[1], files_path("prints"));
  strcpy(file, files_path("log/audit-000001.log"));
  for (int i = 0; i < 2; i++) cr_assert_eq(mkdir(keepers[i], 0777), 0);
}

TestSuite(anchor, .init = setup, .fini = files_teardown);

static lk_status open_kept(uint32_t count, bool lost, lk_audit **audit) {
  lk_kept_log log = {.folder = audit_log_folder(), .keepers = both, .keepers_count = count, .lost = lost};
  lk_cases cases = {0};
  lk_seen seen = {0};
  lk_status status = lk_kept_log_open(&log, 0, &cases, &seen, audit, &error);
  lk_cases_free(&cases);
  lk_seen_free(&seen);
  return status;
}

static lk_audit *opened(uint32_t count) {
  lk_audit *audit = NULL;
  cr_assert_eq(open_kept(count, false, &audit), LK_OK, "%s", error.text);
  return audit;
}

static void write_some(lk_audit *audit, uint32_t records) {
  for (uint32_t i = 0; i < records; i++) audit_log_append(audit, 1);
  audit_log_commit(audit);
}

/* `opened`, these records and `closed`. */
static void make_log(uint32_t records) {
  lk_audit *audit = opened(1);
  write_some(audit, records);
  audit_log_close(audit);
}

static void expect_refused(const char *words) {
  lk_audit *audit;
  cr_assert_eq(open_kept(1, false, &audit), LK_ECORRUPT, "%s", error.text);
  cr_assert_not_null(strstr(error.text, words), "'%s' is not in: %s", words, error.text);
}

/* Cuts the log's last records off, at a record's end: without an anchor it verifies. */
static void cut_records(int records) {
  size_t size;
  char *data = files_read(file, &size);
  for (; records > 0; records--) do
      size--;
    while (data[size - 1] != '\n');
  files_write(file, data, size);
  free(data);
  audit_log_verified(NULL, NULL);
}

static void remove_log(void) { files_remove_folder(audit_log_folder()); }

static lk_anchor *anchor_of(const char *keeper) {
  lk_anchor *anchor = NULL;
  cr_assert_eq(lk_kept_log_anchor(keeper, audit_log_folder(), &anchor, &error), LK_OK, "%s", error.text);
  return anchor;
}

static uint64_t seen_by(const char *keeper) {
  lk_anchor *anchor = anchor_of(keeper);
  uint64_t sequence = anchor->seen.sequence;
  lk_anchor_close(anchor);
  return sequence;
}

/* Each commit moves it, so a writer that is killed leaves it at the last one. It is a head, which anybody can check. */
Test(anchor, follows_every_commit) {
  lk_audit *audit = opened(2);
  cr_assert_eq(seen_by(keepers[0]), 1);
  write_some(audit, 7);
  cr_assert_eq(seen_by(keepers[0]), 8);
  cr_assert_eq(seen_by(keepers[1]), 8);
  lk_anchor *anchor = anchor_of(keepers[0]);
  size_t size;
  char *head = files_read(anchor->path, &size);
  head[size] = '\0';
  cr_assert_eq(audit_log_verified(head, NULL).last, 8);
  lk_anchor_close(anchor);
  free(head);
  audit_log_append(audit, 1);
  cr_assert_eq(seen_by(keepers[0]), 8, "not before the commit");
  audit_log_close(audit);
  cr_assert_eq(seen_by(keepers[0]), 10);
  audit_log_close(opened(2));
}

Test(anchor, a_cut_at_a_records_end) {
  make_log(6);
  cut_records(1);
  expect_refused("cut: it ends at record 7, but");
  cr_assert_not_null(strstr(error.text, "has seen record 8"), "%s", error.text);
  cr_assert_eq(audit_log_verified(NULL, NULL).last, 7, "nothing was added");
}

/* The cut log has grown beyond the cut since, by a writer that nobody's anchor stopped. */
Test(anchor, a_cut_that_has_grown_over) {
  make_log(6);
  cut_records(3);
  lk_audit *audit = audit_log_open(&(lk_audit_options){0});
  write_some(audit, 9);
  audit_log_close(audit);
  expect_refused("rewritten: record 8 is not the one that");
}

Test(anchor, a_log_that_was_deleted) {
  make_log(6);
  remove_log();
  expect_refused("the audit log is gone");
  cr_assert_neq(access(audit_log_folder(), F_OK), 0, "it was made again");
  cr_assert_eq(mkdir(audit_log_folder(), 0777), 0);
  expect_refused("the audit log is gone");
  cr_assert_eq(files_count(audit_log_folder()), 0);
  files_write(file, "", 0);
  expect_refused("the audit log is gone");
}

Test(anchor, a_log_that_was_begun_anew) {
  make_log(6);
  remove_log();
  lk_audit *audit = audit_log_open(&(lk_audit_options){0});
  write_some(audit, 20);
  audit_log_close(audit);
  expect_refused("the audit log was begun anew");
}

/* A link to another log, where the log was. */
Test(anchor, a_log_that_a_link_replaces) {
  make_log(6);
  cr_assert_eq(rename(audit_log_folder(), files_path("other")), 0);
  cr_assert_eq(symlink(files_path("other"), audit_log_folder()), 0);
  audit_log_close(opened(1));
  cr_assert_eq(unlink(audit_log_folder()), 0);
  cr_assert_eq(mkdir(files_path("new"), 0777), 0);
  cr_assert_eq(symlink(files_path("new"), audit_log_folder()), 0);
  expect_refused("the audit log is gone");
}

/* If a person says so, the log goes on, and says so first. */
Test(anchor, a_loss_that_is_owned_up_to) {
  make_log(6);
  char words[128];
  lk_audit_report old = audit_log_verified(NULL, NULL);
  remove_log();
  lk_audit *audit;
  cr_assert_eq(open_kept(2, true, &audit), LK_OK, "%s", error.text);
  audit_log_close(audit);
  snprintf(words, sizeof words, "\"other\":\"%s\"", old.log);
  cr_assert_eq(files_lines_with(audit_log_folder(), "audit-000001.log", words), 1, "of one keeper");
  cr_assert_eq(files_lines_with(audit_log_folder(), "audit-000001.log", "\"seen\":8,\"sequence\":2,"), 1);
  cr_assert_eq(open_kept(2, true, &audit), LK_OK, "%s", error.text);
  audit_log_close(audit);
  cr_assert_eq(files_lines_with(audit_log_folder(), "audit-000001.log", "\"type\":\"lost\""), 1, "now nothing is lost");
  audit_log_close(opened(2));
}

/* One that joins later is held against the log as well. */
Test(anchor, of_a_gallery_that_joins_an_open_log) {
  lk_audit *audit = opened(2);
  write_some(audit, 5);
  audit_log_close(audit);
  make_log(3); /* the second keeper has not seen this */
  audit = opened(1);
  cr_assert_eq(lk_kept_log_join(audit, audit_log_folder(), keepers[1], &error), LK_OK, "%s", error.text);
  write_some(audit, 1);
  cr_assert_eq(seen_by(keepers[1]), seen_by(keepers[0]));
  audit_log_close(audit);
  cut_records(4);
  lk_anchor *first = anchor_of(keepers[0]);
  cr_assert_eq(unlink(first->path), 0);
  lk_anchor_close(first);
  audit = opened(1);
  cr_assert_eq(lk_kept_log_join(audit, audit_log_folder(), keepers[1], &error), LK_ECORRUPT, "%s", error.text);
  audit_log_close(audit);
}

Test(anchor, a_damaged_one_is_an_error) {
  make_log(1);
  lk_anchor *anchor = anchor_of(keepers[0]);
  lk_audit *audit;
  static const char *const bad[] = {"", "{}", "{\"type\":\"likeness-audit-head-1\"}", "\xff"};
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    files_write(anchor->path, bad[i], strlen(bad[i]));
    cr_assert_eq(open_kept(1, false, &audit), LK_EFORMAT, "%zu: %s", i, error.text);
    cr_assert_not_null(strstr(error.text, anchor->path), "%s", error.text);
  }
  lk_anchor_close(anchor);
}

/* A log inside the gallery's folder moves with it, and is still known. */
Test(anchor, moves_with_the_gallery) {
  char inside[PATH_MAX + 8], moved[PATH_MAX];
  snprintf(inside, sizeof inside, "%s/log", keepers[0]);
  strcpy(moved, files_path("moved"));
  lk_kept_log log = {.folder = inside, .keepers = both, .keepers_count = 1};
  lk_cases cases = {0};
  lk_seen seen = {0};
  lk_audit *audit;
  cr_assert_eq(lk_kept_log_open(&log, 0, &cases, &seen, &audit, &error), LK_OK, "%s", error.text);
  audit_log_close(audit);
  cr_assert_eq(rename(keepers[0], moved), 0);
  strcpy(keepers[0], moved);
  snprintf(inside, sizeof inside, "%s/log", moved);
  cr_assert_eq(rename(inside, files_path("aside")), 0);
  cr_assert_eq(lk_kept_log_open(&log, 0, &cases, &seen, &audit, &error), LK_ECORRUPT, "%s", error.text);
}
