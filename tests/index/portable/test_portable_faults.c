/* Moving galleries while the disk fails or the power does, at every call that writes. */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"
#include "index/gallery/gallery.h"
#include "index/portable/export_file.h"
#include "index/portable/import_file.h"
#include "tests/support/faulty_disk.h"
#include "tests/support/files.h"

enum { DIM = 2, ROWS = 3 };

static lk_error error;
static lk_folder folder; /* on the faulty disk */
static lk_gallery *gallery;
static lk_file file; /* the gallery, exported */
static const lk_export plainly;
static const lk_import unbound;

static void setup(void) {
  files_setup();
  const char *from = files_gallery("g", LK_IP, DIM);
  files_enroll(from, (float[]){1, 2, 3, 4, 5, 6}, ROWS, DIM, NULL);
  gallery = files_open(from);
  cr_assert_eq(lk_gallery_export_file(gallery, files_path("g.lkg"), &plainly, NULL, &error), LK_OK, "%s", error.text);
  cr_assert_eq(lk_file_map(files_path("g.lkg"), &file, &error), LK_OK);
  bool made;
  cr_assert_eq(lk_folder_make(files_path("to"), &folder, &made, &error), LK_OK);
  folder.disk = &faulty_disk;
}

static void teardown(void) {
  faulty_disk_stop();
  lk_folder_close(&folder);
  lk_file_unmap(&file);
  lk_gallery_close(gallery);
  files_teardown();
}

TestSuite(portable_faults, .init = setup, .fini = teardown);

static lk_status export(void) { return lk_export_file_in(gallery, &folder, "out.lkg", &plainly, NULL, &error); }

static lk_status import(void) {
  lk_import_source source = {.file = &file, .name = "g.lkg", .order = &unbound};
  return lk_import_into(&source, &folder, &error);
}

/* Empties the folder. */
static void start(void) {
  static const char *const names[] = {"MANIFEST", "MANIFEST.new", "segment-000001.lks", "out.lkg", "out.lkg.new"};
  faulty_disk_fail(0, 0, false);
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) lk_folder_remove(&folder, names[i]);
  cr_assert_eq(files_count(folder.path), 0);
  faulty_disk_start(&folder);
}

/* What is there under its name is complete. */
static bool is_exported(void) {
  size_t size;
  if (faccessat(folder.fd, "out.lkg", F_OK, 0) != 0) return false;
  char *data = files_read(files_path("to/out.lkg"), &size);
  cr_assert(size == file.size && memcmp(data, file.data, size) == 0);
  free(data);
  return true;
}

static bool is_imported(void) {
  if (faccessat(folder.fd, LK_MANIFEST_FILE, F_OK, 0) != 0) return false;
  lk_gallery *opened = files_open(folder.path);
  lk_gallery_stat stat;
  lk_gallery_stat_get(opened, &stat);
  cr_assert_eq(stat.templates, ROWS);
  cr_assert_eq(lk_gallery_check(opened, &error), LK_OK, "%s", error.text);
  lk_gallery_close(opened);
  return true;
}

/* `run` with each of its calls failing in turn: it says so, and leaves nothing; then the power goes. */
static void fail_each(lk_status run(void), bool is_there(void)) {
  random_state random = {5};
  bool done = false;
  uint32_t nth = 1;
  for (; !done; nth++)
    for (int round = 0; round < 12; round++) {
      start();
      faulty_disk_fail(nth, round % 2 == 0 ? EIO : ENOSPC, round % 4 < 2);
      lk_status status = run();
      done = status == LK_OK;
      cr_assert_eq(done, faulty_disk_calls() < nth, "call %u failed and nobody noticed", nth);
      if (!done) cr_assert(status == LK_EIO, "call %u: %s", nth, error.text);
      if (!done && run == import) cr_assert_eq(files_count(folder.path), 0, "call %u left something", nth);
      faulty_disk_fail(0, 0, false);
      faulty_disk_cut_power(round == 0 ? NULL : &random);
      if (run == import && !done) continue; /* removing is not synced, so anything may be there again */
      cr_assert(is_there() || !done, "call %u, round %d", nth, round);
    }
  cr_assert_gt(nth, 4);
}

Test(portable_faults, export_at_every_call) { fail_each(export, is_exported); }
Test(portable_faults, import_at_every_call) { fail_each(import, is_imported); }

Test(portable_faults, an_export_that_fails_leaves_no_file) {
  for (uint32_t nth = 1; nth <= 3; nth++) { /* write, fsync, rename */
    start();
    faulty_disk_fail(nth, ENOSPC, true);
    cr_assert_eq(export(), LK_EIO);
    cr_assert_not_null(strstr(error.text, "No space left"), "%s", error.text);
    cr_assert_eq(files_count(folder.path), 0, "call %u", nth);
  }
}
