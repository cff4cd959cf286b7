/* The writer: what it lets in, how it goes on, its heads and keys. */
#include <criterion/criterion.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <likeness/audit.h>
#include <likeness/signing_key.h>
#include "base/text.h"
#include "governance/audit/verify.h"
#include "tests/support/audit_log.h"
#include "tests/support/files.h"

TestSuite(audit, .init = files_setup, .fini = files_teardown);

Test(audit, numbers_go_on_through_openings) {
  lk_audit *audit = audit_log_open(&(lk_audit_options){0});
  cr_assert_eq(audit_log_append(audit, 0), 2);
  cr_assert_eq(audit_log_append(audit, 1), 3);
  audit_log_close(audit);
  lk_audit_report first = audit_log_verified(NULL, NULL);
  cr_assert(first.first == 1 && first.last == 4 && first.closed && first.files == 1 && first.heads == 0);
  audit = audit_log_open(&(lk_audit_options){0});
  cr_assert_eq(audit_log_append(audit, 2), 6);
  audit_log_commit(audit);
  lk_audit_report second = audit_log_verified(NULL, NULL);
  cr_assert(second.last == 6 && !second.closed && second.cuts == 0);
  cr_assert_str_eq(second.log, first.log);
  audit_log_close(audit);
}

Test(audit, what_is_not_committed_is_not_there) {
  lk_audit *audit = audit_log_open(&(lk_audit_options){0});
  audit_log_append(audit, 0);
  cr_assert_eq(audit_log_verified(NULL, NULL).last, 1);
  audit_log_commit(audit);
  cr_assert_eq(audit_log_verified(NULL, NULL).last, 2);
  audit_log_close(audit);
}

/* More than the memory for it holds. */
Test(audit, groups_of_any_size) {
  lk_audit *audit = audit_log_open(&(lk_audit_options){0});
  for (uint32_t i = 0; i < 5000; i++) audit_log_append(audit, i);
  audit_log_commit(audit);
  cr_assert_eq(audit_log_verified(NULL, NULL).last, 5001);
  audit_log_close(audit);
}

static void expect_refused(lk_audit *audit, const lk_audit_record *record, const char *words) {
  lk_error error = {0};
  uint64_t sequence = 77;
  cr_assert_eq(lk_audit_append(audit, record, &sequence, &error), LK_EINVAL, "%s", words);
  cr_assert_not_null(strstr(error.text, words), "'%s' is not in: %s", words, error.text);
  cr_assert_eq(sequence, 77);
}

Test(audit, only_what_belongs_gets_in) {
  lk_audit *audit = audit_log_open(&(lk_audit_options){0});
  char longest[LK_TEXT_MAX + 1];
  memset(longest, '"', sizeof longest);
  lk_audit_record r = {.type = LK_AUDIT_RESULT, .actor = lk_text_of("x")};
  expect_refused(audit, &r, "audit record result: actor is not allowed");
  r = (lk_audit_record){.type = LK_AUDIT_ENROLL, .permitted = true};
  expect_refused(audit, &r, "permitted is not allowed");
  r = (lk_audit_record){.type = LK_AUDIT_DECISION, .case_id = lk_text_of("a\nb")};
  expect_refused(audit, &r, "case has a control character");
  r = (lk_audit_record){.type = LK_AUDIT_DECISION, .case_id = {longest, sizeof longest}};
  expect_refused(audit, &r, "case is longer than 255 bytes");
  r = (lk_audit_record){.type = LK_AUDIT_DECISION, .threshold = NAN};
  expect_refused(audit, &r, "threshold is not a number");
  r = (lk_audit_record){.type = LK_AUDIT_DECISION, .cap = UINT64_MAX};
  expect_refused(audit, &r, "cap is too large");
  r = (lk_audit_record){.type = LK_AUDIT_DECISION, .rules = {[1] = lk_text_of("\xff")}, .rules_count = 2};
  expect_refused(audit, &r, "rules is not UTF-8");
  r.rules_count = LK_AUDIT_RULES_MAX + 1;
  expect_refused(audit, &r, "rules are too many");
  r = (lk_audit_record){.type = LK_AUDIT_CLOSED};
  expect_refused(audit, &r, "only the log itself writes this type");
  r.type = (lk_audit_type)99;
  expect_refused(audit, &r, "only the log itself");
  audit_log_close(audit);
  cr_assert_eq(audit_log_verified(NULL, NULL).last, 2, "and the log goes on");
}

/* Every member as long as it may be, every byte one that is written as two. */
Test(audit, the_longest_record_fits) {
  lk_audit *audit = audit_log_open(&(lk_audit_options){0});
  char longest[LK_TEXT_MAX];
  memset(longest, '"', sizeof longest);
  lk_text t = {longest, sizeof longest};
  lk_audit_record r = {.type = LK_AUDIT_DECISION, .id = t, .operation = t, .purpose = t, .actor = t, .jurisdiction = t};
  r.case_id = r.authorisation = r.gallery = r.model = r.policy = r.signed_hash = r.entry = t;
  r.rules_count = LK_AUDIT_RULES_MAX;
  for (int i = 0; i < LK_AUDIT_RULES_MAX; i++) r.rules[i] = t;
  r.time_ms = r.cap = r.epoch = r.searched = r.total = r.probes = INT64_MAX;
  r.threshold = -1.17549435e-38f;
  for (int i = 0; i < 100; i++) cr_assert_eq(lk_audit_append(audit, &r, NULL, NULL), LK_OK);
  audit_log_close(audit);
  cr_assert_eq(audit_log_verified(NULL, NULL).last, 102);
}

Test(audit, one_writer_at_a_time) {
  lk_audit *audit = audit_log_open(&(lk_audit_options){0});
  audit_log_expect_closed(audit_log_folder(), &(lk_audit_options){0}, LK_EBUSY,
                          "log/LOCK: another process writes this audit log");
  audit_log_close(audit);
  audit_log_close(audit_log_open(&(lk_audit_options){0}));
}

Test(audit, heads_by_hand_and_by_the_clock) {
  audit_log_make_key();
  char head[LK_AUDIT_HEAD_MAX], latest[LK_AUDIT_HEAD_MAX];
  lk_audit *audit = audit_log_open(&(lk_audit_options){.key_file = audit_log_key(), .head_interval_ms = 20});
  cr_assert_eq(lk_audit_latest_head(audit, latest), 0);
  audit_log_append(audit, 0);
  cr_assert_eq(lk_audit_head(audit, head, NULL), LK_OK);
  cr_assert_eq(lk_audit_latest_head(audit, latest), 2);
  cr_assert_str_eq(head, latest);
  usleep(30000);
  audit_log_commit(audit);
  cr_assert_eq(lk_audit_latest_head(audit, latest), 2, "nothing is new");
  audit_log_append(audit, 1);
  audit_log_commit(audit);
  cr_assert_eq(lk_audit_latest_head(audit, latest), 4, "the head itself is record 3, the clock's is 5");
  audit_log_close(audit);
  lk_audit_report report = audit_log_verified(head, audit_log_public_key());
  cr_assert(report.last == 7 && report.heads == 3 && report.signed_to == 6 && report.closed);
  audit_log_verified(latest, audit_log_public_key());
}

/* The longest interval must not wrap to one that is over. */
Test(audit, no_head_within_the_longest_interval) {
  audit_log_make_key();
  char head[LK_AUDIT_HEAD_MAX];
  for (uint64_t less = 0; less < 2; less++) {
    lk_audit_options options = {.key_file = audit_log_key(), .head_interval_ms = UINT64_MAX - less};
    lk_audit *audit = audit_log_open(&options);
    audit_log_append(audit, 0);
    audit_log_commit(audit);
    cr_assert_eq(lk_audit_latest_head(audit, head), 0);
    cr_assert_eq(lk_audit_head(audit, head, NULL), LK_OK);
    uint64_t latest = lk_audit_latest_head(audit, head);
    audit_log_append(audit, 1);
    audit_log_commit(audit);
    cr_assert_eq(lk_audit_latest_head(audit, head), latest);
    audit_log_close(audit);
  }
}

/* Flips the digit after `member`. */
static void alter(char *head, const char *member) {
  char *at = strstr(head, member) + strlen(member);
  *at = *at == '1' ? '2' : '1';
}

Test(audit, heads_that_are_not_the_logs) {
  audit_log_make_key();
  lk_audit *audit = audit_log_open(&(lk_audit_options){.key_file = audit_log_key()});
  char head[LK_AUDIT_HEAD_MAX], altered[LK_AUDIT_HEAD_MAX], unsigned_head[LK_AUDIT_HEAD_MAX];
  audit_log_append(audit, 0);
  cr_assert_eq(lk_audit_head(audit, head, NULL), LK_OK);
  audit_log_close(audit);
  static const char *const members[] = {"\"hash\":\"",   "\"key\":\"",       "\"log\":\"",
                                        "\"sequence\":", "\"signature\":\"", "\"time\":"};
  for (int i = 0; i < 6; i++) {
    strcpy(altered, head);
    alter(altered, members[i]);
    audit_log_expect_broken(audit_log_folder(), altered, NULL, LK_ECORRUPT, "the head's signature does not match");
  }
  audit_log_expect_broken(audit_log_folder(), "{}", NULL, LK_EFORMAT, "the head is not one line of JSON");
  cr_assert_eq(lk_audit_head_of(audit_log_folder(), NULL, unsigned_head, NULL), LK_OK);
  audit_log_verified(unsigned_head, NULL);
  audit_log_expect_broken(audit_log_folder(), unsigned_head, audit_log_public_key(), LK_ECORRUPT,
                          "the head is signed by nobody");
  strcpy(altered, unsigned_head);
  alter(altered, "\"hash\":\"");
  audit_log_expect_broken(audit_log_folder(), altered, NULL, LK_ECORRUPT, "is not the one that the head covers");
  strcpy(altered, unsigned_head);
  alter(altered, "\"log\":\"");
  audit_log_expect_broken(audit_log_folder(), altered, NULL, LK_ECORRUPT, "the head belongs to log");
  cr_assert_eq(lk_signing_key_make(files_path("other"), NULL), LK_OK);
  audit_log_expect_broken(audit_log_folder(), NULL, files_path("other.pub"), LK_ECORRUPT, "not by the given key");
  audit_log_expect_broken(audit_log_folder(), head, files_path("other.pub"), LK_ECORRUPT, "not by the given key");
}

Test(audit, a_log_keeps_its_key) {
  audit_log_make_key();
  audit_log_close(audit_log_open(&(lk_audit_options){.key_file = audit_log_key()}));
  audit_log_expect_closed(audit_log_folder(), &(lk_audit_options){0}, LK_EINVAL, "the given key is none");
  cr_assert_eq(lk_signing_key_make(files_path("other"), NULL), LK_OK);
  audit_log_expect_closed(audit_log_folder(), &(lk_audit_options){.key_file = files_path("other")}, LK_EINVAL,
                          "the log's key is");
  audit_log_close(audit_log_open(&(lk_audit_options){.key_file = audit_log_key()}));
}

Test(audit, key_files) {
  audit_log_make_key();
  struct stat stat_;
  cr_assert_eq(stat(audit_log_key(), &stat_), 0);
  cr_assert_eq(stat_.st_mode & 0777, 0600);
  cr_assert_eq(lk_signing_key_make(audit_log_key(), NULL), LK_EEXIST);
  cr_assert_eq(unlink(audit_log_key()), 0);
  cr_assert_eq(lk_signing_key_make(audit_log_key(), NULL), LK_EEXIST, "the public half is still there");
  cr_assert_neq(access(audit_log_key(), F_OK), 0);
  audit_log_expect_closed(audit_log_folder(), &(lk_audit_options){.key_file = audit_log_key()}, LK_EIO,
                          "key: cannot open");
  cr_assert_eq(chmod(audit_log_public_key(), 0600), 0);
  audit_log_expect_closed(audit_log_folder(), &(lk_audit_options){.key_file = audit_log_public_key()}, LK_EFORMAT,
                          "not a key file");
  cr_assert_eq(lk_signing_key_make(files_path("open"), NULL), LK_OK);
  cr_assert_eq(chmod(files_path("open"), 0640), 0);
  audit_log_expect_closed(audit_log_folder(), &(lk_audit_options){.key_file = files_path("open")}, LK_EINVAL,
                          "other users have access");
  cr_assert_neq(access(audit_log_folder(), F_OK), 0, "nothing was made");
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
  lk_audit *audit = audit_log_open(&(lk_audit_options){.file_bytes = 4000});
  for (uint32_t i = 0; i < 100; i++) {
    audit_log_append(audit, i);
    audit_log_commit(audit);
  }
  audit_log_close(audit);
  cr_assert_eq(lk_audit_read(audit_log_folder(), NULL, NULL, collect, &at, &report, NULL), LK_OK);
  cr_assert(report.files > 8 && report.last == 102 + report.files - 1);
  cr_assert_eq(strlen(words), 77 * (report.files - 1));
  cr_assert_eq(files_count(audit_log_folder()), report.files);
  lk_audit_report third;
  cr_assert_eq(lk_audit_verify(files_path("log/audit-000003.log"), NULL, NULL, &third, NULL), LK_OK);
  cr_assert(third.first > 1 && third.files == 1 && strcmp(third.log, report.log) == 0);
  audit = audit_log_open(&(lk_audit_options){.file_bytes = 4000});
  audit_log_close(audit);
  cr_assert_eq(audit_log_verified(NULL, NULL).last, report.last + 2 + (files_count(audit_log_folder()) - report.files));
}

static void move(const char *from, const char *to) { cr_assert_eq(rename(files_path(from), files_path(to)), 0); }

Test(audit, a_missing_file_is_found) {
  char head[LK_AUDIT_HEAD_MAX];
  lk_audit *audit = audit_log_open(&(lk_audit_options){.file_bytes = 4000});
  for (uint32_t i = 0; i < 40; i++) {
    audit_log_append(audit, i);
    audit_log_commit(audit);
  }
  cr_assert_eq(lk_audit_head(audit, head, NULL), LK_OK);
  audit_log_close(audit);
  char last[64];
  snprintf(last, sizeof last, "log/audit-%06u.log", files_count(audit_log_folder()));
  move("log/audit-000002.log", "second");
  audit_log_expect_broken(audit_log_folder(), NULL, NULL, LK_ECORRUPT, "audit-000002.log: the file is missing");
  move("log/audit-000003.log", "log/audit-000002.log");
  audit_log_expect_broken(audit_log_folder(), NULL, NULL, LK_ECORRUPT,
                          "audit-000002.log: line 1 (offset 0): the hash differs");
  move("log/audit-000002.log", "log/audit-000003.log");
  files_copy(files_path("log/audit-000003.log"), files_path("log/audit-000002.log"));
  audit_log_expect_broken(audit_log_folder(), NULL, NULL, LK_ECORRUPT,
                          "audit-000002.log: line 1 (offset 0): the hash differs");
  move("second", "log/audit-000002.log");
  move("log/audit-000001.log", "first");
  audit_log_expect_broken(audit_log_folder(), NULL, NULL, LK_ECORRUPT, "audit-000001.log: the file is missing");
  move("first", "log/audit-000001.log");
  audit_log_verified(head, NULL);
  move(last, "last");
  audit_log_expect_broken(audit_log_folder(), head, NULL, LK_ECORRUPT, "the log was cut");
  audit_log_verified(NULL, NULL);
  audit_log_expect_broken(files_path("last"), "{}", NULL, LK_EFORMAT, "head");
  audit_log_expect_broken(files_path("missing"), NULL, NULL, LK_ENOTFOUND, "No such file");
  cr_assert_eq(mkdir(files_path("empty"), 0777), 0);
  audit_log_expect_broken(files_path("empty"), NULL, NULL, LK_ENOTFOUND, "no audit log in this folder");
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
  lk_audit *audit = audit_log_open(&(lk_audit_options){.file_bytes = 20000});
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
  audit_log_close(audit);
  lk_audit_report report = audit_log_verified(NULL, NULL);
  cr_assert_eq(report.last, 800 + 2 + report.files - 1);
}
