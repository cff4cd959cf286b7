#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/folder.h"
#include "tests/support/faulty_disk.h"
#include "tests/support/files.h"

TestSuite(folder, .init = files_setup, .fini = files_teardown);

static const lk_folder *root(void) { return files_folder(files_root); }

static void check_file(const char *name, const char *content) {
  size_t size;
  char *read = files_read(files_path(name), &size);
  cr_assert(size == strlen(content) && memcmp(read, content, size) == 0, "%s", name);
  free(read);
}

static void limit_file_size(rlim_t bytes) {
  signal(SIGXFSZ, SIG_IGN);
  cr_assert_eq(setrlimit(RLIMIT_FSIZE, &(struct rlimit){.rlim_cur = bytes, .rlim_max = RLIM_INFINITY}), 0);
}

Test(folder, a_new_file_is_mapped_and_sealed) {
  lk_new_file file;
  cr_assert_eq(lk_folder_make_file(root(), "made", 100000, &file, NULL), LK_OK);
  memset(file.data, 7, 100000);
  cr_assert_eq(lk_folder_seal_file(root(), "made", &file, NULL), LK_OK);
  size_t size;
  char *read = files_read(files_path("made"), &size);
  cr_assert_eq(size, 100000);
  cr_assert(read[0] == 7 && read[99999] == 7);
  free(read);
}

Test(folder, a_new_file_replaces_a_longer_one) {
  files_write(files_path("made"), "something longer than that", 26);
  lk_new_file file;
  cr_assert_eq(lk_folder_make_file(root(), "made", 3, &file, NULL), LK_OK);
  memcpy(file.data, "abc", 3);
  cr_assert_eq(lk_folder_seal_file(root(), "made", &file, NULL), LK_OK);
  check_file("made", "abc");
}

Test(folder, without_room_nothing_is_made) {
  lk_error error;
  lk_new_file file;
  limit_file_size(4096);
  cr_assert_eq(lk_folder_make_file(root(), "made", 100000, &file, &error), LK_EIO);
  cr_assert_not_null(strstr(error.text, "/made: cannot reserve space"), "%s", error.text);
  cr_assert_eq(files_count(files_root), 0);
}

Test(folder, replace_is_all_or_nothing) {
  char *big = calloc(1, 100000);
  cr_assert_eq(lk_folder_replace(root(), "it", "old", 3, NULL), LK_OK);
  cr_assert_eq(lk_folder_replace(root(), "it", "new!", 4, NULL), LK_OK);
  limit_file_size(4096);
  cr_assert_eq(lk_folder_replace(root(), "it", big, 100000, NULL), LK_EIO);
  limit_file_size(RLIM_INFINITY);
  check_file("it", "new!");
  cr_assert_eq(files_count(files_root), 1);
  free(big);
}

/* At each of its calls, with any part of what was not synced. */
Test(folder, replace_is_all_or_nothing_when_the_power_goes) {
  random_state random = {3};
  lk_folder folder = *root();
  folder.disk = &faulty_disk;
  faulty_disk_start(&folder);
  for (uint32_t round = 0; round < 400; round++) {
    char new[2000];
    size_t size;
    memset(new, 'n', sizeof new);
    cr_assert_eq(lk_folder_replace(&folder, "it", "old", 3, NULL), LK_OK);
    faulty_disk_start(&folder);
    faulty_disk_fail(1 + round % 6, EIO, true);
    lk_status status = lk_folder_replace(&folder, "it", new, sizeof new, NULL);
    cr_assert_eq(status == LK_OK, faulty_disk_calls() < 1 + round % 6);
    faulty_disk_cut_power(round % 2 == 0 ? NULL : &random);
    char *read = files_read(files_path("it"), &size);
    bool is_new = size == sizeof new &&memcmp(read, new, size) == 0;
    cr_assert(is_new || (status != LK_OK && size == 3 && memcmp(read, "old", 3) == 0), "round %u: %zu bytes", round,
              size);
    free(read);
  }
}

/* The disk has what a map had when its file was sealed: after that all of it, before that perhaps a part of it. */
Test(folder, a_new_file_is_on_the_disk_once_it_is_sealed) {
  enum { SIZE = 5000 };
  random_state random = {5};
  lk_folder folder = *root();
  folder.disk = &faulty_disk;
  faulty_disk_start(&folder);
  for (uint32_t round = 0; round < 400; round++) {
    lk_new_file file;
    char whole[SIZE];
    size_t size;
    memset(whole, 'a' + (int)(round % 26), SIZE);
    files_write(files_path("made"), "old", 3);
    faulty_disk_start(&folder);
    faulty_disk_fail(1 + round % 4, EIO, true);
    lk_status status = lk_folder_make_file(&folder, "made", SIZE, &file, NULL);
    if (status == LK_OK) {
      memcpy(file.data, whole, SIZE);
      status = lk_folder_seal_file(&folder, "made", &file, NULL);
    }
    bool sealed = status == LK_OK, named = sealed && lk_folder_sync(&folder, NULL) == LK_OK;
    cr_assert(sealed == (round % 4 >= 2) && named == (round % 4 == 3), "round %u", round);
    faulty_disk_cut_power(round % 8 < 4 ? NULL : &random);
    if (access(files_path("made"), F_OK) != 0) {
      cr_assert(!named && round % 8 >= 4);
      continue;
    }
    char *read = files_read(files_path("made"), &size);
    bool is_old = size == 3 && memcmp(read, "old", 3) == 0, is_whole = size == SIZE && memcmp(read, whole, SIZE) == 0;
    cr_assert(named ? is_whole : round % 8 >= 4 || is_old, "round %u: %zu bytes", round, size);
    if (sealed) cr_assert(is_old || is_whole, "round %u: %zu bytes", round, size);
    free(read);
  }
}

Test(folder, what_a_killed_process_left_is_replaced) {
  files_write(files_path("it.new"), "hal", 3);
  cr_assert_eq(lk_folder_replace(root(), "it", "whole", 5, NULL), LK_OK);
  check_file("it", "whole");
  cr_assert_eq(files_count(files_root), 1);
}

/* The link's target stays as it is, under the name itself and under the one of the new file. */
Test(folder, links_are_not_written_through) {
  lk_new_file file;
  lk_error error;
  files_write(files_path("victim"), "precious", 8);
  const char *const links[] = {"it", "it.new", "made", "created"};
  for (int i = 0; i < 4; i++) cr_assert_eq(symlink(files_path("victim"), files_path(links[i])), 0);
  cr_assert_eq(lk_folder_replace(root(), "it", "x", 1, NULL), LK_OK);
  cr_assert_eq(lk_folder_make_file(root(), "made", 1, &file, NULL), LK_OK);
  cr_assert_eq(lk_folder_seal_file(root(), "made", &file, NULL), LK_OK);
  cr_assert(lk_folder_create_file(root(), "created", O_WRONLY) < 0 && errno == EEXIST);
  cr_assert(lk_folder_open_file(root(), "created", O_WRONLY) < 0 && errno == ELOOP);
  check_file("victim", "precious");
  lk_file read;
  cr_assert_eq(lk_folder_read(root(), "created", &read, &error), LK_EFORMAT);
  cr_assert_eq(lk_folder_map(root(), "created", &read, &error), LK_EFORMAT);
  cr_assert_not_null(strstr(error.text, "/created: a symbolic link"), "%s", error.text);
}

/* The folder stays the one that was opened. */
Test(folder, another_folder_in_its_place_has_no_effect) {
  lk_folder folder;
  lk_file read;
  cr_assert(mkdir(files_path("a"), 0700) == 0 && mkdir(files_path("b"), 0700) == 0);
  cr_assert_eq(lk_folder_open(files_path("a"), &folder, NULL), LK_OK);
  cr_assert(rename(files_path("a"), files_path("moved")) == 0 && symlink("b", files_path("a")) == 0);
  cr_assert_eq(lk_folder_replace(&folder, "it", "x", 1, NULL), LK_OK);
  cr_assert_eq(lk_folder_read(&folder, "it", &read, NULL), LK_OK);
  lk_file_free(&read);
  cr_assert_eq(files_count(files_path("b")), 0);
  check_file("moved/it", "x");
  lk_folder_close(&folder);
}

/* Its path is the one that the link led to, also where the link's ends in slashes. */
Test(folder, a_link_that_leads_elsewhere_later_has_no_effect) {
  static const char *const paths[] = {"link", "link//"};
  lk_folder folder;
  char target[PATH_MAX], root[PATH_MAX];
  cr_assert_not_null(realpath(files_root, root));
  snprintf(target, sizeof target, "%.4000s/one", root);
  cr_assert(mkdir(files_path("one"), 0700) == 0 && symlink("one", files_path("link")) == 0);
  for (int i = 0; i < 2; i++) {
    cr_assert_eq(lk_folder_open(files_path(paths[i]), &folder, NULL), LK_OK);
    cr_assert_str_eq(folder.path, target);
    lk_folder_close(&folder);
  }
  cr_assert_eq(lk_folder_open(files_path("one/"), &folder, NULL), LK_OK);
  cr_assert_str_eq(folder.path, files_path("one/"), "what is no link is left as it is written");
  lk_folder_close(&folder);
}

Test(folder, make_says_whether_it_made_it) {
  lk_folder folder;
  lk_error error;
  bool made = false;
  cr_assert_eq(lk_folder_make(files_path("new"), &folder, &made, NULL), LK_OK);
  cr_assert(made);
  lk_folder_close(&folder);
  cr_assert_eq(lk_folder_make(files_path("new"), &folder, &made, NULL), LK_OK);
  cr_assert_not(made);
  lk_folder_close(&folder);
  files_write(files_path("file"), "", 0);
  cr_assert_eq(lk_folder_make(files_path("file"), &folder, &made, &error), LK_EIO);
  cr_assert_eq(lk_folder_make(files_path("no/new"), &folder, &made, &error), LK_EIO);
  cr_assert_not_null(strstr(error.text, "no/new: cannot make the folder: No such file"), "%s", error.text);
}

Test(folder, one_writer_at_a_time) {
  int lock, second;
  lk_error error;
  char process[32];
  snprintf(process, sizeof process, ", process %d on host ", (int)getpid());
  cr_assert_eq(lk_folder_lock(root(), "writes", &lock, NULL), LK_OK);
  cr_assert_eq(lk_folder_lock(root(), "writes", &second, &error), LK_EBUSY);
  cr_assert_not_null(strstr(error.text, "/LOCK: another process writes, and holds this file's lock: "), "%s",
                     error.text);
  cr_assert_not_null(strstr(error.text, process), "%s", error.text);
  close(lock);
  cr_assert_eq(lk_folder_lock(root(), "writes", &lock, NULL), LK_OK);
  close(lock);
}

/* Of a text longer than a name's, only so much is told; of one that nobody wrote, nothing. */
Test(folder, the_name_in_a_lock_is_only_a_text) {
  int lock, second;
  lk_error error;
  char text[2000];
  memset(text, 'x', sizeof text);
  cr_assert_eq(lk_folder_lock(root(), "writes", &lock, NULL), LK_OK);
  cr_assert_eq(pwrite(lock, text, sizeof text, 0), (ssize_t)sizeof text);
  cr_assert_eq(lk_folder_lock(root(), "writes", &second, &error), LK_EBUSY);
  cr_assert_not_null(strstr(error.text, "lock: xxx"));
  cr_assert_lt(strlen(strstr(error.text, "lock: ")), 300);
  cr_assert_eq(ftruncate(lock, 0), 0);
  cr_assert_eq(lk_folder_lock(root(), "writes", &second, &error), LK_EBUSY);
  cr_assert_str_eq(strstr(error.text, "lock"), "lock");
  close(lock);
}

Test(folder, replace_path_in_the_current_folder) {
  cr_assert_eq(chdir(files_root), 0);
  cr_assert_eq(lk_folder_replace_path("plain", "x", 1, NULL), LK_OK);
  cr_assert_eq(lk_folder_replace_path("./other", "x", 1, NULL), LK_OK);
  cr_assert_eq(lk_folder_replace_path(files_path("third"), "x", 1, NULL), LK_OK);
  cr_assert_eq(files_count(files_root), 3);
}

Test(folder, replace_refuses_long_paths) {
  char path[2 * PATH_MAX];
  lk_error error;
  memset(path, 'p', sizeof path);
  path[NAME_MAX - 3] = '\0'; /* no room for the new file's ".new" */
  cr_assert_eq(lk_folder_replace_path(path, "x", 1, &error), LK_EINVAL);
  cr_assert_not_null(strstr(error.text, "ppp"), "%s", error.text);
  path[NAME_MAX - 3] = '/';
  path[sizeof path - 3] = '/';
  path[sizeof path - 1] = '\0';
  cr_assert_eq(lk_folder_replace_path(path, "x", 1, &error), LK_EINVAL);
}
