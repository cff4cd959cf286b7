#include "index/formats/vectors/child.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

static const lk_child limits = {.processor_s = 1, .wait_ms = 3000};

static lk_status run(lk_child_work *work, const void *task, int *answer, lk_error *error) {
  *answer = 0;
  return lk_child_run("file", &limits, work, task, answer, sizeof *answer, error);
}

static void check_ends(lk_child_work *work, const void *task, lk_status status, const char *wanted) {
  int answer;
  lk_error error = {0};
  cr_assert_eq(run(work, task, &answer, &error), status, "%s: %s", wanted, error.text);
  cr_assert_str_eq(error.text, wanted);
}

static void give_square(lk_child *child, const void *task, void *answer) {
  (void)child;
  const int *number = task;
  *(int *)answer = *number * *number;
}

Test(child, answers) {
  int answer, number = 7;
  cr_assert_eq(run(give_square, &number, &answer, NULL), LK_OK);
  cr_assert_eq(answer, 49);
}

static void end_by_signal(lk_child *child, const void *task, void *answer) {
  (void)child, (void)answer;
  raise(*(const int *)task);
}

static void end_by_exit(lk_child *child, const void *task, void *answer) {
  (void)child, (void)answer;
  _exit(*(const int *)task);
}

Test(child, ends_without_an_answer) {
  static const struct {
    int signal;
    lk_status status;
    const char *words;
  } cases[] = {{SIGSEGV, LK_EFORMAT, "file: its library failed on this file: it is damaged"},
               {SIGABRT, LK_EFORMAT, "file: its library failed on this file: it is damaged"},
               {SIGINT, LK_EIO, "file: the process that reads it was stopped"},
               {SIGTERM, LK_EIO, "file: the process that reads it was stopped"},
               {SIGHUP, LK_EIO, "file: the process that reads it was stopped"},
               {SIGKILL, LK_EIO, "file: the process that reads it was killed; there may be too little memory"}};
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
    check_ends(end_by_signal, &cases[i].signal, cases[i].status, cases[i].words);
  check_ends(end_by_exit, &(int){1}, LK_EIO, "file: the process that reads it ended with exit code 1");
  check_ends(end_by_exit, &(int){0}, LK_EIO, "file: the process that reads it ended with exit code 0");
}

static void work_for_s(double seconds) {
  struct timespec now;
  clock_t begin = clock();
  do clock_gettime(CLOCK_MONOTONIC, &now);
  while ((double)(clock() - begin) < seconds * CLOCKS_PER_SEC);
}

static void never_end(lk_child *child, const void *task, void *answer) {
  (void)child, (void)task, (void)answer;
  work_for_s(1e9);
}

Test(child, may_not_use_a_processor_for_long) {
  static const lk_child busy = {.processor_s = 1, .wait_ms = 25000};
  int answer;
  lk_error error = {0};
  cr_assert_eq(lk_child_run("file", &busy, never_end, NULL, &answer, sizeof answer, &error), LK_EFORMAT);
  cr_assert_str_eq(error.text, "file: a part of it took more than 1 s of a processor");
}

static void wait_for_ever(lk_child *child, const void *task, void *answer) {
  (void)child, (void)task, (void)answer;
  for (;;) pause();
}

Test(child, may_not_wait_for_long) {
  check_ends(wait_for_ever, NULL, LK_EIO, "file: nothing of it could be read for 3 s");
}

/* Longer in total than either limit allows. */
static void work_in_parts(lk_child *child, const void *task, void *answer) {
  (void)task;
  for (int i = 0; i < 8; i++) {
    work_for_s(0.5);
    lk_child_go_on(child);
  }
  *(int *)answer = 5;
}

Test(child, may_go_on_while_parts_are_done) {
  static const lk_child busy = {.processor_s = 2, .wait_ms = 25000};
  int answer = 0;
  lk_error error = {0};
  cr_assert_eq(lk_child_run("file", &busy, work_in_parts, NULL, &answer, sizeof answer, &error), LK_OK, "%s",
               error.text);
  cr_assert_eq(answer, 5);
}

static void wait_in_parts(lk_child *child, const void *task, void *answer) {
  (void)task;
  for (int i = 0; i < 5; i++) {
    usleep(1000000);
    lk_child_go_on(child);
  }
  *(int *)answer = 6;
}

Test(child, may_wait_while_parts_are_done) {
  int answer;
  cr_assert_eq(run(wait_in_parts, NULL, &answer, NULL), LK_OK);
  cr_assert_eq(answer, 6);
}

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
static void take_memory(lk_child *child, const void *task, void *answer) {
  (void)child;
  void *got = mmap(NULL, *(const size_t *)task, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  *(int *)answer = got == MAP_FAILED ? 2 : 1;
}

/* Beside what the caller has, which may be a large file that is mapped. */
Test(child, has_2_gib) {
  int answer;
  size_t large = (size_t)8 << 30, some = (size_t)1 << 30, more = (size_t)3 << 30;
  cr_assert_neq(mmap(NULL, large, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0), MAP_FAILED);
  cr_assert_eq(run(take_memory, &some, &answer, NULL), LK_OK);
  cr_assert_eq(answer, 1);
  cr_assert_eq(run(take_memory, &more, &answer, NULL), LK_OK);
  cr_assert_eq(answer, 2);
}
#endif

/* What the child says goes nowhere, and nothing of the caller's is written over. */
Test(child, when_stderr_is_closed) {
  int answer, number = 3, kept = dup(STDERR_FILENO);
  close(STDERR_FILENO);
  lk_status status = run(give_square, &number, &answer, NULL);
  dup2(kept, STDERR_FILENO);
  close(kept);
  cr_assert(status == LK_OK && answer == 9, "%s", lk_status_name(status));
}
