/* The writer: what it lets in, how it goes on, what it does when the disk does not. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "index/audit.h"
#include "index/audit_verify.h"
#include "index/text.h"
#include "tests/audit_log.h"
#include "tests/files.h"

/* The system calls by which a record reaches the disk (by the linker's --wrap): each can fail. A write that fails has
 * written half. */
static int calls, call_that_fails, error_of_it = ENOSPC;
static char journal[1024];              /* their names and files, in order */
static size_t write_at_most = SIZE_MAX; /* less: writes are short, so that a kill finds a record half written */

static bool fails(const char *call, int fd) {
  char link[64], target[PATH_MAX] = "/?";
  size_t used = strlen(journal);
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t length = readlink(link, target, sizeof target - 1);
  if (length > 0) target[length] = '\0';
  if (used < sizeof journal / 2)
    snprintf(journal + used, sizeof journal - used, "%s %s\n", call, strrchr(target, '/') + 1);
  if (++calls != call_that_fails) return false;
  errno = error_of_it;
  return true;
}

ssize_t __real_write(int fd, const void *data, size_t size);
int __real_fsync(int fd);
int __real_fdatasync(int fd);

ssize_t __wrap_write(int fd, const void *data, size_t size) {
  if (!fails("write", fd)) return __real_write(fd, data, size < write_at_most ? size : write_at_most);
  if (__real_write(fd, data, size / 2) < 0) return -1;
  errno = error_of_it;
  return -1;
}
int __wrap_fsync(int fd) { return fails("fsync", fd) ? -1 : __real_fsync(fd); }
int __wrap_fdatasync(int fd) { return fails("fdatasync", fd) ? -1 : __real_fdatasync(fd); }

TestSuite(audit, .init = files_setup, .fini = files_teardown);

static const char *log_folder(void) { return files_path("log"); }
static const char *key_file(void) { return files_path("key"); }
static const char *public_key_file(void) { return files_path("key.pub"); }

static void make_key(void) { cr_assert_eq(lk_audit_key_make(key_file(), NULL), LK_OK); }

static lk_audit *open_log(const lk_audit_options *options) {
  lk_audit *audit = NULL;
  lk_error error = {0};
  cr_assert_eq(lk_audit_open(log_folder(), options, &audit, &error), LK_OK, "%s", error.text);
  return audit;
}

static void commit(lk_audit *audit) {
  lk_error error = {0};
  cr_assert_eq(lk_audit_commit(audit, &error), LK_OK, "%s", error.text);
}

static void close_log(lk_audit *audit) {
  lk_error error = {0};
  cr_assert_eq(lk_audit_close(audit, &error), LK_OK, "%s", error.text);
}

static lk_audit_report verified(const char *head, const char *key) {
  lk_audit_report report = {0};
  lk_error error = {0};
  cr_assert_eq(lk_audit_verify(log_folder(), head, key, &report, &error), LK_OK, "%s", error.text);
  return report;
}

static void expect_broken(const char *path, const char *head, const char *key, lk_status status, const char *words) {
  lk_audit_report report;
  lk_error error = {0};
  cr_assert_eq(lk_audit_verify(path, head, key, &report, &error), status, "%s", error.text);
  cr_assert_not_null(strstr(error.text, words), "'%s' is not in: %s", words, error.text);
}

static void expect_closed_to(const char *folder, const lk_audit_options *options, lk_status status, const char *words) {
  lk_audit *audit;
  lk_error error = {0};
  cr_assert_eq(lk_audit_open(folder, options, &audit, &error), status, "%s", error.text);
  cr_assert_not_null(strstr(error.text, words), "'%s' is not in: %s", words, error.text);
}

Test(audit, numbers_go_on_through_openings) {
  lk_audit *audit = open_log(&(lk_audit_options){0});
  cr_assert_eq(audit_log_append(audit, 0), 2);
  cr_assert_eq(audit_log_append(audit, 1), 3);
  close_log(audit);
  lk_audit_report first = verified(NULL, NULL);
  cr_assert(first.first == 1 && first.last == 4 && first.closed && first.files == 1 && first.heads == 0);
  audit = open_log(&(lk_audit_options){0});
  cr_assert_eq(audit_log_append(audit, 2), 6);
  commit(audit);
  lk_audit_report second = verified(NULL, NULL);
  cr_assert(second.last == 6 && !second.closed && second.cuts == 0);
  cr_assert_str_eq(second.log, first.log);
  close_log(audit);
}

Test(audit, what_is_not_committed_is_not_there) {
  lk_audit *audit = open_log(&(lk_audit_options){0});
  audit_log_append(audit, 0);
  cr_assert_eq(verified(NULL, NULL).last, 1);
  commit(audit);
  cr_assert_eq(verified(NULL, NULL).last, 2);
  close_log(audit);
}

/* More than the memory for it holds. */
Test(audit, groups_of_any_size) {
  lk_audit *audit = open_log(&(lk_audit_options){0});
  for (uint32_t i = 0; i < 5000; i++) audit_log_append(audit, i);
  commit(audit);
  cr_assert_eq(verified(NULL, NULL).last, 5001);
  close_log(audit);
}

static void expect_refused(lk_audit *audit, const lk_audit_record *record, const char *words) {
  lk_error error = {0};
  uint64_t sequence = 77;
  cr_assert_eq(lk_audit_append(audit, record, &sequence, &error), LK_EINVAL, "%s", words);
  cr_assert_not_null(strstr(error.text, words), "'%s' is not in: %s", words, error.text);
  cr_assert_eq(sequence, 77);
}

Test(audit, only_what_belongs_gets_in) {
  lk_audit *audit = open_log(&(lk_audit_options){0});
  char longest[LK_TEXT_MAX + 1];
  memset(longest, '"', sizeof longest);
  lk_audit_record r = {.type = LK_AUDIT_RESULT, .actor = lk_text_of("x")};
  expect_refused(audit, &r, "audit record result: actor does not belong there");
  r = (lk_audit_record){.type = LK_AUDIT_ENROLL, .permitted = true};
  expect_refused(audit, &r, "permitted does not belong there");
  r = (lk_audit_record){.type = LK_AUDIT_DECISION, .case_id = lk_text_of("a\nb")};
  expect_refused(audit, &r, "case has a control character");
  r = (lk_audit_record){.type = LK_AUDIT_DECISION, .case_id = {longest, sizeof longest}};
  expect_refused(audit, &r, "case is longer than 255 bytes");
  r = (lk_audit_record){.type = LK_AUDIT_DECISION, .threshold = NAN};
  expect_refused(audit, &r, "threshold is no number");
  r = (lk_audit_record){.type = LK_AUDIT_DECISION, .cap = UINT64_MAX};
  expect_refused(audit, &r, "cap is too large");
  r = (lk_audit_record){.type = LK_AUDIT_DECISION, .rules = {[1] = lk_text_of("\xff")}, .rules_count = 2};
  expect_refused(audit, &r, "rules is not UTF-8");
  r.rules_count = LK_AUDIT_RULES_MAX + 1;
  expect_refused(audit, &r, "rules are too many");
  r = (lk_audit_record){.type = LK_AUDIT_CLOSED};
  expect_refused(audit, &r, "only the log itself writes these");
  r.type = (lk_audit_type)99;
  expect_refused(audit, &r, "only the log itself");
  close_log(audit);
  cr_assert_eq(verified(NULL, NULL).last, 2, "and the log goes on");
}

/* Every member as long as it may be, every byte one that is written as two. */
Test(audit, the_longest_record_fits) {
  lk_audit *audit = open_log(&(lk_audit_options){0});
  char longest[LK_TEXT_MAX];
  memset(longest, '"', sizeof longest);
  lk_text t = {longest, sizeof longest};
  lk_audit_record r = {.type = LK_AUDIT_DECISION, .id = t, .operation = t, .purpose = t, .actor = t, .jurisdiction = t};
  r.case_id = r.authorisation = r.gallery = r.model = r.policy = t;
  r.rules_count = LK_AUDIT_RULES_MAX;
  for (int i = 0; i < LK_AUDIT_RULES_MAX; i++) r.rules[i] = t;
  r.time_ms = r.cap = r.epoch = r.searched = r.total = r.probes = INT64_MAX;
  r.threshold = -1.17549435e-38f;
  for (int i = 0; i < 100; i++) cr_assert_eq(lk_audit_append(audit, &r, NULL, NULL), LK_OK);
  close_log(audit);
  cr_assert_eq(verified(NULL, NULL).last, 102);
}

Test(audit, one_writer_at_a_time) {
  lk_audit *audit = open_log(&(lk_audit_options){0});
  expect_closed_to(log_folder(), &(lk_audit_options){0}, LK_EBUSY, "log: another process writes this audit log");
  close_log(audit);
  close_log(open_log(&(lk_audit_options){0}));
}

Test(audit, heads_by_hand_and_by_the_clock) {
  make_key();
  char head[LK_AUDIT_HEAD_MAX], latest[LK_AUDIT_HEAD_MAX];
  lk_audit *audit = open_log(&(lk_audit_options){.key_file = key_file(), .head_interval_ms = 20});
  cr_assert_eq(lk_audit_latest_head(audit, latest), 0);
  audit_log_append(audit, 0);
  cr_assert_eq(lk_audit_head(audit, head, NULL), LK_OK);
  cr_assert_eq(lk_audit_latest_head(audit, latest), 2);
  cr_assert_str_eq(head, latest);
  usleep(30000);
  commit(audit);
  cr_assert_eq(lk_audit_latest_head(audit, latest), 2, "nothing is new");
  audit_log_append(audit, 1);
  commit(audit);
  cr_assert_eq(lk_audit_latest_head(audit, latest), 4, "the head itself is record 3, the clock's is 5");
  close_log(audit);
  lk_audit_report report = verified(head, public_key_file());
  cr_assert(report.last == 7 && report.heads == 3 && report.signed_to == 6 && report.closed);
  verified(latest, public_key_file());
}

/* Flips the digit after `member`. */
static void alter(char *head, const char *member) {
  char *at = strstr(head, member) + strlen(member);
  *at = *at == '1' ? '2' : '1';
}

Test(audit, heads_that_are_not_the_logs) {
  make_key();
  lk_audit *audit = open_log(&(lk_audit_options){.key_file = key_file()});
  char head[LK_AUDIT_HEAD_MAX], altered[LK_AUDIT_HEAD_MAX], unsigned_head[LK_AUDIT_HEAD_MAX];
  audit_log_append(audit, 0);
  cr_assert_eq(lk_audit_head(audit, head, NULL), LK_OK);
  close_log(audit);
  static const char *const members[] = {"\"hash\":\"",   "\"key\":\"",       "\"log\":\"",
                                        "\"sequence\":", "\"signature\":\"", "\"time\":"};
  for (int i = 0; i < 6; i++) {
    strcpy(altered, head);
    alter(altered, members[i]);
    expect_broken(log_folder(), altered, NULL, LK_ECORRUPT, "the head's signature does not match");
  }
  expect_broken(log_folder(), "{}", NULL, LK_EFORMAT, "the head is not one line of JSON");
  cr_assert_eq(lk_audit_head_of(log_folder(), NULL, unsigned_head, NULL), LK_OK);
  verified(unsigned_head, NULL);
  expect_broken(log_folder(), unsigned_head, public_key_file(), LK_ECORRUPT, "the head is signed by nobody");
  strcpy(altered, unsigned_head);
  alter(altered, "\"hash\":\"");
  expect_broken(log_folder(), altered, NULL, LK_ECORRUPT, "is not the one that the head was taken of");
  strcpy(altered, unsigned_head);
  alter(altered, "\"log\":\"");
  expect_broken(log_folder(), altered, NULL, LK_ECORRUPT, "the head is of log");
  cr_assert_eq(lk_audit_key_make(files_path("other"), NULL), LK_OK);
  expect_broken(log_folder(), NULL, files_path("other.pub"), LK_ECORRUPT, "not by the key that was given");
  expect_broken(log_folder(), head, files_path("other.pub"), LK_ECORRUPT, "not by the key that was given");
}

Test(audit, a_log_keeps_its_key) {
  make_key();
  close_log(open_log(&(lk_audit_options){.key_file = key_file()}));
  expect_closed_to(log_folder(), &(lk_audit_options){0}, LK_EINVAL, "this one's none");
  cr_assert_eq(lk_audit_key_make(files_path("other"), NULL), LK_OK);
  expect_closed_to(log_folder(), &(lk_audit_options){.key_file = files_path("other")}, LK_EINVAL, "the log's key is");
  close_log(open_log(&(lk_audit_options){.key_file = key_file()}));
}

Test(audit, key_files) {
  make_key();
  struct stat stat_;
  cr_assert_eq(stat(key_file(), &stat_), 0);
  cr_assert_eq(stat_.st_mode & 0777, 0600);
  cr_assert_eq(lk_audit_key_make(key_file(), NULL), LK_EEXIST);
  cr_assert_eq(unlink(key_file()), 0);
  cr_assert_eq(lk_audit_key_make(key_file(), NULL), LK_EEXIST, "the public half is still there");
  cr_assert_neq(access(key_file(), F_OK), 0);
  expect_closed_to(log_folder(), &(lk_audit_options){.key_file = key_file()}, LK_EIO, "key: cannot open");
  cr_assert_eq(chmod(public_key_file(), 0600), 0);
  expect_closed_to(log_folder(), &(lk_audit_options){.key_file = public_key_file()}, LK_EFORMAT, "not a line of");
  cr_assert_eq(lk_audit_key_make(files_path("open"), NULL), LK_OK);
  cr_assert_eq(chmod(files_path("open"), 0640), 0);
  expect_closed_to(log_folder(), &(lk_audit_options){.key_file = files_path("open")}, LK_EINVAL, "others may read");
  cr_assert_neq(access(log_folder(), F_OK), 0, "nothing was made");
}

static lk_status collect(void *context, const lk_audit_chain *chain, const char *line, size_t length, lk_error *error) {
  (void)length, (void)error;
  char **words = context;
  if (chain->type != LK_AUDIT_ROTATED) return LK_OK;
  strncat(*words, strstr(line, "\"previous\""), 77);
  return LK_OK;
}

/* Files of about ten records; each begins with the hash that the one before ended with. */
Test(audit, rotation_keeps_the_chain) {
  char words[8192] = "", *at = words;
  lk_audit_report report;
  lk_audit *audit = open_log(&(lk_audit_options){.file_bytes = 4000});
  for (uint32_t i = 0; i < 100; i++) {
    audit_log_append(audit, i);
    commit(audit);
  }
  close_log(audit);
  cr_assert_eq(lk_audit_read(log_folder(), NULL, NULL, collect, &at, &report, NULL), LK_OK);
  cr_assert(report.files > 8 && report.last == 102 + report.files - 1);
  cr_assert_eq(strlen(words), 77 * (report.files - 1));
  cr_assert_eq(files_count(log_folder()), report.files);
  lk_audit_report third;
  cr_assert_eq(lk_audit_verify(files_path("log/audit-000003.log"), NULL, NULL, &third, NULL), LK_OK);
  cr_assert(third.first > 1 && third.files == 1 && strcmp(third.log, report.log) == 0);
  audit = open_log(&(lk_audit_options){.file_bytes = 4000});
  close_log(audit);
  cr_assert_eq(verified(NULL, NULL).last, report.last + 2 + (files_count(log_folder()) - report.files));
}

static void move(const char *from, const char *to) { cr_assert_eq(rename(files_path(from), files_path(to)), 0); }

Test(audit, a_missing_file_is_found) {
  char head[LK_AUDIT_HEAD_MAX];
  lk_audit *audit = open_log(&(lk_audit_options){.file_bytes = 4000});
  for (uint32_t i = 0; i < 40; i++) {
    audit_log_append(audit, i);
    commit(audit);
  }
  cr_assert_eq(lk_audit_head(audit, head, NULL), LK_OK);
  close_log(audit);
  char last[64];
  snprintf(last, sizeof last, "log/audit-%06u.log", files_count(log_folder()));
  move("log/audit-000002.log", "second");
  expect_broken(log_folder(), NULL, NULL, LK_ECORRUPT, "audit-000002.log: the file is missing");
  move("log/audit-000003.log", "log/audit-000002.log");
  expect_broken(log_folder(), NULL, NULL, LK_ECORRUPT, "audit-000002.log: line 1 (offset 0): it was changed, or does");
  move("log/audit-000002.log", "log/audit-000003.log");
  files_copy(files_path("log/audit-000003.log"), files_path("log/audit-000002.log"));
  expect_broken(log_folder(), NULL, NULL, LK_ECORRUPT, "audit-000002.log: line 1 (offset 0): it was changed, or does");
  move("second", "log/audit-000002.log");
  move("log/audit-000001.log", "first");
  expect_broken(log_folder(), NULL, NULL, LK_ECORRUPT, "audit-000001.log: the file is missing");
  move("first", "log/audit-000001.log");
  verified(head, NULL);
  move(last, "last");
  expect_broken(log_folder(), head, NULL, LK_ECORRUPT, "the log was cut");
  verified(NULL, NULL);
  expect_broken(files_path("last"), "{}", NULL, LK_EFORMAT, "head");
  expect_broken(files_path("missing"), NULL, NULL, LK_ENOTFOUND, "No such file");
  cr_assert_eq(mkdir(files_path("empty"), 0777), 0);
  expect_broken(files_path("empty"), NULL, NULL, LK_ENOTFOUND, "no audit log in it");
}

/* At every length that a torn last record can have. */
Test(audit, a_torn_record_is_cut_off) {
  lk_audit *audit = open_log(&(lk_audit_options){0});
  for (uint32_t i = 0; i < 3; i++) audit_log_append(audit, i);
  commit(audit);
  close_log(audit);
  size_t size, last = 0;
  char *data = files_read(files_path("log/audit-000001.log"), &size);
  for (size_t i = 0; i + 1 < size; i++)
    if (data[i] == '\n') last = i + 1;
  for (size_t length = last + 1; length < size; length++) {
    files_write(files_path("log/audit-000001.log"), data, length);
    expect_broken(log_folder(), NULL, NULL, LK_ECORRUPT, "a record without its end");
    audit = open_log(&(lk_audit_options){0});
    cr_assert_eq(lk_audit_cut_bytes(audit), length - last);
    close_log(audit);
    lk_audit_report report = verified(NULL, NULL);
    cr_assert(report.last == 6 && report.cuts == 1);
  }
  free(data);
}

/* Between a new file's making and its first record. */
Test(audit, a_torn_rotation_is_made_good) {
  lk_audit *audit = open_log(&(lk_audit_options){.file_bytes = 3000});
  for (uint32_t i = 0; files_count(log_folder()) < 3; i++) {
    audit_log_append(audit, i);
    commit(audit);
  }
  close_log(audit);
  size_t size;
  char *data = files_read(files_path("log/audit-000003.log"), &size);
  size_t first = strcspn(data, "\n");
  for (size_t length = 0; length <= first; length += 10) {
    files_write(files_path("log/audit-000003.log"), data, length);
    close_log(open_log(&(lk_audit_options){0}));
    lk_audit_report report = verified(NULL, NULL);
    cr_assert(report.files == 3 && report.closed && report.cuts == (length > 0));
  }
  files_write(files_path("log/audit-000001.log"), data, 20);
  expect_broken(log_folder(), NULL, NULL, LK_ECORRUPT, "audit-000001.log: offset 0");
  files_write(files_path("log/audit-000002.log"), "", 0);
  files_write(files_path("log/audit-000003.log"), "", 0);
  expect_closed_to(log_folder(), &(lk_audit_options){0}, LK_ECORRUPT, "audit-000002.log: offset 0");
  free(data);
}

Test(audit, what_does_not_verify_is_not_gone_on_with) {
  lk_audit *audit = open_log(&(lk_audit_options){0});
  audit_log_append(audit, 0);
  close_log(audit);
  size_t size;
  char *data = files_read(files_path("log/audit-000001.log"), &size);
  data[size / 2] ^= 1;
  files_write(files_path("log/audit-000001.log"), data, size);
  uint64_t before = files_digest(log_folder());
  expect_closed_to(log_folder(), &(lk_audit_options){0}, LK_ECORRUPT, "log/audit-000001.log: line 2 (offset ");
  cr_assert_eq(files_digest(log_folder()), before);
  free(data);
}

/* Each system call of opening, two commits with a rotation in them, a head and closing fails in turn. From then on
 * nothing is taken, and what was committed before is there. */
static uint64_t run_until_it_fails(lk_status *status) {
  lk_audit *audit;
  lk_error error = {0};
  char head[LK_AUDIT_HEAD_MAX];
  uint64_t committed = 0, sequence = 0;
  *status =
      lk_audit_open(log_folder(), &(lk_audit_options){.key_file = key_file(), .file_bytes = 2500}, &audit, &error);
  if (*status != LK_OK) return 0;
  for (uint32_t i = 0; *status == LK_OK && i < 8; i++) {
    sequence = audit_log_append(audit, i);
    *status = i == 4 ? lk_audit_head(audit, head, &error) : lk_audit_commit(audit, &error);
    if (*status == LK_OK) committed = sequence;
  }
  if (*status != LK_OK) {
    lk_audit_record record = audit_log_record(1);
    cr_assert_eq(lk_audit_append(audit, &record, NULL, &error), LK_EIO);
    cr_assert_not_null(strstr(error.text, "takes nothing more until it is opened again"), "%s", error.text);
    cr_assert_not_null(strstr(error.text, strerror(error_of_it)), "%s", error.text);
    cr_assert_eq(lk_audit_commit(audit, NULL), LK_EIO);
    cr_assert_eq(lk_audit_head(audit, head, NULL), LK_EIO);
    cr_assert_eq(lk_audit_close(audit, NULL), LK_EIO);
  } else {
    *status = lk_audit_close(audit, &error);
  }
  return committed;
}

static void remove_log(void) {
  char path[PATH_MAX];
  for (uint32_t i = 1; i < 20; i++) {
    snprintf(path, sizeof path, "%s/audit-%06u.log", log_folder(), i);
    unlink(path);
  }
  rmdir(log_folder());
}

Test(audit, fails_closed_at_every_system_call) {
  make_key();
  lk_status status;
  calls = 0;
  run_until_it_fails(&status);
  cr_assert_eq(status, LK_OK);
  int all = calls;
  cr_assert_gt(all, 20, "%d", all);
  for (int fail = 1; fail <= all; fail++) {
    error_of_it = fail % 2 == 0 ? EIO : ENOSPC;
    remove_log();
    calls = 0;
    call_that_fails = fail;
    uint64_t committed = run_until_it_fails(&status);
    cr_assert_eq(status, LK_EIO, "call %d of %d", fail, all);
    call_that_fails = 0;
    close_log(open_log(&(lk_audit_options){.key_file = key_file()}));
    cr_assert_geq(verified(NULL, public_key_file()).last, committed + 2, "call %d of %d", fail, all);
  }
}

/* A power cut keeps what was synced before it, so the order of these is what makes a commit safe. A file's name is on
 * the disk before its first record is committed, and a file is complete there before the next one has a name. */
Test(audit, what_reaches_the_disk_when) {
  char wanted[256];
  journal[0] = '\0';
  lk_audit *audit = open_log(&(lk_audit_options){.file_bytes = 2000});
  snprintf(wanted, sizeof wanted, "fsync %s\nfsync log\nwrite audit-000001.log\nfdatasync audit-000001.log\n",
           strrchr(files_root, '/') + 1);
  cr_assert_str_eq(journal, wanted);
  journal[0] = '\0';
  for (uint32_t i = 0; i < 3; i++) audit_log_append(audit, i);
  cr_assert_str_eq(journal, "");
  commit(audit);
  commit(audit);
  cr_assert_str_eq(journal, "write audit-000001.log\nfdatasync audit-000001.log\n");
  journal[0] = '\0';
  for (uint32_t i = 0; i < 3; i++) audit_log_append(audit, i);
  commit(audit);
  cr_assert_str_eq(journal, "write audit-000001.log\nfdatasync audit-000001.log\nfsync log\n"
                            "write audit-000002.log\nfdatasync audit-000002.log\n");
  close_log(audit);
}

/* A full disk as the kernel tells of it: a short write, then an error. */
Test(audit, without_room_it_refuses) {
  signal(SIGXFSZ, SIG_IGN);
  lk_audit *audit = open_log(&(lk_audit_options){0});
  uint64_t committed = 1;
  lk_error error = {0};
  cr_assert_eq(setrlimit(RLIMIT_FSIZE, &(struct rlimit){.rlim_cur = 10000, .rlim_max = RLIM_INFINITY}), 0);
  for (;;) {
    uint64_t sequence = audit_log_append(audit, 0);
    if (lk_audit_commit(audit, &error) != LK_OK) break;
    committed = sequence;
  }
  cr_assert_not_null(strstr(error.text, "audit-000001.log: cannot write: File too large"), "%s", error.text);
  cr_assert_eq(setrlimit(RLIMIT_FSIZE, &(struct rlimit){.rlim_cur = RLIM_INFINITY, .rlim_max = RLIM_INFINITY}), 0);
  lk_audit_record record = audit_log_record(0);
  cr_assert_eq(lk_audit_append(audit, &record, NULL, NULL), LK_EIO, "though there is room again");
  cr_assert_eq(lk_audit_close(audit, NULL), LK_EIO);
  audit = open_log(&(lk_audit_options){0});
  cr_assert_gt(lk_audit_cut_bytes(audit), 0);
  close_log(audit);
  cr_assert_eq(verified(NULL, NULL).last, committed + 2);
}

typedef struct crowd {
  lk_audit *audit;
  uint64_t numbers[200];
} crowd;

static void *append_many(void *context) {
  crowd *c = context;
  for (int i = 0; i < 200; i++) {
    lk_audit_record record = {.type = LK_AUDIT_RESULT, .candidates = (uint64_t)i};
    if (lk_audit_append(c->audit, &record, &c->numbers[i], NULL) != LK_OK) return NULL;
    if (i % 20 == 0 && lk_audit_commit(c->audit, NULL) != LK_OK) return NULL;
  }
  return c;
}

Test(audit, threads_take_turns) {
  pthread_t threads[4];
  crowd crowds[4];
  bool seen[1000] = {0};
  lk_audit *audit = open_log(&(lk_audit_options){.file_bytes = 20000});
  for (int t = 0; t < 4; t++) {
    crowds[t].audit = audit;
    pthread_create(&threads[t], NULL, append_many, &crowds[t]);
  }
  for (int t = 0; t < 4; t++) {
    void *done;
    pthread_join(threads[t], &done);
    cr_assert_not_null(done);
    for (int i = 0; i < 200; i++) {
      cr_assert(crowds[t].numbers[i] < 1000 && !seen[crowds[t].numbers[i]], "a number was given twice");
      seen[crowds[t].numbers[i]] = true;
    }
  }
  close_log(audit);
  lk_audit_report report = verified(NULL, NULL);
  cr_assert_eq(report.last, 800 + 2 + report.files - 1);
}

/* A child writes, now and then over a file's end, until it is killed; `told` is memory that outlives it. */
static void write_until_killed(volatile uint64_t *told, uint32_t number) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  write_at_most = number % 20 == 0 ? 5 : SIZE_MAX;
  lk_audit *audit;
  lk_audit_options options = {.key_file = key_file(), .file_bytes = 20000, .head_interval_ms = 1};
  if (lk_audit_open(log_folder(), &options, &audit, NULL) != LK_OK) _exit(1);
  told[1] = 1;
  for (;;) {
    uint64_t sequence = 0;
    for (uint32_t i = 0; i < number % 53 + 1; i++) {
      lk_audit_record record = audit_log_record(number++);
      if (lk_audit_append(audit, &record, &sequence, NULL) != LK_OK) _exit(1);
    }
    if (lk_audit_commit(audit, NULL) != LK_OK) _exit(1);
    told[0] = sequence;
  }
}

enum { KILLS = 300 };

Test(audit, killed_at_any_moment) {
  make_key();
  volatile uint64_t *told = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  random_state random = {5};
  uint32_t torn = 0;
  for (uint32_t kill_ = 0; kill_ < KILLS; kill_++) {
    told[1] = 0;
    pid_t child = fork();
    if (child == 0) write_until_killed(told, kill_ * 10);
    if (!random_one_in(&random, 4)) /* else while it opens */
      for (int i = 0; told[1] == 0 && i < 10000; i++) usleep(100);
    usleep(random_below(&random, 3000));
    kill(child, SIGKILL);
    int status;
    waitpid(child, &status, 0);
    cr_assert(WIFSIGNALED(status), "it could not write: exit %d", WEXITSTATUS(status));
    lk_audit *audit = open_log(&(lk_audit_options){.key_file = key_file()});
    torn += lk_audit_cut_bytes(audit) > 0;
    close_log(audit);
    if (kill_ % 10 < 9) continue;
    cr_assert_geq(verified(NULL, public_key_file()).last, told[0], "a committed record is missing");
  }
  cr_assert_gt(torn, 10, "too few kills came in the middle of a record");
}
