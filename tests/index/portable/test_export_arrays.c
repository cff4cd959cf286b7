/* Vectors and labels for others, and what a policy has to say about what leaves. */
#include <likeness/portable.h>

#include <criterion/criterion.h>
#include <likeness/label_file.h>
#include <likeness/vector_file.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"
#include "tests/support/files.h"

enum { DIM = 3, ROWS = 4 };

static lk_error error;
static const lk_export plainly;
static const float rows[ROWS * DIM] = {1, 2, 3, -4, 5, 6.5F, 7, 8, 9, 1, 0, 1};

TestSuite(export_arrays, .init = files_setup, .fini = files_teardown);

static const char *make(lk_store store, const lk_label *labels) {
  static char folder[PATH_MAX];
  strcpy(folder, files_path("g"));
  lk_gallery_options options = {.dim = DIM, .metric = LK_L2, .store = store};
  cr_assert_eq(lk_gallery_create(folder, &options, &error), LK_OK, "%s", error.text);
  files_enroll(folder, rows, ROWS, DIM, labels);
  return folder;
}

static lk_status export_arrays(const char *folder) {
  uint64_t templates;
  lk_gallery *gallery = files_open(folder);
  lk_status status =
      lk_gallery_export_arrays(gallery, files_path("x.npy"), files_path("x.csv"), &plainly, &templates, &error);
  lk_gallery_close(gallery);
  return status;
}

static void expect_again(const char *folder, lk_element element) {
  lk_vector_file vectors;
  lk_label_file labels;
  lk_gallery *gallery = files_open(folder);
  float vector[DIM];
  cr_assert_eq(lk_vector_file_open(files_path("x.npy"), LK_ROLE_TEMPLATES, &vectors, &error), LK_OK, "%s", error.text);
  cr_assert(vectors.vectors.rows == ROWS && vectors.vectors.dim == DIM && vectors.vectors.element == element);
  cr_assert_eq(lk_label_file_open(files_path("x.csv"), NULL, ROWS, &labels, &error), LK_OK, "%s", error.text);
  lk_gallery_options options = {.dim = DIM, .metric = LK_L2, .store = element == LK_F16 ? LK_STORE_F16 : LK_STORE_F32};
  cr_assert_eq(lk_gallery_create(files_path("again"), &options, &error), LK_OK, "%s", error.text);
  cr_assert_eq(lk_gallery_enroll(files_path("again"), &vectors.vectors, labels.of_row, NULL, NULL, NULL, NULL, &error),
               LK_OK, "%s", error.text);
  lk_gallery *again = files_open(files_path("again"));
  for (uint64_t i = 0; i < ROWS; i++) {
    lk_template a = lk_gallery_template(gallery, i), b = lk_gallery_template(again, i);
    cr_assert(lk_text_equal(a.key, b.key) && lk_text_equal(a.subject, b.subject) && lk_text_equal(a.group, b.group));
    cr_assert(lk_text_equal(a.metadata, b.metadata), "row %d", (int)i);
    cr_assert(a.tags == b.tags && a.expires_ms == b.expires_ms);
    cr_assert_eq(lk_gallery_export(again, i, 1, NULL, vector, &error), LK_OK);
    cr_assert_arr_eq(vector, rows + i * DIM, sizeof vector);
  }
  lk_gallery_close(gallery);
  lk_gallery_close(again);
  lk_vector_file_close(&vectors);
  lk_label_file_close(&labels);
}

static const lk_label labels[ROWS] = {
    {.key = {"a,\"b\"", 5},
     .subject = {" s ", 3},
     .group = {"g;h", 3},
     .tags = UINT64_MAX,
     .expires_ms = UINT64_C(1) << 62},
    {.key = {"Z\xc3\xbcrich", 7}, .metadata = {"two\r\nlines\t\"", 12}},
    {.key = {"7", 1}, .metadata = {"ends in a space ", 16}, .expires_ms = UINT64_C(4102444800001)},
    {.key = {"=1+1", 4}, .subject = {"x", 1}}};

Test(export_arrays, enroll_reads_them) {
  const char *folder = make(LK_STORE_F32, labels);
  cr_assert_eq(export_arrays(folder), LK_OK, "%s", error.text);
  expect_again(folder, LK_F32);
}

Test(export_arrays, halves_stay_halves) {
  const char *folder = make(LK_STORE_F16, labels);
  cr_assert_eq(export_arrays(folder), LK_OK, "%s", error.text);
  expect_again(folder, LK_F16);
}

Test(export_arrays, metadata_that_is_no_text) {
  static const lk_text bad[] = {{"\xff", 1}, {"a\0b", 3}, {"\x1b[2J", 4}, {"\x7f", 1}};
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    lk_label with[ROWS] = {{.key = {"a", 1}}, {.key = {"b", 1}}, {.key = {"c", 1}, .metadata = bad[i]}};
    const char *folder = make(LK_STORE_F32, with);
    cr_assert_eq(export_arrays(folder), LK_EFORMAT, "text %zu", i);
    cr_assert_not_null(strstr(error.text, "row 2, key 'c': its metadata is not text"), "%s", error.text);
    cr_assert_eq(files_count(files_root), 1, "half an answer");
    files_remove_folder(folder);
  }
}

Test(export_arrays, both_or_neither) {
  const char *folder = make(LK_STORE_F32, labels);
  files_write(files_path("x.csv"), "", 0);
  cr_assert_eq(export_arrays(folder), LK_EEXIST);
  cr_assert_eq(files_count(files_root), 2);
  cr_assert_eq(unlink(files_path("x.csv")), 0);
  files_write(files_path("x.npy"), "", 0);
  cr_assert_eq(export_arrays(folder), LK_EEXIST);
  cr_assert_eq(files_count(files_root), 2);
}

#define RULES(effect, text)                                                                                         \
  "policy: 1\nname: t\nrules:\n- {id: all, effect: permit, text: yes}\n- {id: out, effect: " effect ", text: " text \
  ", operations: [export]}\n"

static void bind_to(const char *folder, const char *rules) {
  files_write(files_path("p.yaml"), rules, strlen(rules));
  lk_binding binding = {.policy = files_path("p.yaml"), .audit = files_path("log")};
  cr_assert_eq(lk_gallery_bind(folder, &binding, &error), LK_OK, "%s", error.text);
}

static uint32_t logged(const char *words) { return files_lines_with(files_path("log"), "audit-000001.log", words); }

Test(export_arrays, a_policy_refuses_before_there_is_a_file) {
  const char *folder = make(LK_STORE_F32, labels);
  bind_to(folder, RULES("forbid", "never"));
  lk_gallery *gallery = files_open(folder);
  uint32_t before = files_count(files_root);
  cr_assert_eq(lk_gallery_export_file(gallery, files_path("g.lkg"), &plainly, NULL, &error), LK_EPOLICY);
  cr_assert_not_null(strstr(error.text, "out"), "%s", error.text);
  cr_assert_eq(lk_gallery_export_arrays(gallery, files_path("x.npy"), files_path("x.csv"), &plainly, NULL, &error),
               LK_EPOLICY);
  cr_assert_eq(files_count(files_root), before);
  cr_assert_eq(logged("\"operation\":\"export\""), 2);
  lk_gallery_close(gallery);
}

static const char *halting;

/* The rules change while the file is written. */
static void halt(void *context, uint64_t done, uint64_t total) {
  (void)done, (void)total;
  bind_to(context, halting);
  sleep(2); /* rules are followed within a second */
}

Test(export_arrays, a_policy_that_changes_meanwhile_lets_nothing_out) {
  const char *folder = make(LK_STORE_F32, labels);
  bind_to(folder, RULES("permit", "yes"));
  lk_gallery *gallery = files_open(folder);
  lk_binding none = {.policy = NULL};
  cr_assert_eq(lk_gallery_export_file(gallery, files_path("ok.lkg"), &plainly, NULL, &error), LK_OK, "%s", error.text);
  cr_assert_eq(logged("\"templates\":4"), 1);
  lk_gallery_close(gallery);

  /* The log has one writer, so the binding moves to another one. */
  cr_assert_eq(lk_gallery_bind(folder, &none, &error), LK_OK, "%s", error.text);
  gallery = files_open(folder);
  halting = RULES("forbid", "never");
  lk_export order = {.progress = halt, .context = (void *)folder};
  uint32_t before = files_count(files_root);
  cr_assert_eq(lk_gallery_export_file(gallery, files_path("late.lkg"), &order, NULL, &error), LK_EPOLICY, "%s",
               error.text);
  cr_assert_eq(files_count(files_root), before);
  lk_gallery_close(gallery);

  /* The new gallery is bound to nothing, or to what the importer says. */
  lk_binding binding = {.policy = files_path("p.yaml")};
  lk_import bound = {.binding = &binding}, unbound = {.binding = NULL};
  cr_assert_eq(lk_gallery_import_file(files_path("free"), files_path("ok.lkg"), &unbound, &error), LK_OK);
  cr_assert_eq(lk_gallery_import_file(files_path("held"), files_path("ok.lkg"), &bound, &error), LK_OK, "%s",
               error.text);
  gallery = files_open(files_path("held"));
  cr_assert_eq(lk_gallery_export_file(gallery, files_path("out.lkg"), &plainly, NULL, &error), LK_EPOLICY);
  lk_gallery_close(gallery);
}
