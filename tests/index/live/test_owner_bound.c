/* An owner under a policy: each kind of change is an operation of its own, and the log has what was asked and done. */
#include <likeness/owner.h>

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "tests/support/files.h"

enum { DIM = 8, ROWS = 10 };

static char folder[PATH_MAX], policy[PATH_MAX], audit[PATH_MAX];
static float *rows;
static lk_owner *owner;
static lk_receipt receipt;
static lk_error error;

static void setup(void) {
  files_setup();
  random_state random = {3};
  rows = files_random(&random, ROWS, DIM);
  strcpy(folder, files_gallery("faces", LK_COSINE, DIM));
  strcpy(policy, files_path("policy.yaml"));
  strcpy(audit, files_path("audit"));
  files_enroll(folder, rows, ROWS, DIM, NULL);
}

static void teardown(void) {
  lk_owner_close(owner);
  free(rows);
  files_teardown();
}

TestSuite(owner_bound, .init = setup, .fini = teardown);

/* Owns the gallery under a policy that permits these operations. */
static void own(const char *operations) {
  char text[512];
  int length =
      snprintf(text, sizeof text,
               "policy: 1\nname: t\nrules:\n- {id: some, effect: permit, text: Some., operations: [%s]}\n", operations);
  files_write(policy, text, (size_t)length);
  cr_assert_eq(lk_gallery_bind(folder, &(lk_binding){.policy = policy, .audit = audit}, &error), LK_OK, "%s",
               error.text);
  cr_assert_eq(lk_owner_open(folder, &owner, &error), LK_OK, "%s", error.text);
}

static uint32_t records_with(const char *words) { return files_lines_with(audit, "audit-000001.log", words); }

/* Records of a completed operation of this type and so many templates. */
static uint32_t records_of(const char *type, uint32_t templates) {
  char words[96];
  snprintf(words, sizeof words, "\"type\":\"%s\"}", type);
  uint32_t all = records_with(words);
  if (all == 0) return 0;
  snprintf(words, sizeof words, "\"templates\":%u,", templates);
  cr_assert_geq(records_with(words), 1, "a record of %s with %u templates", type, templates);
  return all;
}

static uint64_t templates(void) {
  lk_gallery_stat stat;
  lk_gallery_stat_get(lk_owner_gallery(owner), &stat);
  return stat.templates;
}

static lk_status change(lk_change made) { return lk_owner_change(owner, &made, 1, NULL, &receipt, &error); }
static lk_status delete_key(const char *key) {
  return change((lk_change){.kind = LK_CHANGE_DELETE_KEY, .key = lk_text_of(key)});
}
static lk_status delete_subject(const char *subject) {
  return change((lk_change){.kind = LK_CHANGE_DELETE_SUBJECT, .subject = lk_text_of(subject)});
}
static lk_status tag(const char *key) {
  return change((lk_change){.kind = LK_CHANGE_TAG, .key = lk_text_of(key), .tags = 1, .mask = 1});
}
static lk_status expire(const char *key) {
  return change((lk_change){.kind = LK_CHANGE_EXPIRE, .key = lk_text_of(key), .expires_ms = LK_NEVER});
}
static lk_status erase(void) { return lk_owner_compact(owner, NULL, NULL, &error); }

static lk_status enroll(const char *key, bool replace) {
  lk_vectors one = files_vectors(rows, 1, DIM);
  lk_label label = {.key = lk_text_of(key)};
  lk_enrollment enrollment = {.vectors = &one, .labels = &label, .replace = replace};
  return lk_owner_enroll(owner, &enrollment, NULL, &receipt, &error);
}

/* Of the operations, in this order, those that are permitted: one letter each, - for one that is refused. */
static const char *permitted(void) {
  static char found[8];
  found[0] = tag("1") == LK_OK ? 't' : '-';
  found[1] = expire("1") == LK_OK ? 'x' : '-';
  found[2] = delete_key("2") == LK_OK ? 'd' : '-';
  found[3] = delete_subject("3") == LK_OK ? 's' : '-';
  found[4] = erase() == LK_OK ? 'e' : '-';
  found[5] = enroll("new", false) == LK_OK ? 'n' : '-';
  found[6] = enroll("new", true) == LK_OK ? 'r' : '-';
  return found;
}

Test(owner_bound, tag) {
  own("tag");
  cr_assert_str_eq(permitted(), "t------");
  cr_assert_eq(templates(), ROWS);
  cr_assert_eq(records_of("tag", 1), 1);
  cr_assert_eq(records_with("\"permitted\":true"), 1);
  cr_assert_eq(records_with("\"permitted\":false"), 6);
}

Test(owner_bound, expire) {
  own("expire");
  cr_assert_str_eq(permitted(), "-x-----");
  cr_assert_eq(records_of("expire", 1), 1);
}

Test(owner_bound, delete) {
  own("delete");
  cr_assert_str_eq(permitted(), "--ds---");
  cr_assert_eq(templates(), ROWS - 2);
  cr_assert_eq(records_of("delete", 1), 2);
}

Test(owner_bound, erase) {
  own("erase");
  cr_assert_str_eq(permitted(), "----e--");
  cr_assert_eq(records_of("erase", 0), 1);
}

Test(owner_bound, an_enrollment_that_may_replace_may_delete) {
  own("enroll");
  cr_assert_str_eq(permitted(), "-----n-");
  cr_assert_eq(enroll("newer", true), LK_EPOLICY, "whether there is one or not");
  cr_assert_eq(records_of("enroll", 1), 1);
  cr_assert_eq(records_of("delete", 1), 0);
  cr_assert_eq(templates(), ROWS + 1);
}

Test(owner_bound, what_is_replaced_is_recorded_as_deleted) {
  own("enroll, delete");
  cr_assert_eq(enroll("1", true), LK_OK, "%s", error.text);
  cr_assert(receipt.templates == 1 && receipt.replaced == 1 && receipt.unchanged == 0);
  cr_assert_eq(templates(), ROWS);
  cr_assert_eq(records_of("enroll", 1), 1);
  cr_assert_eq(records_of("delete", 1), 1);
  cr_assert_eq(records_with("\"templates\":1,"), 2);
  cr_assert_eq(records_with("\"type\":\"decision\""), 2);
  cr_assert_eq(enroll("new", true), LK_OK, "%s", error.text);
  cr_assert_eq(receipt.replaced, 0);
  cr_assert_eq(records_with("\"templates\":0,"), 1);
}

/* The text of a refusal does not depend on the gallery, nor on what is wrong with the request. */
Test(owner_bound, a_refusal_tells_nothing) {
  own("verify");
  char first[sizeof error.text];
  cr_assert_eq(delete_key("1"), LK_EPOLICY);
  strcpy(first, error.text);
  cr_assert_eq(delete_key("nobody"), LK_EPOLICY);
  cr_assert_str_eq(error.text, first);
  cr_assert_eq(delete_subject("1"), LK_EPOLICY);
  cr_assert_str_eq(error.text, first);
  cr_assert_eq(change((lk_change){.kind = LK_CHANGE_TAG, .key = lk_text_of("1")}), LK_EPOLICY, "its mask is 0");
  cr_assert_str_eq(error.text, first);
  cr_assert_eq(erase(), LK_EPOLICY);
  cr_assert_str_eq(error.text, first);
  cr_assert_eq(records_with("\"permitted\":false"), 5);
  lk_vectors narrow = files_vectors(rows, 1, DIM - 1);
  lk_enrollment enrollment = {.vectors = &narrow};
  cr_assert_eq(lk_owner_enroll(owner, &enrollment, NULL, NULL, &error), LK_EPOLICY, "the dimension is another");
  cr_assert_str_eq(error.text, first);
}

/* What the policy permits and nobody can do is refused in the log; what changes nothing is done. */
Test(owner_bound, faults_and_what_is_not_there) {
  own("tag, delete");
  cr_assert_eq(change((lk_change){.kind = LK_CHANGE_TAG, .key = lk_text_of("1")}), LK_EINVAL);
  cr_assert_not_null(strstr(error.text, "its mask"), "%s", error.text);
  cr_assert_eq(records_with("\"permitted\":false"), 1);
  cr_assert_eq(records_with("\"reason\":\"EINVAL\""), 1);
  cr_assert_eq(delete_key("nobody"), LK_OK, "%s", error.text);
  cr_assert(receipt.templates == 0 && receipt.unchanged == 1);
  cr_assert_eq(records_of("delete", 0), 1);
  cr_assert_eq(records_with("nobody"), 0);
}

/* What is done without the record of its decision is not done. */
Test(owner_bound, nothing_without_the_log) {
  own("delete");
  cr_assert_eq(delete_key("1"), LK_OK, "%s", error.text);
  files_remove_folder(audit);
  cr_assert_eq(delete_key("2"), LK_EIO);
  cr_assert_eq(templates(), ROWS - 1);
}

/* The bytes that wait are counted, those in segments and those that only the journal has, and once erased no more. */
Test(owner_bound, what_is_erased_is_counted_once) {
  lk_gallery_stat stat;
  uint64_t erased;
  own("enroll, delete, erase");
  cr_assert_eq(enroll("new", false), LK_OK, "%s", error.text);
  cr_assert_eq(enroll("newer", false), LK_OK, "%s", error.text);
  cr_assert(delete_key("new") == LK_OK && delete_key("4") == LK_OK && delete_key("5") == LK_OK);
  lk_gallery_stat_get(lk_owner_gallery(owner), &stat);
  cr_assert(stat.deleted_in_segments == 2 && stat.deleted_in_journals == 1);
  cr_assert_eq(lk_owner_compact(owner, NULL, &erased, &error), LK_OK, "%s", error.text);
  cr_assert_eq(erased, 3);
  cr_assert_eq(records_of("erase", 3), 1);
  lk_gallery_stat_get(lk_owner_gallery(owner), &stat);
  cr_assert(stat.deleted_in_segments == 0 && stat.deleted_in_journals == 0 && stat.templates == ROWS - 1);
  cr_assert_eq(lk_owner_compact(owner, NULL, &erased, &error), LK_OK, "%s", error.text);
  cr_assert_eq(erased, 0);
}
