/* Memory runs out while galleries move, at every place where any is asked for: what fails says so and leaves nothing.
 */
#include <criterion/criterion.h>
#include <likeness/owner.h>
#include <likeness/portable.h>
#include <stdlib.h>
#include <unistd.h>

#include "index/gallery/gallery.h"
#include "tests/support/allocations.h"
#include "tests/support/files.h"

enum { DIM = 8, ROWS = 700 };

TestSuite(portable_memory, .init = files_setup, .fini = files_teardown);

static lk_gallery *gallery;
static const lk_export plainly;
static const lk_import unbound;

/* Of each kind one. */
static void change(const char *folder) {
  static const lk_change changes[] = {{.kind = LK_CHANGE_TAG, .key = {"0", 1}, .tags = 1, .mask = 1},
                                      {.kind = LK_CHANGE_EXPIRE, .key = {"1", 1}, .expires_ms = LK_NEVER - 1},
                                      {.kind = LK_CHANGE_DELETE_KEY, .key = {"2", 1}}};
  lk_owner *owner;
  cr_assert_eq(lk_owner_open(folder, &owner, NULL), LK_OK);
  for (int i = 0; i < 3; i++) cr_assert_eq(lk_owner_change(owner, &changes[i], 1, NULL, NULL, NULL), LK_OK);
  lk_owner_close(owner);
}

static const char *make(void) {
  random_state random = {5};
  const char *folder = files_gallery("g", LK_IP, DIM);
  float *rows = files_random(&random, ROWS + 1, DIM);
  files_enroll(folder, rows, ROWS + 1, DIM, NULL);
  free(rows);
  change(folder);
  return folder;
}

static lk_status export(lk_error *error) {
  return lk_gallery_export_file(gallery, files_path("g.lkg"), &plainly, NULL, error);
}
static lk_status export_arrays(lk_error *error) {
  return lk_gallery_export_arrays(gallery, files_path("x.npy"), files_path("x.csv"), &plainly, NULL, error);
}
static lk_status import(lk_error *error) {
  return lk_gallery_import_file(files_path("h"), files_path("g.lkg"), &unbound, error);
}
static lk_status alias(lk_error *error) { return lk_gallery_alias(files_path("a"), files_path("g"), NULL, error); }

static void check_nothing(void) { cr_assert_eq(files_count(files_root), 1); }
static void check_exported(void) { cr_assert_eq(unlink(files_path("g.lkg")), 0); }
static void check_arrays(void) { cr_assert(unlink(files_path("x.npy")) == 0 && unlink(files_path("x.csv")) == 0); }
static void check_no_folder(void) { cr_assert_neq(access(files_path("h"), F_OK), 0); }
static void check_imported(void) {
  lk_gallery *opened = files_open(files_path("h"));
  cr_assert_eq(lk_gallery_check(opened, NULL), LK_OK);
  cr_assert_eq(opened->contents->catalog->rows, ROWS);
  lk_gallery_close(opened);
  files_remove_folder(files_path("h"));
}
static void check_alias(void) { cr_assert_eq(unlink(files_path("a")), 0); }

Test(portable_memory, exports) {
  static const allocations_trial file = {"export",      allocations_nothing, export,
                                         check_nothing, check_exported,      allocations_nothing};
  static const allocations_trial arrays = {"arrays",      allocations_nothing, export_arrays,
                                           check_nothing, check_arrays,        allocations_nothing};
  gallery = files_open(make());
  allocations_try_all(&file, 5);
  allocations_try_all(&arrays, 5);
  lk_gallery_close(gallery);
}

Test(portable_memory, import) {
  static const allocations_trial trial = {"import",        allocations_nothing, import,
                                          check_no_folder, check_imported,      allocations_nothing};
  gallery = files_open(make());
  cr_assert_eq(export(NULL), LK_OK);
  lk_gallery_close(gallery);
  allocations_try_all(&trial, 20);
}

Test(portable_memory, alias) {
  static const allocations_trial trial = {"alias",       allocations_nothing, alias,
                                          check_nothing, check_alias,         allocations_nothing};
  make();
  allocations_try_all(&trial, 10);
}
