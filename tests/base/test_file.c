#include <criterion/criterion.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

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

Test(file, make_and_seal) {
  void *data;
  cr_assert_eq(lk_file_make(files_path("made"), 100000, &data, NULL), LK_OK);
  memset(data, 7, 100000);
  cr_assert_eq(lk_file_seal(files_path("made"), data, 100000, NULL), LK_OK);
  size_t size;
  char *read = files_read(files_path("made"), &size);
  cr_assert_eq(size, 100000);
  cr_assert(read[0] == 7 && read[99999] == 7);
  free(read);
}

Test(file, make_replaces_a_longer_file) {
  files_write(files_path("made"), "something longer than that", 26);
  void *data;
  cr_assert_eq(lk_file_make(files_path("made"), 3, &data, NULL), LK_OK);
  memcpy(data, "abc", 3);
  cr_assert_eq(lk_file_seal(files_path("made"), data, 3, NULL), LK_OK);
  size_t size;
  char *read = files_read(files_path("made"), &size);
  cr_assert(size == 3 && memcmp(read, "abc", 3) == 0);
  free(read);
}

static void limit_file_size(rlim_t bytes) {
  signal(SIGXFSZ, SIG_IGN);
  cr_assert_eq(setrlimit(RLIMIT_FSIZE, &(struct rlimit){.rlim_cur = bytes, .rlim_max = RLIM_INFINITY}), 0);
}

Test(file, without_room_nothing_is_made) {
  lk_error error;
  void *data;
  limit_file_size(4096);
  cr_assert_eq(lk_file_make(files_path("made"), 100000, &data, &error), LK_EIO);
  cr_assert_not_null(strstr(error.text, "made: cannot reserve space"), "%s", error.text);
  cr_assert_eq(files_count(files_root), 0);
}

Test(file, replace_is_all_or_nothing) {
  const char *path = files_path("it");
  char *big = calloc(1, 100000);
  cr_assert_eq(lk_file_replace(path, "old", 3, NULL), LK_OK);
  cr_assert_eq(lk_file_replace(path, "new!", 4, NULL), LK_OK);
  limit_file_size(4096);
  cr_assert_eq(lk_file_replace(path, big, 100000, NULL), LK_EIO);
  limit_file_size(RLIM_INFINITY);
  size_t size;
  char *read = files_read(path, &size);
  cr_assert(size == 4 && memcmp(read, "new!", 4) == 0);
  cr_assert_eq(files_count(files_root), 1);
  free(read);
  free(big);
}

Test(file, replace_in_the_current_folder) {
  cr_assert_eq(chdir(files_root), 0);
  cr_assert_eq(lk_file_replace("plain", "x", 1, NULL), LK_OK);
  cr_assert_eq(files_count(files_root), 1);
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

Test(file, replace_refuses_long_paths) {
  char path[PATH_MAX];
  lk_error error;
  memset(path, 'p', sizeof path);
  path[PATH_MAX - 4] = '\0'; /* no room for the new file's ".new" */
  cr_assert_eq(lk_file_replace(path, "x", 1, &error), LK_EINVAL);
  cr_assert_not_null(strstr(error.text, "ppp"), "%s", error.text);
}
