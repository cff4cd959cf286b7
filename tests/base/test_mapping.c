#include <criterion/criterion.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "tests/support/files.h"

TestSuite(mapping, .init = files_setup, .fini = files_teardown);

enum { PAGE = 4096, PAGES = 3 };

static lk_file map_file(const char *name) {
  static char bytes[PAGES * PAGE];
  memset(bytes, 'x', sizeof bytes);
  files_write(files_path(name), bytes, sizeof bytes);
  lk_file file;
  lk_error error;
  cr_assert_eq(lk_file_map(files_path(name), &file, &error), LK_OK, "%s", error.text);
  return file;
}

static uint32_t count_of(const lk_file *file, char byte) {
  uint32_t count = 0;
  for (size_t i = 0; i < file->size; i++) count += ((const volatile char *)file->data)[i] == byte;
  return count;
}

Test(mapping, pages_that_are_gone_are_zeros_and_the_mapping_says_so) {
  lk_file cut = map_file("cut"), whole = map_file("whole");
  cr_assert_eq(truncate(files_path("cut"), PAGE), 0);
  cr_assert_eq(lk_file_check(&cut, "cut", NULL), LK_OK, "nothing was read yet");
  cr_assert_eq(count_of(&cut, 'x'), PAGE);
  cr_assert_eq(count_of(&cut, '\0'), (PAGES - 1) * PAGE);
  lk_error error;
  cr_assert_eq(lk_file_check(&cut, "cut", &error), LK_EIO);
  cr_assert_str_eq(error.text, "cut: the file was cut off, or could not be read, while it was in use");
  cr_assert_eq(lk_file_check_at((const char *)cut.data + 5, "cut", NULL), LK_EIO);
  cr_assert_eq(count_of(&whole, 'x'), PAGES * PAGE);
  cr_assert_eq(lk_file_check(&whole, "whole", NULL), LK_OK);
  cr_assert_eq(lk_file_check_at(&error, "the stack", NULL), LK_OK);
  lk_file_unmap(&cut);
  cut = map_file("again");
  cr_assert_eq(lk_file_check(&cut, "again", NULL), LK_OK, "a mapping that is used again is whole");
  lk_file_unmap(&cut);
  lk_file_unmap(&whole);
}

Test(mapping, more_than_the_first) {
  enum { MANY = 300 };
  static lk_file files[MANY];
  for (int i = 0; i < MANY; i++) files[i] = map_file("many");
  cr_assert_eq(truncate(files_path("many"), PAGE), 0);
  cr_assert_eq(count_of(&files[MANY - 1], 'x'), PAGE);
  for (int i = 0; i < MANY; i++) {
    cr_assert_eq(lk_file_check(&files[i], "f", NULL), i == MANY - 1 ? LK_EIO : LK_OK, "%d", i);
    lk_file_unmap(&files[i]);
  }
}

static void exit_7(int number) { _exit(number == SIGBUS ? 7 : 1); }

/* A SIGBUS that is not ours ends the process as before, or goes to the handler that was there. */
static int status_of_stranger(bool handled) {
  pid_t child = fork();
  if (child == 0) {
    if (handled) signal(SIGBUS, exit_7);
    map_file("known");
    int fd = memfd_create("stranger", 0);
    const volatile char *page = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, 0);
    _exit(page[0] == 0 ? 0 : 1);
  }
  int status;
  waitpid(child, &status, 0);
  return status;
}

Test(mapping, a_fault_elsewhere_is_passed_on) {
  int status = status_of_stranger(true);
  cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 7, "status %d", status);
  status = status_of_stranger(false);
  cr_assert(WIFSIGNALED(status) || WEXITSTATUS(status) != 0, "status %d", status);
}
