/* The duplicate check under a policy: it tells whom a row is like, so it is a search as well as an enrollment. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <likeness/owner.h>
#include "base/text.h"
#include "governance/evidence.h"
#include "tests/support/files.h"

enum { DIM = 8, ROWS = 6 };

static char folder[PATH_MAX], policy[PATH_MAX], audit[PATH_MAX];
static float *rows;
static lk_device *device;
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
  files_enroll(folder, rows, ROWS - 2, DIM, NULL);
  cr_assert_eq(lk_device_open("cpu", 1, &device, NULL), LK_OK);
}

static void teardown(void) {
  lk_owner_close(owner);
  lk_device_close(device);
  free(rows);
  files_teardown();
}

TestSuite(match_bound, .init = setup, .fini = teardown);

/* Owns the gallery under a policy that permits these operations within these limits. */
static void own(const char *operations, const char *limits) {
  char text[512];
  int length = snprintf(text, sizeof text,
                        "policy: 1\nname: t\nrules:\n- {id: some, effect: permit, text: Some., operations: [%s]%s}\n",
                        operations, limits);
  files_write(policy, text, (size_t)length);
  cr_assert_eq(lk_gallery_bind(folder, &(lk_binding){.policy = policy, .audit = audit}, &error), LK_OK, "%s",
               error.text);
  cr_assert_eq(lk_owner_open(folder, &owner, &error), LK_OK, "%s", error.text);
  cr_assert_eq(lk_owner_load(owner, device, &error), LK_OK, "%s", error.text);
}

static uint32_t records_with(const char *words) { return files_lines_with(audit, "audit-000001.log", words); }

/* Enrolls rows from this one on under keys of their own. */
static lk_status enroll(uint32_t from, uint32_t count, float threshold) {
  lk_vectors given = files_vectors(rows + (size_t)from * DIM, count, DIM);
  lk_enrollment enrollment = {.vectors = &given, .unless_match = true, .match_threshold = threshold};
  return lk_owner_enroll(owner, &enrollment, NULL, &receipt, &error);
}

static uint64_t templates(void) {
  lk_gallery_stat stat;
  lk_gallery_stat_get(lk_owner_gallery(owner), &stat);
  return stat.templates;
}

/* The value of a member in the only record with these words. */
static void read_member(const char *words, const char *member, char *value, size_t size) {
  size_t length;
  char path[PATH_MAX + 32];
  snprintf(path, sizeof path, "%s/audit-000001.log", audit);
  char *log = files_read(path, &length), *line = log, *found = NULL;
  for (char *end; found == NULL && (end = memchr(line, '\n', (size_t)(log + length - line))) != NULL; line = end + 1) {
    *end = '\0';
    if (strstr(line, words) != NULL) found = strstr(line, member);
  }
  cr_assert_not_null(found, "%s of %s", member, words);
  found += strlen(member) + strlen("\":\"");
  snprintf(value, size, "%.*s", (int)strcspn(found, "\""), found);
  free(log);
}

Test(match_bound, needs_both_operations) {
  char told[sizeof error.text];
  own("enroll", "");
  cr_assert_eq(enroll(ROWS - 1, 1, 0.99F), LK_EPOLICY, "it would not match");
  strcpy(told, error.text);
  cr_assert_eq(enroll(0, 1, 0.99F), LK_EPOLICY, "it would match");
  cr_assert_str_eq(error.text, told);
  cr_assert_eq(records_with("\"operation\":\"identify\""), 2);
  cr_assert_eq(templates(), ROWS - 2);
}

Test(match_bound, needs_both_operations_indeed) {
  own("identify", "");
  cr_assert_eq(enroll(ROWS - 1, 1, 0.99F), LK_EPOLICY);
  cr_assert_eq(records_with("\"type\":\"decision\""), 1);
  cr_assert_eq(records_with("\"operation\":\"enroll\""), 1);
}

/* The log has the search as it has any other, and the hash is of what was told: one candidate of the second row. */
Test(match_bound, a_match_is_recorded) {
  own("enroll, identify", "");
  memcpy(rows + (ROWS - 1) * DIM, rows, DIM * sizeof *rows);
  cr_assert_eq(enroll(ROWS - 2, 2, 0.99F), LK_EEXIST);
  cr_assert_not_null(strstr(error.text, "row 1 matches (score 1, threshold 0.99"), "%s", error.text);
  cr_assert_not_null(strstr(error.text, "key '0' of subject '0'"), "%s", error.text);
  cr_assert_eq(templates(), ROWS - 2);
  cr_assert_eq(records_with("\"type\":\"enroll\""), 0);
  cr_assert_eq(records_with("\"type\":\"result\""), 1);
  cr_assert_eq(records_with("\"candidates\":1,"), 1);
  cr_assert_eq(records_with("\"probes\":2,"), 2, "of the decision and of the result");
  cr_assert_eq(records_with("\"searched\":4,"), 1);
  cr_assert_eq(records_with("\"total\":4,"), 1);
  char id[64], told[128], wanted[LK_EVIDENCE_HEX];
  read_member("\"type\":\"result\"", "\"id", id, sizeof id);
  read_member("\"type\":\"result\"", "\"reply_hash", told, sizeof told);
  lk_answer_hash hash;
  lk_answer_hash_start(&hash, id);
  lk_answer_hash_list(&hash, 0);
  lk_answer_hash_list(&hash, 1);
  lk_answer_hash_candidate(&hash, 0, 1.0F);
  lk_answer_hash_end(&hash, wanted);
  cr_assert_str_eq(told, wanted);
}

Test(match_bound, that_nothing_matches_is_recorded) {
  own("enroll, identify", "");
  cr_assert_eq(enroll(ROWS - 2, 2, 0.99F), LK_OK, "%s", error.text);
  cr_assert_eq(templates(), ROWS);
  cr_assert_eq(records_with("\"type\":\"result\""), 1);
  cr_assert_eq(records_with("\"candidates\":0,"), 1);
  cr_assert_eq(records_with("\"released\":true,"), 1);
  cr_assert_eq(records_with("\"templates\":2,"), 1);
  cr_assert_eq(records_with("\"type\":\"decision\""), 2);
}

/* Why the check was not made is recorded as of any search that gave nothing. */
Test(match_bound, an_enrollment_that_fails_otherwise_is_recorded) {
  own("enroll, identify", "");
  lk_vectors one = files_vectors(rows, 1, DIM);
  lk_label label = {.key = lk_text_of("2")};
  lk_enrollment enrollment = {.vectors = &one, .labels = &label, .unless_match = true, .match_threshold = 0.99F};
  cr_assert_eq(lk_owner_enroll(owner, &enrollment, NULL, NULL, &error), LK_EEXIST);
  cr_assert_not_null(strstr(error.text, "is in the gallery already"), "%s", error.text);
  cr_assert_eq(records_with("\"released\":false,"), 1);
  cr_assert_eq(records_with("\"reason\":\"EEXIST\","), 1);
}

/* A limit above the threshold would hide matches. */
Test(match_bound, a_stricter_limit_refuses) {
  own("enroll, identify", ", min_score: 0.5");
  cr_assert_eq(enroll(ROWS - 1, 1, 0.499F), LK_EPOLICY);
  cr_assert_not_null(strstr(error.text, "the policy releases no score below 0.5,"), "%s", error.text);
  cr_assert_eq(records_with("\"released\":false,"), 1);
  cr_assert_eq(records_with("\"reason\":\"EPOLICY\","), 1);
  cr_assert_eq(templates(), ROWS - 2);
  cr_assert_eq(enroll(0, 1, 0.5F), LK_EEXIST, "%s", error.text);
}

Test(match_bound, a_score_that_is_not_released) {
  own("enroll, identify", ", min_score: 0.5, decision_only: true");
  cr_assert_eq(enroll(0, 1, 0.5F), LK_EEXIST, "%s", error.text);
  cr_assert_not_null(strstr(error.text, "row 0 matches (threshold 0.5) key '0'"), "%s", error.text);
  cr_assert_eq(enroll(0, 1, 0.6F), LK_EPOLICY, "else a bisection would find the score");
}

Test(match_bound, a_score_that_is_rounded) {
  own("enroll, identify", ", score_decimals: 1");
  rows[(ROWS - 1) * DIM] = 2;
  memcpy(rows + (ROWS - 1) * DIM, rows, DIM * sizeof *rows);
  rows[(ROWS - 1) * DIM] += 0.5F;
  cr_assert_eq(enroll(ROWS - 1, 1, 0.5F), LK_EEXIST, "%s", error.text);
  cr_assert_not_null(strstr(error.text, "(score 0.899999976, threshold 0.5) key '0'"), "%s", error.text);
  cr_assert_eq(enroll(ROWS - 1, 1, 0.55F), LK_EPOLICY, "it is raised to 0.6");
}

/* Who may not ask for one subject often learns nothing of it by enrolling. */
Test(match_bound, a_subject_that_is_found_too_often) {
  own("enroll, identify", ", subject_probes_per_hour: 1");
  cr_assert_eq(enroll(0, 1, 0.9F), LK_EEXIST, "%s", error.text);
  cr_assert_eq(enroll(0, 1, 0.9F), LK_EPOLICY);
  cr_assert_null(strstr(error.text, "'0'"), "%s", error.text);
  cr_assert_eq(records_with("\"released\":false,"), 1);
  cr_assert_eq(templates(), ROWS - 2);
}

Test(match_bound, what_cannot_be_checked_is_refused_in_the_log) {
  own("enroll, identify", "");
  cr_assert_eq(enroll(0, 1, NAN), LK_EINVAL);
  cr_assert_eq(records_with("\"reason\":\"EINVAL\""), 1);
}
