/* What may happen while an export is under way: the progress is called in its midst. */
#include <likeness/owner.h>
#include <likeness/portable.h>

#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"
#include "index/gallery/gallery.h"
#include "tests/support/files.h"

enum { DIM = 2, ROWS = 4, MANY = 5000 };

static lk_error error;
static const float rows[ROWS * DIM] = {1, 2, 3, 4, 5, 6, 7, 8};
static const lk_export plainly;
static const lk_import unbound;
static lk_gallery *gallery;
static bool is_old; /* the file system cannot rename without replacing */

TestSuite(departure, .init = files_setup, .fini = files_teardown);

int __wrap_renameat2(int from_folder, const char *from, int to_folder, const char *to, unsigned int flags);
int __real_renameat2(int from_folder, const char *from, int to_folder, const char *to, unsigned int flags);

int __wrap_renameat2(int from_folder, const char *from, int to_folder, const char *to, unsigned int flags) {
  errno = EINVAL;
  return is_old ? -1 : __real_renameat2(from_folder, from, to_folder, to, flags);
}

static const char *make(void) {
  const char *folder = files_gallery("g", LK_L2, DIM);
  files_enroll(folder, rows, ROWS, DIM, NULL);
  return folder;
}

static lk_status export_file(const lk_export *order) {
  return lk_gallery_export_file(gallery, files_path("g.lkg"), order, NULL, &error);
}

static lk_status export_arrays(const lk_export *order) {
  return lk_gallery_export_arrays(gallery, files_path("x.npy"), files_path("x.csv"), order, NULL, &error);
}

/* ---- the log ---- */

static uint32_t logged(void) {
  return files_lines_with(files_path("log"), "audit-000001.log", "\"type\":\"decision\"");
}

static void expect_logged(void *context, uint64_t done, uint64_t total) {
  (void)done, (void)total;
  *(bool *)context = true;
  cr_assert_eq(logged(), 1, "whoever kills the process now has a file that no log knows of");
}

/* Not only once the file is written. */
Test(departure, the_decision_is_in_the_log_before_the_first_template_leaves) {
  static const char rules[] = "policy: 1\nname: t\nrules:\n- {id: all, effect: permit, text: yes}\n";
  const char *folder = make();
  bool called = false;
  files_write(files_path("p.yaml"), rules, strlen(rules));
  lk_binding binding = {.policy = files_path("p.yaml"), .audit = files_path("log")};
  cr_assert_eq(lk_gallery_bind(folder, &binding, &error), LK_OK, "%s", error.text);
  gallery = files_open(folder);
  lk_export order = {.progress = expect_logged, .context = &called};
  cr_assert_eq(export_file(&order), LK_OK, "%s", error.text);
  cr_assert(called);
  lk_gallery_close(gallery);
}

/* ---- changes ---- */

static void change(lk_owner *owner, lk_change_kind kind, const char *key, uint64_t value) {
  lk_change c = {.kind = kind, .key = lk_text_of(key)};
  if (kind == LK_CHANGE_TAG) c.tags = value, c.mask = UINT64_MAX;
  if (kind == LK_CHANGE_EXPIRE) c.expires_ms = value;
  cr_assert_eq(lk_owner_change(owner, &c, 1, NULL, NULL, &error), LK_OK, "%s", error.text);
}

static void enroll(lk_owner *owner, const char *key) {
  lk_vectors vectors = files_vectors(rows, 1, DIM);
  lk_label label = {.key = lk_text_of(key)};
  lk_enrollment enrollment = {.vectors = &vectors, .labels = &label};
  cr_assert_eq(lk_owner_enroll(owner, &enrollment, NULL, NULL, &error), LK_OK, "%s", error.text);
}

/* Whoever waits to change the gallery keeps all searches out. */
static void change_all(void *context, uint64_t done, uint64_t total) {
  lk_owner *owner = context;
  pthread_rwlock_t *lock = &gallery->contents->lock;
  cr_assert(done == 0 && total == ROWS);
  cr_assert_eq(pthread_rwlock_trywrlock(lock), 0, "the export keeps changes out");
  pthread_rwlock_unlock(lock);
  change(owner, LK_CHANGE_TAG, "0", 8);
  change(owner, LK_CHANGE_EXPIRE, "1", 1);
  change(owner, LK_CHANGE_DELETE_KEY, "2", 0);
  enroll(owner, "2");
  cr_assert_eq(lk_owner_compact(owner, NULL, NULL, &error), LK_OK, "%s", error.text);
}

static void expect_what_was(void) {
  lk_gallery_stat stat;
  cr_assert_eq(lk_gallery_import_file(files_path("h"), files_path("g.lkg"), &unbound, &error), LK_OK, "%s", error.text);
  lk_gallery *moved = files_open(files_path("h"));
  lk_gallery_stat_get(moved, &stat);
  cr_assert(stat.templates == ROWS && stat.next_number == ROWS);
  for (uint64_t i = 0; i < ROWS; i++) {
    lk_template t = lk_gallery_template(moved, i);
    cr_assert(t.number == i && t.expires_ms == (i == 1 ? LK_NEVER - 1 : LK_NEVER) && t.tags == (i == 0 ? 5 : 0),
              "template %d", (int)i);
  }
  lk_gallery_close(moved);
}

/* Another time, other tags: each of a row of which nothing was said before, or something. */
static void change_meanwhile(bool changed_before) {
  lk_owner *owner;
  lk_label labels[ROWS] = {{.tags = 5}, {.expires_ms = LK_NEVER - 1}};
  const char *folder = files_gallery("g", LK_L2, DIM);
  for (int i = 0; i < ROWS; i++) labels[i].key = lk_text_of(&"0\0001\0002\0003"[2 * i]);
  if (changed_before) labels[0].tags = 0, labels[1].expires_ms = 0;
  files_enroll(folder, rows, ROWS, DIM, labels);
  cr_assert_eq(lk_owner_open(folder, &owner, &error), LK_OK, "%s", error.text);
  gallery = lk_owner_gallery(owner);
  if (changed_before) {
    change(owner, LK_CHANGE_TAG, "0", 5);
    change(owner, LK_CHANGE_EXPIRE, "1", LK_NEVER - 1);
  }
  lk_export order = {.progress = change_all, .context = owner};
  cr_assert_eq(export_file(&order), LK_OK, "%s", error.text);
  expect_what_was();
  lk_owner_close(owner);
}

/* The progress is called once, since there are few templates. */
Test(departure, changes_go_on_and_the_file_has_what_was) { change_meanwhile(false); }
Test(departure, changes_go_on_where_there_were_others) { change_meanwhile(true); }

/* ---- names ---- */

static void make_file(void *context, uint64_t done, uint64_t total) {
  (void)total;
  if (done > 0) files_write(context, "mine", 4);
}

static void expect_mine(const char *path) {
  size_t size;
  char *data = files_read(path, &size);
  cr_assert(size == 4 && memcmp(data, "mine", 4) == 0, "%s was replaced", path);
  free(data);
}

static void expect_kept(lk_status export(const lk_export *), const char *name) {
  char path[PATH_MAX];
  strcpy(path, files_path(name));
  lk_export order = {.progress = make_file, .context = path};
  cr_assert_eq(export(&order), LK_EEXIST, "%s: %s", name, error.text);
  cr_assert(strstr(error.text, name) != NULL && strstr(error.text, "exists already") != NULL, "%s", error.text);
  expect_mine(path);
  cr_assert_eq(files_count(files_root), 2, "%s: nothing but the gallery and the file", name);
  cr_assert_eq(unlink(path), 0);
}

/* A file that came after the export had begun: the progress is called again after some thousands of templates. */
static void keep_all(void) {
  random_state random = {1};
  const char *folder = files_gallery("g", LK_L2, DIM);
  float *many = files_random(&random, MANY, DIM);
  files_enroll(folder, many, MANY, DIM, NULL);
  free(many);
  gallery = files_open(folder);
  expect_kept(export_file, "g.lkg");
  expect_kept(export_arrays, "x.csv");
  expect_kept(export_arrays, "x.npy");
  cr_assert_eq(export_file(&plainly), LK_OK, "%s", error.text);
  cr_assert_eq(export_arrays(&plainly), LK_OK, "%s", error.text);
  cr_assert_eq(files_count(files_root), 4, "the gallery, and three files");
  lk_gallery_close(gallery);
}

Test(departure, what_others_make_meanwhile_is_kept) { keep_all(); }

Test(departure, it_is_kept_on_an_older_file_system) {
  is_old = true;
  keep_all();
}

/* ---- a gallery that is behind ---- */

static void expect_behind(lk_status status) {
  cr_assert_eq(status, LK_EIO);
  cr_assert_not_null(strstr(error.text, "is behind its files: the device failed"), "%s", error.text);
}

/* Rows that were deleted may seem to live there. */
Test(departure, nothing_leaves_a_gallery_that_is_behind_its_files) {
  float vector[DIM] = {0};
  gallery = files_open(make());
  strcpy(gallery->contents->failure.text, "the device failed");
  expect_behind(export_file(&plainly));
  expect_behind(export_arrays(&plainly));
  expect_behind(lk_gallery_export(gallery, 0, 1, NULL, vector, &error));
  cr_assert_eq(vector[0], 0);
  expect_behind(lk_gallery_check(gallery, &error));
  cr_assert_eq(files_count(files_root), 1);
  lk_gallery_close(gallery);
}
