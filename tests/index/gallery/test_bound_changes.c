/* Rules that change while a gallery is open: every operation is decided by what was in force a second before it. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/text.h"
#include "tests/support/files.h"

enum { DIM = 8, ROWS = 50 };

static char folder[PATH_MAX], policy[PATH_MAX], audit[PATH_MAX];
static float *rows;
static lk_device *device;
static lk_gallery *gallery;
static lk_result *result;
static lk_error error;

#define PERMIT "policy: 1\nname: t\nrules:\n- {id: all, effect: permit, text: yes}\n"
#define FORBID PERMIT "- {id: halt, effect: forbid, text: no more}\n"

static void write_text(const char *path, const char *text) { files_write(path, text, strlen(text)); }

static void setup(void) {
  files_setup();
  random_state random = {3};
  rows = files_random(&random, ROWS, DIM);
  strcpy(folder, files_gallery("faces", LK_COSINE, DIM));
  strcpy(policy, files_path("policy.yaml"));
  strcpy(audit, files_path("audit"));
  files_enroll(folder, rows, ROWS, DIM, NULL);
  write_text(policy, PERMIT);
  cr_assert_eq(lk_device_open("cpu", 1, &device, &error), LK_OK);
  cr_assert_eq(lk_result_open(&result, &error), LK_OK);
}

static void teardown(void) {
  lk_gallery_close(gallery);
  lk_result_close(result);
  lk_device_close(device);
  free(rows);
  files_teardown();
}

TestSuite(bound_changes, .init = setup, .fini = teardown);

static void bind_to(const lk_binding *binding) {
  cr_assert_eq(lk_gallery_bind(folder, binding, &error), LK_OK, "%s", error.text);
}

static void open_in(const char *place) {
  gallery = files_open(place);
  cr_assert_eq(lk_gallery_load(gallery, device, &error), LK_OK, "%s", error.text);
}

static lk_status identify(void) {
  lk_vectors probes = files_vectors(rows, 1, DIM);
  lk_query query = {.probes = &probes, .probes_count = 1, .k = 5, .threshold = -INFINITY};
  return lk_gallery_identify(gallery, &query, result, NULL, &error);
}

/* What was promised: the operation that begins a second after the change. */
static lk_status identify_after_a_second(void) {
  lk_clock_sleep_us(1000000);
  return identify();
}

Test(bound_changes, a_changed_policy_is_in_force_within_a_second) {
  bind_to(&(lk_binding){.policy = policy});
  open_in(folder);
  cr_assert_eq(identify(), LK_OK, "%s", error.text);
  write_text(policy, FORBID);
  cr_assert_eq(identify_after_a_second(), LK_EPOLICY);
  cr_assert_not_null(strstr(error.text, "no more"), "%s", error.text);
  cr_assert_eq(lk_result_count(result, 0), 0);
  write_text(policy, PERMIT "  colour: red\n");
  cr_assert_eq(identify_after_a_second(), LK_EPOLICY, "a broken file refuses everything");
  cr_assert_not_null(strstr(error.text, "the policy is broken"), "%s", error.text);
  cr_assert_eq(unlink(policy), 0);
  cr_assert_eq(identify_after_a_second(), LK_EPOLICY);
  write_text(files_path("new.yaml"), PERMIT);
  cr_assert_eq(rename(files_path("new.yaml"), policy), 0);
  cr_assert_eq(identify_after_a_second(), LK_OK, "%s", error.text);
  float vectors[DIM];
  write_text(policy, FORBID);
  lk_clock_sleep_us(1000000);
  cr_assert_eq(lk_gallery_export(gallery, 0, 1, NULL, vectors, &error), LK_EPOLICY);
  lk_vectors probe = files_vectors(rows, 1, DIM);
  cr_assert_eq(lk_gallery_verify(gallery, &probe, lk_text_of("7"), NULL, result, &error), LK_EPOLICY);
}

Test(bound_changes, a_policy_that_stays_is_read_once) {
  bind_to(&(lk_binding){.policy = policy, .audit = audit});
  open_in(folder);
  for (int i = 0; i < 3; i++) cr_assert_eq(identify_after_a_second(), LK_OK, "%s", error.text);
  cr_assert_eq(files_lines_with(audit, "audit-000001.log", "policy_loaded"), 1);
}

Test(bound_changes, a_gallery_that_is_bound_while_it_is_open) {
  open_in(folder);
  cr_assert_eq(identify(), LK_OK, "nothing governs it");
  write_text(policy, FORBID);
  bind_to(&(lk_binding){.policy = policy});
  cr_assert_eq(identify_after_a_second(), LK_EPOLICY);
  lk_gallery_stat stat;
  lk_gallery_stat_get(gallery, &stat);
  cr_assert_str_eq(stat.binding.policy, policy);
  bind_to(&(lk_binding){0});
  cr_assert_eq(identify_after_a_second(), LK_OK, "%s", error.text);
  cr_assert(lk_text_equal(lk_result_decision(result), lk_text_of("{\"policy\":\"none\"}")));
  cr_assert_str_eq(stat.binding.policy, policy, "who read the paths may still read them");
  write_text(files_path("other.yaml"), PERMIT);
  bind_to(&(lk_binding){.policy = files_path("other.yaml"), .audit = audit});
  cr_assert_eq(identify_after_a_second(), LK_OK, "%s", error.text);
  cr_assert_eq(files_lines_with(audit, "audit-000001.log", "\"released\":true"), 1);
  cr_assert_eq(lk_gallery_bind(folder, &(lk_binding){0}, &error), LK_EBUSY, "its log is being written");
}

Test(bound_changes, nobody_knows_the_rules_of_a_gallery_whose_manifest_is_gone) {
  char manifest[PATH_MAX], away[PATH_MAX];
  strcpy(manifest, files_path("faces/MANIFEST"));
  strcpy(away, files_path("faces/away"));
  open_in(folder);
  cr_assert_eq(identify(), LK_OK);
  cr_assert_eq(rename(manifest, away), 0);
  cr_assert_neq(identify_after_a_second(), LK_OK);
  cr_assert_neq(identify(), LK_OK, "at once, too");
  cr_assert_eq(symlink(away, manifest), 0);
  cr_assert_neq(identify_after_a_second(), LK_OK, "a link is not followed");
  cr_assert_eq(unlink(manifest), 0);
  cr_assert_eq(rename(away, manifest), 0);
  cr_assert_eq(identify_after_a_second(), LK_OK, "%s", error.text);
}

/* The process may go elsewhere, and a link may lead elsewhere: the gallery's own manifest counts. */
Test(bound_changes, the_manifest_is_that_of_the_folder_that_was_opened) {
  char other[PATH_MAX];
  strcpy(other, files_gallery("other", LK_COSINE, DIM));
  cr_assert_eq(symlink(folder, files_path("link")), 0);
  cr_assert_eq(chdir(files_root), 0);
  open_in("link");
  cr_assert_eq(unlink(files_path("link")), 0);
  cr_assert_eq(symlink(other, files_path("link")), 0);
  cr_assert_eq(chdir("/"), 0);
  write_text(policy, FORBID);
  bind_to(&(lk_binding){.policy = policy});
  cr_assert_eq(identify_after_a_second(), LK_EPOLICY);
}

Test(bound_changes, a_forbid_follows_the_name_in_the_manifest) {
  write_text(policy, PERMIT "- {id: sealed, effect: forbid, text: sealed, galleries: Faces}\n");
  bind_to(&(lk_binding){.policy = policy});
  cr_assert_eq(rename(folder, files_path("harmless")), 0);
  open_in(files_path("harmless"));
  cr_assert_eq(identify(), LK_EPOLICY);
  cr_assert_not_null(strstr(error.text, "sealed"), "%s", error.text);
  strcpy(folder, files_path("harmless"));
  bind_to(&(lk_binding){.policy = policy, .audit = audit});
  cr_assert_eq(files_lines_with(audit, "audit-000001.log", "\"gallery\":\"faces\""), 1, "the log names it as rules do");
}
