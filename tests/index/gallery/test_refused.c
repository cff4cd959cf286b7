/* What the C API tells under a policy: of a permitted search the truth, of a refused or withheld one nothing. */
#include <criterion/criterion.h>
#include <jansson.h>
#include <math.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "base/text.h"
#include "index/gallery/result.h"
#include "tests/support/files.h"

enum { DIM = 8, ROWS = 240, PROBES = 5, PER_SUBJECT = 3, TAGS = 4 };

static char folder[PATH_MAX], policy[PATH_MAX], audit[PATH_MAX], calibration[PATH_MAX];
static float *rows;
static lk_device *device;
static lk_gallery *gallery;
static lk_result *result;
static lk_claims demo;
static lk_error error;

#define PERMIT "policy: 1\nname: t\nrules:\n  - id: demo\n    effect: permit\n    text: Demos.\n    purposes: demo\n"

static void write_text(const char *path, const char *text) { files_write(path, text, strlen(text)); }

/* Row i is of subject s<i / 3> and has the tags i % 4. */
static void enroll(void) {
  char names[ROWS][8];
  lk_label labels[ROWS] = {0};
  for (int i = 0; i < ROWS; i++) {
    snprintf(names[i], sizeof names[i], "s%d", i / PER_SUBJECT);
    labels[i].subject = lk_text_of(names[i]);
    labels[i].tags = (uint64_t)i % TAGS;
  }
  files_enroll(folder, rows, ROWS, DIM, labels);
}

static void setup(void) {
  files_setup();
  random_state random = {5};
  rows = files_random(&random, ROWS, DIM);
  strcpy(folder, files_path("faces"));
  strcpy(policy, files_path("policy.yaml"));
  strcpy(audit, files_path("audit"));
  strcpy(calibration, files_path("calibration.json"));
  lk_gallery_options options = {.dim = DIM, .metric = LK_L2, .model = "m1"};
  cr_assert_eq(lk_gallery_create(folder, &options, &error), LK_OK, "%s", error.text);
  enroll();
  demo = (lk_claims){.purpose = lk_text_of("demo"), .case_id = lk_text_of("c-1")};
  write_text(policy, PERMIT);
  write_text(calibration,
             "{\"file\":\"likeness calibration\",\"version\":1,\"model\":\"m1\",\"metric\":\"l2\",\"dim\":8,"
             "\"templates\":100,\"probes\":10,\"comparisons\":1000,"
             "\"levels\":[[100.0,0],[-100.0,10],[-200.0,1000]]}");
  cr_assert_eq(lk_device_open("cpu", 1, &device, &error), LK_OK);
  cr_assert_eq(lk_result_open(&result, &error), LK_OK);
}

static void teardown(void) {
  lk_gallery_close(gallery);
  gallery = NULL;
  lk_result_close(result);
  lk_device_close(device);
  free(rows);
  files_teardown();
}

TestSuite(refused, .init = setup, .fini = teardown);

static void bind_with(const lk_binding *binding) {
  cr_assert_eq(lk_gallery_bind(folder, binding, &error), LK_OK, "%s", error.text);
  gallery = files_open(folder);
  cr_assert_eq(lk_gallery_load(gallery, device, &error), LK_OK, "%s", error.text);
}

static void bind(void) { bind_with(&(lk_binding){.policy = policy, .audit = audit}); }

static lk_query query_of(const lk_vectors *probes, const lk_claims *claims) {
  return (lk_query){.probes = probes, .probes_count = 1, .k = 5, .threshold = -INFINITY, .claims = claims};
}

static lk_status identify(const lk_claims *claims) {
  lk_vectors probes = files_vectors(rows, PROBES, DIM);
  lk_query query = query_of(&probes, claims);
  return lk_gallery_identify(gallery, &query, result, NULL, &error);
}

static lk_status verify(const char *subject, const lk_claims *claims) {
  lk_vectors probes = files_vectors(rows, PROBES, DIM);
  return lk_gallery_verify(gallery, &probes, lk_text_of(subject), claims, result, &error);
}

static json_t *decision(void) {
  lk_text text = lk_result_decision(result);
  json_t *json = json_loadb(text.bytes, text.length, 0, NULL);
  cr_assert_not_null(json, "the decision is missing");
  return json;
}

static bool decision_is(const char *word) {
  json_t *json = decision();
  bool same = strcmp(json_string_value(json_object_get(json, "decision")), word) == 0;
  json_decref(json);
  return same;
}

static uint32_t records_with(const char *words) { return files_lines_with(audit, "audit-000001.log", words); }

/* ---- what was searched ---- */

static void expect_searched(uint64_t searched) {
  json_t *json = decision();
  cr_assert_eq(json_integer_value(json_object_get(json, "searched")), (json_int_t)searched, "%s",
               lk_result_decision(result).bytes);
  cr_assert_eq(json_integer_value(json_object_get(json, "total")), ROWS);
  cr_assert_float_eq(json_real_value(json_object_get(json, "expected_false_candidates")), 0.01 * (double)searched,
                     1e-9);
  json_decref(json);
  char words[64];
  snprintf(words, sizeof words, "\"searched\":%d,", (int)searched);
  cr_assert_gt(records_with(words), 0, "the log says it too: %s", words);
}

/* The templates that a filter hides are not searched, and none of them can be a false candidate. */
Test(refused, what_was_searched_is_what_was_compared) {
  bind_with(&(lk_binding){.policy = policy, .audit = audit, .calibration = calibration});
  lk_vectors probes = files_vectors(rows, PROBES, DIM);
  lk_text subjects[] = {lk_text_of("s3"), lk_text_of("s5"), lk_text_of("nobody")}, key = lk_text_of("17");
  lk_query query = query_of(&probes, &demo);
  query.threshold = -100;
  lk_query tags = query, some = query, keys = query, both = query, fused = query, none = query;
  tags.mask = 3, tags.tags = 1;
  some.subjects = subjects, some.subjects_count = 3;
  keys.keys = &key, keys.keys_count = 1;
  both = some, both.mask = 3, both.tags = 1;
  fused.fusion = LK_FUSE_MEAN, fused.mask = 1;
  none.subjects = subjects + 2, none.subjects_count = 1;
  const struct {
    const lk_query *query;
    uint64_t searched;
  } cases[] = {{&query, ROWS}, {&tags, ROWS / TAGS}, {&some, 2 * PER_SUBJECT},
               {&keys, 1},     {&both, 2},           {&fused, ROWS / 2},
               {&none, 0}};
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    cr_assert_eq(lk_gallery_identify(gallery, cases[i].query, result, NULL, &error), LK_OK, "%s", error.text);
    cr_assert_eq(lk_result_searched(result), cases[i].searched);
    expect_searched(cases[i].searched);
  }
}

Test(refused, a_verification_searches_one_subject) {
  write_text(policy, PERMIT "    min_score: -100\n");
  bind_with(&(lk_binding){.policy = policy, .audit = audit, .calibration = calibration});
  cr_assert_eq(verify("s3", &demo), LK_OK, "%s", error.text);
  expect_searched(PER_SUBJECT);
}

/* ---- the hashes in the log ---- */

/* The member of the log's last record that has it. */
static void logged(const char *member, char value[80]) {
  char path[PATH_MAX + 32], words[40];
  size_t size;
  snprintf(path, sizeof path, "%s/audit-000001.log", audit);
  snprintf(words, sizeof words, "\"%s\":\"", member);
  char *text = files_read(path, &size), *last = NULL;
  text[size] = '\0';
  for (char *at = text; (at = strstr(at, words)) != NULL; at++) last = at + strlen(words);
  cr_assert_not_null(last, "%s is not in the log", member);
  snprintf(value, 80, "%.*s", (int)strcspn(last, "\""), last);
  free(text);
}

static void expect_hash(const char *member, const void *bytes, size_t size) {
  unsigned char hash[32];
  char id[80], value[80], hex[65];
  logged("id", id);
  logged(member, value);
  crypto_generichash(hash, sizeof hash, bytes, size, (const unsigned char *)id, strlen(id));
  cr_assert_str_eq(value, sodium_bin2hex(hex, sizeof hex, hash, sizeof hash), "%s", member);
}

static char *put(char *to, const void *bytes, size_t size) {
  memcpy(to, bytes, size);
  return to + size;
}

static void expect_reply_hash(uint32_t lists) {
  char reply[4096], *end = reply;
  for (uint32_t p = 0; p < lists; p++) {
    uint32_t count = lk_result_count(result, p);
    end = put(end, &count, 4);
    for (uint32_t i = 0; i < count; i++) {
      lk_candidate c = lk_result_candidate(result, p, i);
      end = put(put(end, &c.found.number, 8), &c.score, 4);
    }
  }
  expect_hash("reply_hash", reply, (size_t)(end - reply));
}

/* As docs/audit.md says, so that others can recompute them. */
Test(refused, the_log_has_hashes_of_probes_filter_and_reply) {
  char filter[64], *end = filter, value[80];
  bind();
  lk_vectors probes = files_vectors(rows, PROBES, DIM);
  lk_text subjects[] = {lk_text_of("s3"), lk_text_of("s5")};
  lk_query query = query_of(&probes, &demo);
  query.subjects = subjects, query.subjects_count = 2, query.mask = 1, query.tags = 7;
  cr_assert_eq(lk_gallery_identify(gallery, &query, result, NULL, &error), LK_OK, "%s", error.text);
  logged("narrowing", value);
  cr_assert_str_eq(value, "subjects+tags");
  expect_hash("probes_hash", rows, (size_t)PROBES * DIM * sizeof *rows);
  end = put(put(end, &(uint64_t){1}, 8), &(uint64_t){1}, 8);
  end = put(put(put(end, "\0\1", 2), &(uint32_t){2}, 4), &(uint32_t){2}, 4);
  end = put(put(put(end, "s3", 2), &(uint32_t){2}, 4), "s5", 2);
  expect_hash("filter_hash", filter, (size_t)(end - filter));
  expect_reply_hash(PROBES);
  cr_assert_eq(verify("s3", &demo), LK_OK, "%s", error.text);
  logged("narrowing", value);
  cr_assert_str_eq(value, "subject");
  expect_reply_hash(PROBES);
  cr_assert_eq(identify(&demo), LK_OK);
  logged("narrowing", value);
  cr_assert_str_eq(value, "none");
  cr_assert_eq(records_with("\"filter_hash\""), 2);
  cr_assert_eq(records_with("s3"), 0, "no name is in the log");
}

Test(refused, the_reply_hash_is_of_the_scores_that_are_released) {
  write_text(policy, PERMIT "    min_score: -100\n    decision_only: true\n");
  bind();
  cr_assert_eq(identify(&demo), LK_OK, "%s", error.text);
  cr_assert(isnan(lk_result_candidate(result, 0, 0).score));
  expect_reply_hash(PROBES);
  cr_assert_eq(verify("s3", &demo), LK_OK, "%s", error.text);
  expect_reply_hash(PROBES);
}

/* ---- a refusal says the rule, and nothing of the gallery ---- */

/* Refused, with the same words and the same decision as every refusal by this policy. */
static void expect_refusal(lk_status status, const char *of) {
  static const char *const hidden[] = {"model", "epoch", "searched", "total", "expected_false_candidates"};
  static const char *const shown[] = {"decision", "id", "policy", "rules", "audit"};
  cr_assert_eq(status, LK_EPOLICY, "%s: %s: %s", of, lk_status_name(status), error.text);
  cr_assert_not_null(strstr(error.text, "no rule"), "%s: %s", of, error.text);
  json_t *json = decision();
  for (int i = 0; i < 5; i++) {
    cr_assert_null(json_object_get(json, hidden[i]), "%s: %s", of, lk_result_decision(result).bytes);
    cr_assert_not_null(json_object_get(json, shown[i]), "%s: %s", of, shown[i]);
  }
  json_decref(json);
  cr_assert(decision_is("refuse"));
  for (uint32_t p = 0; p < PROBES; p++) cr_assert_eq(lk_result_count(result, p), 0);
}

Test(refused, a_refusal_tells_nothing_of_the_gallery) {
  bind();
  expect_refusal(identify(NULL), "identify");
  expect_refusal(verify("s3", NULL), "a subject that there is");
  expect_refusal(verify("nobody", NULL), "a subject that there is not");
  lk_vectors wide = files_vectors(rows, PROBES, 2 * DIM), probes = files_vectors(rows, PROBES, DIM);
  lk_query query = query_of(&wide, NULL);
  expect_refusal(lk_gallery_identify(gallery, &query, result, NULL, &error), "another dimension");
  expect_refusal(lk_gallery_verify(gallery, &wide, lk_text_of("s3"), NULL, result, &error), "another dimension");
  query = query_of(&probes, NULL);
  query.model = lk_text_of("m2");
  expect_refusal(lk_gallery_identify(gallery, &query, result, NULL, &error), "another model");
  float vector[DIM];
  cr_assert_eq(lk_gallery_export(gallery, ROWS, 1, NULL, vector, &error), LK_EPOLICY, "beyond the last template");
  lk_gallery_close(gallery);
  gallery = NULL;
  cr_assert_eq(lk_gallery_enroll(folder, &wide, NULL, NULL, NULL, NULL, NULL, &error), LK_EPOLICY);
  cr_assert_eq(records_with("\"permitted\":false"), 8, "each is written down");
  cr_assert_eq(records_with("\"reason\":\"EPOLICY\""), 8);
}

/* Statistics count the rows that were scanned: they would tell how many there are. */
Test(refused, no_statistics_of_what_was_refused) {
  bind();
  lk_vectors probes = files_vectors(rows, PROBES, DIM);
  lk_query query = query_of(&probes, NULL);
  lk_search_stats stats = {.scanned = 7};
  cr_assert_eq(lk_gallery_identify(gallery, &query, result, &stats, &error), LK_EPOLICY);
  cr_assert(stats.scanned == 7 && stats.rescored == 0 && stats.survivors == 0 && stats.rounds == 0);
}

/* ---- what cannot be done is a refusal too ---- */

static void expect_fault(lk_status status, lk_status expected, uint32_t refusals) {
  char words[64];
  cr_assert_eq(status, expected, "%s: %s", lk_status_name(status), error.text);
  snprintf(words, sizeof words, "\"reason\":\"%s\"", lk_status_name(expected));
  cr_assert_eq(records_with(words), 1, "%s", words);
  cr_assert_eq(records_with("\"permitted\":false"), refusals);
}

Test(refused, what_cannot_be_searched_is_written_down) {
  write_text(policy, PERMIT "    probes_per_case: 5\n");
  bind();
  lk_vectors wide = files_vectors(rows, PROBES, 2 * DIM), probes = files_vectors(rows, PROBES, DIM);
  lk_query query = query_of(&wide, &demo);
  expect_fault(lk_gallery_identify(gallery, &query, result, NULL, &error), LK_EDIM, 1);
  cr_assert_not_null(strstr(error.text, "dimension"), "the caller may know: %s", error.text);
  cr_assert(decision_is("refuse"));
  query = query_of(&probes, &demo);
  query.model = lk_text_of("m2");
  expect_fault(lk_gallery_identify(gallery, &query, result, NULL, &error), LK_EMODEL, 2);
  float nan_probe[DIM] = {NAN};
  probes = files_vectors(nan_probe, 1, DIM);
  expect_fault(lk_gallery_verify(gallery, &probes, lk_text_of("s3"), &demo, result, &error), LK_EBADPROBE, 3);
  float vector[DIM];
  expect_fault(lk_gallery_export(gallery, ROWS, 1, &demo, vector, &error), LK_EINVAL, 4);
  cr_assert_eq(identify(&demo), LK_OK, "what was not searched does not count for the case: %s", error.text);
}

/* A second gallery that comes under the same rules has them read again. */
Test(refused, the_reason_of_a_fault_outlives_the_reload_of_shared_rules) {
  bind();
  cr_assert_eq(identify(&demo), LK_OK, "%s", error.text);
  lk_gallery *second = files_open(folder);
  lk_vectors wide = files_vectors(rows, PROBES, 2 * DIM);
  cr_assert_eq(lk_gallery_verify(second, &wide, lk_text_of("s3"), &demo, result, &error), LK_EDIM);
  cr_assert_not_null(strstr(error.text, "dimension"), "%s", error.text);
  lk_gallery_close(second);
}

/* That a permitted caller is told of a subject that there is none is an answer, and is written down as one. */
Test(refused, an_unknown_subject_is_an_answer) {
  bind();
  cr_assert_eq(verify("nobody", &demo), LK_ENOTFOUND);
  cr_assert_eq(records_with("\"released\":true"), 1);
  cr_assert(decision_is("permit"));
}

/* ---- what is withheld is gone ---- */

static bool is_blank(const lk_buffer *buffer) {
  const char *bytes = buffer->data;
  for (size_t i = 0; i < buffer->size; i++)
    if (bytes[i] != 0) return false;
  return true;
}

static void expect_nothing(void) {
  cr_assert_eq(lk_result_searched(result), 0);
  uint64_t numbers[8] = {99};
  float scores[8] = {99};
  for (uint32_t p = 0; p < PROBES; p++) {
    cr_assert_eq(lk_result_count(result, p), 0);
    cr_assert_eq(lk_result_candidate(result, p, 0).score, -INFINITY);
    lk_result_list(result, p, numbers, scores);
    cr_assert(numbers[0] == 99 && scores[0] == 99);
  }
  cr_assert(is_blank(&result->answer.lists.hits_buffer), "candidates stay in memory");
  cr_assert(is_blank(&result->answer.lists.ends_buffer), "counts stay in memory");
  cr_assert(is_blank(&result->workspace.parts.hits_buffer), "parts stay in memory");
}

Test(refused, a_result_that_is_used_again_keeps_nothing) {
  bind();
  lk_vectors probes = files_vectors(rows, PROBES, DIM);
  lk_query fused = query_of(&probes, &demo);
  fused.fusion = LK_FUSE_MAX;
  cr_assert_eq(lk_gallery_identify(gallery, &fused, result, NULL, &error), LK_OK, "%s", error.text);
  cr_assert_eq(identify(&demo), LK_OK, "%s", error.text);
  cr_assert_eq(identify(NULL), LK_EPOLICY);
  expect_nothing();
  cr_assert_eq(verify("s3", &demo), LK_OK, "%s", error.text);
  cr_assert_eq(verify("s3", NULL), LK_EPOLICY);
  expect_nothing();
}

/* A limit on the size of files stands for a full disk: the search is done, and its record cannot be written. */
Test(refused, what_the_log_cannot_hold_is_not_in_memory) {
  bind();
  cr_assert_eq(identify(&demo), LK_OK, "%s", error.text);
  signal(SIGXFSZ, SIG_IGN);
  cr_assert_eq(setrlimit(RLIMIT_FSIZE, &(struct rlimit){.rlim_cur = 100, .rlim_max = RLIM_INFINITY}), 0);
  lk_vectors probes = files_vectors(rows, PROBES, DIM);
  lk_query query = query_of(&probes, &demo);
  lk_search_stats stats = {.scanned = 7};
  cr_assert_eq(lk_gallery_identify(gallery, &query, result, &stats, &error), LK_EIO);
  cr_assert(stats.scanned == 7 && stats.rescored == 0, "nor are there statistics");
  expect_nothing();
  cr_assert_eq(lk_result_decision(result).length, 0, "no decision says permit");
  cr_assert_eq(verify("s3", &demo), LK_EIO);
  expect_nothing();
  float vector[DIM] = {7};
  cr_assert_eq(lk_gallery_export(gallery, 0, 1, &demo, vector, &error), LK_EIO);
  cr_assert_eq(vector[0], 7);
  cr_assert_eq(setrlimit(RLIMIT_FSIZE, &(struct rlimit){.rlim_cur = RLIM_INFINITY, .rlim_max = RLIM_INFINITY}), 0);
}

/* Hits beyond those that were released, wherever the search kept them. */
static bool only_released_remain(const lk_candidate_lists *lists) {
  uint64_t kept = lk_candidate_lists_begin(lists, lists->count);
  const char *bytes = (const char *)(lists->hits + kept);
  size_t size = lists->hits_buffer.size - kept * sizeof *lists->hits;
  return lists->hits == NULL || is_blank(&(lk_buffer){.data = (void *)(uintptr_t)bytes, .size = size});
}

Test(refused, what_a_limit_cuts_is_not_in_memory) {
  write_text(policy, PERMIT "    max_candidates: 2\n    min_score: -6\n");
  bind();
  lk_vectors probes = files_vectors(rows, PROBES, DIM);
  lk_query fused = query_of(&probes, &demo);
  for (int fusion = LK_FUSE_MAX; fusion <= LK_FUSE_MEAN; fusion++) {
    fused.fusion = (lk_fusion)fusion;
    cr_assert_eq(lk_gallery_identify(gallery, &fused, result, NULL, &error), LK_OK, "%s", error.text);
    cr_assert(only_released_remain(&result->answer.lists));
    cr_assert(is_blank(&result->workspace.parts.hits_buffer), "the probes' own candidates: fusion %d", fusion);
  }
  cr_assert_eq(verify("s3", &demo), LK_OK, "%s", error.text);
  uint32_t found = 0;
  for (uint32_t p = 0; p < PROBES; p++) found += lk_result_count(result, p);
  cr_assert(found > 0 && found < PROBES, "the minimum score cuts some: %u stay", found);
  cr_assert(only_released_remain(&result->answer.lists));
}
