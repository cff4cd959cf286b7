#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "tests/support/files.h"

TestSuite(file, .init = files_setup, .fini = files_teardown);

Test(file, maps_what_was_written) {
  files_write(files_path("a"), "twelve bytes", 12);
  lk_file file;
  cr_assert_eq(lk_file_map(files_path("a"), &file, NULL), LK_OK);
  cr_assert_eq(file.size, 12);
  cr_assert_arr_eq(file.data, "twelve bytes", 12);
  lk_file_unmap(&file);
  cr_assert_null(file.data);
}

Test(file, an_empty_file_has_no_data) {
  files_write(files_path("empty"), "", 0);
  lk_file file;
  cr_assert_eq(lk_file_map(files_path("empty"), &file, NULL), LK_OK);
  cr_assert_null(file.data);
  cr_assert_eq(file.size, 0);
  lk_file_unmap(&file);
}

/* A copy: what happens to the file afterwards does not reach it. */
Test(file, reads_a_copy) {
  files_write(files_path("a"), "twelve bytes", 12);
  lk_file file;
  cr_assert_eq(lk_file_read(files_path("a"), &file, NULL), LK_OK);
  files_write(files_path("a"), "another text", 12);
  cr_assert_eq(file.size, 12);
  cr_assert_str_eq(file.data, "twelve bytes");
  lk_file_free(&file);
  files_write(files_path("empty"), "", 0);
  cr_assert_eq(lk_file_read(files_path("empty"), &file, NULL), LK_OK);
  cr_assert(file.size == 0 && ((const char *)file.data)[0] == '\0');
  lk_file_free(&file);
  cr_assert_eq(lk_file_read(files_path("missing"), &file, NULL), LK_EIO);
  cr_assert_eq(lk_file_read(files_root, &file, NULL), LK_EFORMAT);
}

Test(file, what_cannot_be_mapped_is_named) {
  lk_error error;
  lk_file file;
  cr_assert_eq(lk_file_map(files_path("missing"), &file, &error), LK_EIO);
  cr_assert_not_null(strstr(error.text, "/missing: cannot open: No such file"), "%s", error.text);
  cr_assert_eq(lk_file_map(files_root, &file, &error), LK_EFORMAT);
  cr_assert_not_null(strstr(error.text, "not a regular file"), "%s", error.text);
}

Test(file, join_refuses_long_paths) {
  char path[PATH_MAX], folder[PATH_MAX];
  cr_assert_eq(lk_file_join(path, "a/b", "c", NULL), LK_OK);
  cr_assert_str_eq(path, "a/b/c");
  memset(folder, 'f', sizeof folder);
  folder[PATH_MAX - 3] = '\0';
  cr_assert_eq(lk_file_join(path, folder, "n", NULL), LK_OK);
  cr_assert_eq(strlen(path), PATH_MAX - 1);
  cr_assert_eq(lk_file_join(path, folder, "nm", NULL), LK_EINVAL);
}
