#include "tests/support/audit_log.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include <likeness/signing_key.h>
#include "base/text.h"
#include "tests/support/files.h"

static lk_audit_record decision(uint32_t number, const char *id) {
  return (lk_audit_record){.type = LK_AUDIT_DECISION,
                           .id = lk_text_of(id),
                           .operation = lk_text_of("identify"),
                           .purpose = lk_text_of("missing \"person\""),
                           .actor = lk_text_of("Z\xc3\xbcrich\\desk-1"),
                           .authenticated = number % 2 == 0,
                           .permitted = number % 8 != 0,
                           .jurisdiction = lk_text_of("CH-ZH"),
                           .case_id = lk_text_of("2026/17"),
                           .authorisation = lk_text_of("W-4"),
                           .gallery = lk_text_of("faces"),
                           .model = lk_text_of("m1"),
                           .policy = lk_text_of("5f1c"),
                           .signed_hash = lk_text_of(number % 4 == 0 ? "9f86d081884c7d65" : ""),
                           .rules = {lk_text_of("missing"), lk_text_of("cap")},
                           .rules_count = number % 3,
                           .threshold = number % 5 == 0 ? -INFINITY : 1.0f / (float)(number + 1),
                           .cap = 10,
                           .epoch = 7,
                           .probes = number % 64,
                           .searched = 0,
                           .total = 1000000};
}

static lk_audit_record result(uint32_t number, const char *id) {
  return (lk_audit_record){.type = LK_AUDIT_RESULT,
                           .id = lk_text_of(id),
                           .gallery = lk_text_of("faces"),
                           .released = number % 4 == 1,
                           .probes = 3,
                           .candidates = number,
                           .searched = 999999,
                           .total = 1000000,
                           .epoch = 7};
}

lk_audit_record audit_log_record(uint32_t number) {
  static char id[32];
  snprintf(id, sizeof id, "d-%u", number / 2);
  if (number % 50 == 10)
    return (lk_audit_record){
        .type = LK_AUDIT_POLICY_LOADED, .file = lk_text_of("policy.yaml"), .policy = lk_text_of("5f1c")};
  if (number % 50 == 11)
    return (lk_audit_record){.type = LK_AUDIT_POLICY_REFUSED, .file = lk_text_of("policy.yaml"), .line = 12};
  if (number % 50 == 13)
    return (lk_audit_record){.type = (lk_audit_type)(LK_AUDIT_ENROLL + number / 50 % 5),
                             .id = lk_text_of(id),
                             .gallery = lk_text_of("faces"),
                             .model = lk_text_of("m1"),
                             .epoch = number,
                             .templates = 5};
  return number % 2 == 0 ? decision(number, id) : result(number, id);
}

uint64_t audit_log_append(lk_audit *audit, uint32_t number) {
  lk_audit_record record = audit_log_record(number);
  lk_error error = {0};
  uint64_t sequence = 0;
  cr_assert_eq(lk_audit_append(audit, &record, &sequence, &error), LK_OK, "%s", error.text);
  return sequence;
}

const char *audit_log_folder(void) { return files_path("log"); }
const char *audit_log_key(void) { return files_path("key"); }
const char *audit_log_public_key(void) { return files_path("key.pub"); }

void audit_log_make_key(void) { cr_assert_eq(lk_signing_key_make(audit_log_key(), NULL), LK_OK); }

lk_audit *audit_log_open(const lk_audit_options *options) {
  lk_audit *audit = NULL;
  lk_error error = {0};
  cr_assert_eq(lk_audit_open(audit_log_folder(), options, &audit, &error), LK_OK, "%s", error.text);
  return audit;
}

void audit_log_commit(lk_audit *audit) {
  lk_error error = {0};
  cr_assert_eq(lk_audit_commit(audit, &error), LK_OK, "%s", error.text);
}

void audit_log_close(lk_audit *audit) {
  lk_error error = {0};
  cr_assert_eq(lk_audit_close(audit, &error), LK_OK, "%s", error.text);
}

lk_audit_report audit_log_verified(const char *head, const char *key) {
  lk_audit_report report = {0};
  lk_error error = {0};
  cr_assert_eq(lk_audit_verify(audit_log_folder(), head, key, &report, &error), LK_OK, "%s", error.text);
  return report;
}

void audit_log_expect_broken(const char *path, const char *head, const char *key, lk_status status, const char *words) {
  lk_audit_report report;
  lk_error error = {0};
  cr_assert_eq(lk_audit_verify(path, head, key, &report, &error), status, "%s", error.text);
  cr_assert_not_null(strstr(error.text, words), "'%s' is not in: %s", words, error.text);
}

void audit_log_expect_closed(const char *folder, const lk_audit_options *options, lk_status status, const char *words) {
  lk_audit *audit;
  lk_error error = {0};
  cr_assert_eq(lk_audit_open(folder, options, &audit, &error), status, "%s", error.text);
  cr_assert_not_null(strstr(error.text, words), "'%s' is not in: %s", words, error.text);
}
