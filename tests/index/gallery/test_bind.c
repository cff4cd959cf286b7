/* Galleries that are bound to a policy: the C API asks it. */
#include <criterion/criterion.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <likeness/audit.h>
#include <likeness/signing_key.h>
#include "base/text.h"
#include "tests/support/files.h"

enum { DIM = 8, ROWS = 200, PROBES = 5 };

static char folder[PATH_MAX], policy[PATH_MAX], audit[PATH_MAX];
static float *rows;
static lk_device *device;
static lk_gallery *gallery;
static lk_result *result;
static lk_claims demo;
static lk_error error;

static void write_policy(const char *rules) {
  char text[4096];
  int length = snprintf(text, sizeof text, "policy: 1\nname: t\n%s", rules);
  files_write(policy, text, (size_t)length);
}

#define PERMIT "rules:\n  - id: demo\n    effect: permit\n    text: Demonstrations.\n    purposes: demo\n"

static void open_gallery(void) {
  gallery = files_open(folder);
  cr_assert_eq(lk_gallery_load(gallery, device, &error), LK_OK, "%s", error.text);
}

static void close_gallery(void) {
  lk_gallery_close(gallery);
  gallery = NULL;
}

static void setup(void) {
  files_setup();
  random_state random = {3};
  rows = files_random(&random, ROWS, DIM);
  strcpy(folder, files_gallery("faces", LK_COSINE, DIM));
  strcpy(policy, files_path("policy.yaml"));
  strcpy(audit, files_path("audit"));
  files_enroll(folder, rows, ROWS, DIM, NULL);
  demo = (lk_claims){.purpose = lk_text_of("demo"), .case_id = lk_text_of("c-1"), .actor = lk_text_of("desk")};
  write_policy(PERMIT);
  cr_assert_eq(lk_device_open("cpu", 1, &device, &error), LK_OK);
  cr_assert_eq(lk_result_open(&result, &error), LK_OK);
}

static void teardown(void) {
  close_gallery();
  lk_result_close(result);
  lk_device_close(device);
  free(rows);
  files_teardown();
}

TestSuite(bind, .init = setup, .fini = teardown);

static lk_status bind_to(const lk_binding *binding) { return lk_gallery_bind(folder, binding, &error); }

/* Bound and open. */
static void bind(bool logged) {
  lk_binding binding = {.policy = policy, .audit = logged ? audit : NULL};
  cr_assert_eq(bind_to(&binding), LK_OK, "%s", error.text);
  open_gallery();
}

static lk_status identify(uint32_t k, float threshold, const lk_claims *claims) {
  lk_vectors probes = files_vectors(rows, PROBES, DIM);
  lk_query query = {.probes = &probes, .probes_count = 1, .k = k, .threshold = threshold, .claims = claims};
  return lk_gallery_identify(gallery, &query, result, NULL, &error);
}

static lk_status verify(const lk_claims *claims) {
  lk_vectors probes = files_vectors(rows, PROBES, DIM);
  return lk_gallery_verify(gallery, &probes, lk_text_of("7"), claims, result, &error);
}

static lk_status export(const lk_claims *claims) {
  float vectors[2 * DIM];
  return lk_gallery_export(gallery, 3, 2, claims, vectors, &error);
}

static lk_status enroll(const lk_claims *claims) {
  lk_vectors vectors = files_vectors(rows, 3, DIM);
  return lk_gallery_enroll(folder, &vectors, NULL, claims, NULL, NULL, NULL, &error);
}

static uint64_t templates(void) {
  lk_gallery_stat stat;
  lk_gallery *now = files_open(folder);
  lk_gallery_stat_get(now, &stat);
  lk_gallery_close(now);
  return stat.templates;
}

static uint32_t candidates(void) {
  uint32_t all = 0;
  for (uint32_t p = 0; p < PROBES; p++) all += lk_result_count(result, p);
  return all;
}

static void expect_decision(const char *member, const char *value) {
  lk_text text = lk_result_decision(result);
  json_t *decision = json_loadb(text.bytes, text.length, 0, NULL);
  const char *got = json_string_value(json_object_get(decision, member));
  cr_assert(got != NULL && strcmp(got, value) == 0, "%s: '%s' in %s", member, value, text.bytes);
  json_decref(decision);
}

/* Records of the log with these words, as they lie in the file now. */
static uint32_t records_with(const char *words) { return files_lines_with(audit, "audit-000001.log", words); }

Test(bind, what_is_not_said_is_refused) {
  bind(true);
  cr_assert_eq(identify(5, -INFINITY, NULL), LK_EPOLICY);
  cr_assert_eq(candidates(), 0);
  expect_decision("decision", "refuse");
  cr_assert_eq(verify(NULL), LK_EPOLICY);
  cr_assert_eq(candidates(), 0);
  cr_assert_eq(export(NULL), LK_EPOLICY);
  cr_assert_eq(records_with("\"permitted\":false"), 3, "written down at once");
  close_gallery();
  cr_assert_eq(enroll(NULL), LK_EPOLICY);
  cr_assert_eq(templates(), ROWS);
  cr_assert_eq(records_with("\"permitted\":false"), 4);
}

Test(bind, what_is_permitted_is_done_and_written_down) {
  lk_audit_report report;
  bind(true);
  cr_assert_eq(identify(5, -INFINITY, &demo), LK_OK, "%s", error.text);
  cr_assert_eq(candidates(), 5 * PROBES);
  cr_assert_eq(records_with("\"candidates\":25,"), 1, "before they were handed out");
  expect_decision("decision", "permit");
  cr_assert_eq(verify(&demo), LK_OK, "%s", error.text);
  cr_assert_eq(export(&demo), LK_OK, "%s", error.text);
  cr_assert_eq(enroll(&demo), LK_OK, "%s", error.text);
  cr_assert_eq(templates(), ROWS + 3);
  cr_assert_eq(records_with("\"type\":\"decision\""), 4);
  cr_assert_eq(records_with("\"released\":true"), 2);
  cr_assert_eq(records_with("\"templates\":2,\"time\""), 1, "the export");
  cr_assert_eq(records_with("\"templates\":3,\"time\""), 1, "the enrollment");
  close_gallery();
  cr_assert_eq(lk_audit_verify(audit, NULL, NULL, &report, &error), LK_OK, "%s", error.text);
  cr_assert(report.closed);
}

/* Limits cut what the same search finds without them, and a caller can only tighten them. */
Test(bind, limits_hold) {
  write_policy(PERMIT "    max_candidates: 4\n    min_score: 0.3\n");
  bind(false);
  lk_candidate kept[PROBES][4];
  uint32_t counts[PROBES];
  cr_assert_eq(identify(50, -INFINITY, &demo), LK_OK, "%s", error.text);
  for (uint32_t p = 0; p < PROBES; p++) {
    counts[p] = lk_result_count(result, p);
    cr_assert(counts[p] >= 1 && counts[p] <= 4);
    for (uint32_t i = 0; i < counts[p]; i++) kept[p][i] = lk_result_candidate(result, p, i);
  }
  cr_assert_eq(identify(LK_K_ALL, -0.5F, &demo), LK_OK, "%s", error.text);
  for (uint32_t p = 0; p < PROBES; p++) cr_assert_eq(lk_result_count(result, p), counts[p], "all are four at most");
  cr_assert_eq(identify(2, 0.999F, &demo), LK_OK);
  cr_assert_eq(candidates(), PROBES, "itself");
  cr_assert_eq(verify(&demo), LK_OK);
  for (uint32_t p = 0; p < PROBES; p++)
    for (uint32_t i = 0; i < lk_result_count(result, p); i++)
      cr_assert_geq(lk_result_candidate(result, p, i).score, 0.3F);
  cr_assert_lt(candidates(), PROBES, "some are below");
  close_gallery();
  cr_assert_eq(bind_to(&(lk_binding){0}), LK_OK, "%s", error.text);
  open_gallery();
  cr_assert_eq(identify(50, -INFINITY, NULL), LK_OK, "%s", error.text);
  expect_decision("policy", "none");
  for (uint32_t p = 0; p < PROBES; p++)
    for (uint32_t i = 0; i < 5; i++) {
      lk_candidate c = lk_result_candidate(result, p, i);
      bool within = i < 4 && c.score >= 0.3F;
      cr_assert_eq(within, i < counts[p]);
      if (within) cr_assert(c.found.number == kept[p][i].found.number && c.score == kept[p][i].score);
    }
}

Test(bind, by_date) {
  static const struct {
    const char *span;
    lk_status expected;
  } cases[] = {{"    from: 2020-01-01\n    until: null\n", LK_OK},
               {"    until: 2020-01-01\n", LK_EPOLICY},
               {"    from: 2999-01-01\n", LK_EPOLICY}};
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    char rules[1024];
    snprintf(rules, sizeof rules, "%s%s", PERMIT, cases[i].span);
    write_policy(rules);
    bind(false);
    cr_assert_eq(identify(3, -INFINITY, &demo), cases[i].expected, "%s", cases[i].span);
    close_gallery();
  }
}

/* Counted from the log on, over processes; here over galleries that were closed between. */
Test(bind, probes_of_a_case) {
  write_policy(PERMIT "    probes_per_case: 12\n");
  bind(true);
  cr_assert_eq(identify(3, -INFINITY, &demo), LK_OK, "%s", error.text);
  close_gallery();
  open_gallery();
  cr_assert_eq(identify(3, -INFINITY, &demo), LK_OK, "%s", error.text);
  cr_assert_eq(identify(3, -INFINITY, &demo), LK_EPOLICY);
  demo.case_id = lk_text_of("c-2");
  cr_assert_eq(identify(3, -INFINITY, &demo), LK_OK, "%s", error.text);
}

Test(bind, who_holds_the_key_is_the_actor) {
  lk_signing_key key, other;
  char rules[1024];
  cr_assert_eq(lk_signing_key_make(files_path("desk"), &error), LK_OK);
  cr_assert_eq(lk_signing_key_make(files_path("other"), &error), LK_OK);
  cr_assert_eq(lk_signing_key_read_secret(files_path("desk"), &key, &error), LK_OK);
  cr_assert_eq(lk_signing_key_read_secret(files_path("other"), &other, &error), LK_OK);
  snprintf(rules, sizeof rules,
           "deployment: here\nkeys:\n  - {actor: desk, ed25519: %s}\n" PERMIT "    require: signature\n",
           key.public_hex);
  write_policy(rules);
  bind(true);
  cr_assert_eq(identify(3, -INFINITY, &demo), LK_EPOLICY);
  demo.key = &other;
  cr_assert_eq(identify(3, -INFINITY, &demo), LK_EPOLICY);
  cr_assert_not_null(strstr(error.text, "'desk'"), "%s", error.text);
  cr_assert_eq(records_with("\"authenticated\":true"), 0);
  demo.key = &key;
  cr_assert_eq(identify(3, -INFINITY, &demo), LK_OK, "%s", error.text);
  cr_assert_eq(records_with("\"authenticated\":true"), 1);
}

/* What cannot be written down is not done. */
Test(bind, without_its_log_nothing_is_done) {
  lk_audit *writer;
  bind(true);
  cr_assert_eq(lk_audit_open(audit, &(lk_audit_options){0}, &writer, &error), LK_OK);
  cr_assert_eq(identify(3, -INFINITY, &demo), LK_EBUSY);
  cr_assert_not_null(strstr(error.text, "another process"), "%s", error.text);
  cr_assert_eq(candidates(), 0);
  cr_assert_eq(enroll(&demo), LK_EBUSY);
  cr_assert_eq(templates(), ROWS);
  cr_assert_eq(lk_audit_close(writer, &error), LK_OK);
  cr_assert_eq(identify(3, -INFINITY, &demo), LK_OK, "%s", error.text);
}

/* A log has one writer: galleries of one process that are bound alike share it. */
Test(bind, galleries_that_are_bound_alike_share_a_log) {
  char second[PATH_MAX];
  strcpy(second, files_gallery("second", LK_COSINE, DIM));
  lk_binding binding = {.policy = policy, .audit = audit};
  cr_assert_eq(lk_gallery_bind(second, &binding, &error), LK_OK, "%s", error.text);
  bind(true);
  cr_assert_eq(identify(3, -INFINITY, &demo), LK_OK, "%s", error.text);
  lk_vectors vectors = files_vectors(rows, 3, DIM);
  cr_assert_eq(lk_gallery_enroll(second, &vectors, NULL, &demo, NULL, NULL, NULL, &error), LK_OK, "%s", error.text);
  cr_assert_eq(identify(3, -INFINITY, &demo), LK_OK, "%s", error.text);
  cr_assert_eq(records_with("\"type\":\"opened\""), 3, "by the two that bound them, and by both galleries at once");
}

static char log_file[PATH_MAX + 32];

static void find_log(void) { snprintf(log_file, sizeof log_file, "%s/audit-000001.log", audit); }

static void delete_log(void) { files_remove_folder(audit); }

static void begin_log_anew(void) {
  lk_audit *writer;
  delete_log();
  cr_assert_eq(lk_audit_open(audit, &(lk_audit_options){0}, &writer, &error), LK_OK, "%s", error.text);
  for (int i = 0; i < 9; i++)
    cr_assert_eq(lk_audit_append(writer, &(lk_audit_record){.type = LK_AUDIT_RESULT}, NULL, &error), LK_OK);
  cr_assert_eq(lk_audit_close(writer, &error), LK_OK, "%s", error.text);
}

/* Without its last record. */
static void cut_log(void) {
  lk_audit_report report;
  size_t size;
  char *data = files_read(log_file, &size);
  do size--;
  while (data[size - 1] != '\n');
  files_write(log_file, data, size);
  free(data);
  cr_assert_eq(lk_audit_verify(audit, NULL, NULL, &report, &error), LK_OK, "%s", error.text);
}

/* Another folder in the place of one above the log. */
static void link_above(void) {
  char above[PATH_MAX];
  strcpy(above, files_path("above"));
  cr_assert_eq(rename(above, files_path("before")), 0);
  cr_assert_eq(mkdir(files_path("after"), 0700), 0);
  cr_assert_eq(symlink(files_path("after"), above), 0);
}

static void (*const losses[])(void) = {delete_log, begin_log_anew, cut_log, link_above};
enum { LOSSES = 3 /* that can happen to a log in use */ };

/* Binds and searches, with quotas of 12 probes a case; then the log is lost. */
static void lose_log(int how) {
  write_policy(PERMIT "    probes_per_case: 12\n");
  find_log();
  bind(true);
  cr_assert_eq(identify(3, -INFINITY, &demo), LK_OK, "%s", error.text);
  close_gallery();
  losses[how]();
}

/* Each loss would begin quotas anew. */
static void expect_nothing_without_its_log(void) {
  open_gallery();
  cr_assert_eq(identify(3, -INFINITY, &demo), LK_ECORRUPT, "%s", error.text);
  cr_assert_not_null(strstr(error.text, audit), "%s", error.text);
  cr_assert_eq(candidates(), 0);
  cr_assert_eq(verify(&demo), LK_ECORRUPT);
  cr_assert_eq(export(&demo), LK_ECORRUPT);
  cr_assert_eq(enroll(&demo), LK_ECORRUPT);
  cr_assert_eq(templates(), ROWS);
  close_gallery();
}

/* To make the gallery once more fails, and makes nobody forget what it has seen. */
Test(bind, a_log_that_was_deleted) {
  lose_log(0);
  lk_gallery_options again = {.dim = DIM, .binding = &(lk_binding){.policy = policy, .audit = audit}};
  cr_assert_eq(lk_gallery_create(folder, &again, &error), LK_EEXIST);
  expect_nothing_without_its_log();
}

Test(bind, a_log_that_was_begun_anew) {
  lose_log(1);
  expect_nothing_without_its_log();
}

Test(bind, a_log_that_was_cut_between_two_records) {
  lose_log(2);
  expect_nothing_without_its_log();
}

Test(bind, a_link_above_the_log) {
  strcpy(audit, files_path("above"));
  cr_assert_eq(mkdir(audit, 0700), 0);
  strcat(audit, "/audit");
  lose_log(3);
  expect_nothing_without_its_log();
}

/* The search had begun before; its answer is held back. */
Test(bind, a_log_that_is_lost_while_the_gallery_is_open) {
  static const char *const next[LOSSES] = {"second", "third", "fourth"};
  for (int how = 0; how < LOSSES; how++) {
    find_log();
    bind(true);
    cr_assert_eq(identify(3, -INFINITY, &demo), LK_OK, "%s", error.text);
    if (how == 1)
      cr_assert_eq(rename(audit, files_path("aside")), 0);
    else
      losses[how]();
    cr_assert_eq(identify(3, -INFINITY, &demo), LK_EIO, "%d", how);
    cr_assert_not_null(strstr(error.text, log_file), "%s", error.text);
    cr_assert_eq(candidates(), 0);
    cr_assert_eq(enroll(&demo), LK_EIO);
    close_gallery();
    strcpy(audit, files_path(next[how]));
    lk_binding binding = {.policy = policy, .audit = audit};
    cr_assert_eq(lk_gallery_bind_after_loss(folder, &binding, &error), LK_OK, "%s", error.text);
  }
}

/* To unbind is a record, and what was counted still counts when the gallery is bound to the same log again. */
Test(bind, to_nothing_and_back) {
  write_policy(PERMIT "    probes_per_case: 12\n");
  bind(true);
  cr_assert_eq(identify(3, -INFINITY, &demo), LK_OK, "%s", error.text);
  close_gallery();
  cr_assert_eq(bind_to(&(lk_binding){0}), LK_OK, "%s", error.text);
  cr_assert_eq(records_with("\"gallery\":\"faces\""), 4, "bound, decision, result, unbound");
  cr_assert_eq(records_with("\"type\":\"unbound\""), 1);
  bind(true);
  cr_assert_eq(records_with("\"type\":\"bound\""), 2);
  cr_assert_eq(identify(3, -INFINITY, &demo), LK_OK, "%s", error.text);
  cr_assert_eq(identify(3, -INFINITY, &demo), LK_EPOLICY);
}

/* The log that is lost cannot be unbound from, bound anew in its place, or left. */
Test(bind, what_is_lost_must_be_owned_up_to) {
  char second[PATH_MAX];
  strcpy(second, files_path("second"));
  lk_binding same = {.policy = policy, .audit = audit}, other = {.policy = policy, .audit = second};
  lose_log(2);
  uint64_t before = files_digest(folder);
  cr_assert_eq(bind_to(&(lk_binding){0}), LK_ECORRUPT, "%s", error.text);
  cr_assert_eq(bind_to(&same), LK_ECORRUPT, "%s", error.text);
  cr_assert_eq(lk_gallery_bind_after_loss(folder, &(lk_binding){.policy = policy}, &error), LK_EINVAL);
  cr_assert_eq(files_digest(folder), before);
  cr_assert_eq(bind_to(&other), LK_ECORRUPT, "%s", error.text);
  cr_assert_eq(lk_gallery_bind_after_loss(folder, &other, &error), LK_OK, "%s", error.text);
  cr_assert_eq(files_lines_with(second, "audit-000001.log", "\"type\":\"lost\""), 1);
  cr_assert_eq(files_lines_with(second, "audit-000001.log", "\"type\":\"bound\""), 1);
  open_gallery();
  cr_assert_eq(identify(3, -INFINITY, &demo), LK_OK, "%s", error.text);
  close_gallery();
  cr_assert_eq(bind_to(&same), LK_ECORRUPT, "the cut log again: %s", error.text);
  cr_assert_eq(lk_gallery_bind_after_loss(folder, &same, &error), LK_OK, "%s", error.text);
  cr_assert_eq(records_with("\"type\":\"lost\""), 1);
  open_gallery();
  cr_assert_eq(identify(3, -INFINITY, &demo), LK_OK, "%s", error.text);
}

/* Each log names the other. */
Test(bind, from_one_log_to_another) {
  char second[PATH_MAX], words[128];
  lk_audit_report left, joined;
  strcpy(second, files_path("second"));
  bind(true);
  close_gallery();
  lk_binding other = {.policy = policy, .audit = second};
  cr_assert_eq(bind_to(&other), LK_OK, "%s", error.text);
  cr_assert_eq(lk_audit_verify(audit, NULL, NULL, &left, &error), LK_OK, "%s", error.text);
  cr_assert_eq(lk_audit_verify(second, NULL, NULL, &joined, &error), LK_OK, "%s", error.text);
  snprintf(words, sizeof words, "\"other\":\"%s\"", joined.log);
  cr_assert_eq(records_with(words), 1);
  cr_assert_eq(records_with("\"type\":\"unbound\""), 1);
  snprintf(words, sizeof words, "\"other\":\"%s\"", left.log);
  cr_assert_eq(files_lines_with(second, "audit-000001.log", words), 1);
  cr_assert_eq(rename(second, files_path("third")), 0);
  other.audit = files_path("third");
  cr_assert_eq(bind_to(&other), LK_OK, "the same log at another place: %s", error.text);
}

/* What lies in the gallery's folder goes with it. */
Test(bind, a_gallery_that_is_moved_keeps_its_policy) {
  char inside[PATH_MAX + 16], moved[PATH_MAX];
  snprintf(inside, sizeof inside, "%s/rules.yaml", folder);
  strcpy(moved, files_path("moved"));
  cr_assert_eq(rename(policy, inside), 0);
  cr_assert_eq(bind_to(&(lk_binding){.policy = inside}), LK_OK, "%s", error.text);
  cr_assert_eq(rename(folder, moved), 0);
  strcpy(folder, moved);
  open_gallery();
  cr_assert_eq(identify(3, -INFINITY, NULL), LK_EPOLICY);
  cr_assert_eq(identify(3, -INFINITY, &demo), LK_OK, "%s", error.text);
}

/* A policy that is gone or broken refuses everything; the gallery opens, and can be bound anew. */
Test(bind, without_its_policy_nothing_is_done) {
  cr_assert_eq(bind_to(&(lk_binding){.policy = policy}), LK_OK, "%s", error.text);
  write_policy("rules: 7\n");
  open_gallery();
  cr_assert_eq(identify(3, -INFINITY, &demo), LK_EFORMAT);
  cr_assert_not_null(strstr(error.text, "line 3"), "%s", error.text);
  cr_assert_eq(candidates(), 0);
  cr_assert_eq(remove(policy), 0);
  cr_assert_eq(identify(3, -INFINITY, &demo), LK_EIO);
  cr_assert_eq(enroll(&demo), LK_EIO);
  cr_assert_eq(bind_to(&(lk_binding){0}), LK_OK, "%s", error.text);
  close_gallery();
  open_gallery();
  cr_assert_eq(identify(3, -INFINITY, NULL), LK_OK, "%s", error.text);
}

Test(bind, bad_bindings_change_nothing) {
  char broken[PATH_MAX], key[PATH_MAX];
  strcpy(broken, files_path("broken.yaml"));
  strcpy(key, files_path("nokey"));
  files_write(broken, "policy: 2\n", 10);
  files_write(key, "?\n", 2);
  const struct {
    lk_binding binding;
    lk_status expected;
  } cases[] = {{{.policy = "/nowhere/policy.yaml"}, LK_EIO},
               {{.policy = broken}, LK_EFORMAT},
               {{.policy = policy, .calibration = broken}, LK_EFORMAT},
               {{.audit = audit}, LK_EINVAL},
               {{.policy = policy, .audit_key = key}, LK_EINVAL},
               {{.policy = policy, .audit = audit, .audit_key = broken}, LK_EINVAL},
               {{.policy = policy, .audit = "/nowhere/at/all"}, LK_EIO}};
  uint64_t before = files_digest(folder);
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    lk_status got = bind_to(&cases[i].binding);
    cr_assert_eq(got, cases[i].expected, "%zu: %s: %s", i, lk_status_name(got), error.text);
    cr_assert_eq(files_digest(folder), before, "%zu", i);
  }
  lk_gallery_options options = {.dim = DIM, .binding = &cases[1].binding};
  cr_assert_eq(lk_gallery_create(files_path("new"), &options, &error), LK_EFORMAT);
  cr_assert_eq(lk_gallery_open(files_path("new"), &gallery, &error), LK_EGALLERY);
}
