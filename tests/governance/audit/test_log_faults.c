/* What the writer does when the disk does not, and what a killed one leaves. */
#include <criterion/criterion.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <likeness/audit.h>
#include "tests/support/audit_log.h"
#include "tests/support/files.h"

/* The system calls by which a record reaches the disk (by the linker's --wrap): each can fail. A write that fails has
 * written half. */
static int calls, call_that_fails, error_of_it = ENOSPC;
static char journal[1024];              /* their names and files, in order */
static size_t write_at_most = SIZE_MAX; /* less: writes are short, so that a kill finds a record half written */

static bool fails(const char *call, int fd) {
  char link[64], target[PATH_MAX] = "/?";
  size_t used = strlen(journal);
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t length = readlink(link, target, sizeof target - 1);
  if (length > 0) target[length] = '\0';
  if (used < sizeof journal / 2)
    snprintf(journal + used, sizeof journal - used, "%s %s\n", call, strrchr(target, '/') + 1);
  if (++calls != call_that_fails) return false;
  errno = error_of_it;
  return true;
}

ssize_t __real_write(int fd, const void *data, size_t size);
int __real_fsync(int fd);
int __real_fdatasync(int fd);

ssize_t __wrap_write(int fd, const void *data, size_t size) {
  if (!fails("write", fd)) return __real_write(fd, data, size < write_at_most ? size : write_at_most);
  if (__real_write(fd, data, size / 2) < 0) return -1;
  errno = error_of_it;
  return -1;
}
int __wrap_fsync(int fd) { return fails("fsync", fd) ? -1 : __real_fsync(fd); }
int __wrap_fdatasync(int fd) { return fails("fdatasync", fd) ? -1 : __real_fdatasync(fd); }

TestSuite(audit_faults, .init = files_setup, .fini = files_teardown);

/* At every length that a torn last record can have. */
Test(audit_faults, a_torn_record_is_cut_off) {
  lk_audit *audit = audit_log_open(&(lk_audit_options){0});
  for (uint32_t i = 0; i < 3; i++) audit_log_append(audit, i);
  audit_log_commit(audit);
  audit_log_close(audit);
  size_t size, last = 0;
  char *data = files_read(files_path("log/audit-000001.log"), &size);
  for (size_t i = 0; i + 1 < size; i++)
    if (data[i] == '\n') last = i + 1;
  for (size_t length = last + 1; length < size; length++) {
    files_write(files_path("log/audit-000001.log"), data, length);
    audit_log_expect_broken(audit_log_folder(), NULL, NULL, LK_ECORRUPT, "incomplete record");
    audit = audit_log_open(&(lk_audit_options){0});
    cr_assert_eq(lk_audit_cut_bytes(audit), length - last);
    audit_log_close(audit);
    lk_audit_report report = audit_log_verified(NULL, NULL);
    cr_assert(report.last == 6 && report.cuts == 1);
  }
  free(data);
}

/* Between a new file's making and its first record. */
Test(audit_faults, a_torn_rotation_is_made_good) {
  lk_audit *audit = audit_log_open(&(lk_audit_options){.file_bytes = 3000});
  for (uint32_t i = 0; files_count(audit_log_folder()) < 3; i++) {
    audit_log_append(audit, i);
    audit_log_commit(audit);
  }
  audit_log_close(audit);
  size_t size;
  char *data = files_read(files_path("log/audit-000003.log"), &size);
  size_t first = strcspn(data, "\n");
  for (size_t length = 0; length <= first; length += 10) {
    files_write(files_path("log/audit-000003.log"), data, length);
    audit_log_close(audit_log_open(&(lk_audit_options){0}));
    lk_audit_report report = audit_log_verified(NULL, NULL);
    cr_assert(report.files == 3 && report.closed && report.cuts == (length > 0));
  }
  files_write(files_path("log/audit-000001.log"), data, 20);
  audit_log_expect_broken(audit_log_folder(), NULL, NULL, LK_ECORRUPT, "audit-000001.log: offset 0");
  files_write(files_path("log/audit-000002.log"), "", 0);
  files_write(files_path("log/audit-000003.log"), "", 0);
  audit_log_expect_closed(audit_log_folder(), &(lk_audit_options){0}, LK_ECORRUPT, "audit-000002.log: offset 0");
  free(data);
}

Test(audit_faults, what_does_not_verify_is_not_gone_on_with) {
  lk_audit *audit = audit_log_open(&(lk_audit_options){0});
  audit_log_append(audit, 0);
  audit_log_close(audit);
  size_t size;
  char *data = files_read(files_path("log/audit-000001.log"), &size);
  data[size / 2] ^= 1;
  files_write(files_path("log/audit-000001.log"), data, size);
  uint64_t before = files_digest(audit_log_folder());
  audit_log_expect_closed(audit_log_folder(), &(lk_audit_options){0}, LK_ECORRUPT,
                          "log/audit-000001.log: line 2 (offset ");
  cr_assert_eq(files_digest(audit_log_folder()), before);
  free(data);
}

/* Each system call of opening, two commits with a rotation in them, a head and closing fails in turn. From then on
 * nothing is taken, and what was committed before is there. */
static uint64_t run_until_it_fails(lk_status *status) {
  lk_audit *audit;
  lk_error error = {0};
  char head[LK_AUDIT_HEAD_MAX];
  uint64_t committed = 0, sequence = 0;
  *status = lk_audit_open(audit_log_folder(), &(lk_audit_options){.key_file = audit_log_key(), .file_bytes = 2500},
                          &audit, &error);
  if (*status != LK_OK) return 0;
  for (uint32_t i = 0; *status == LK_OK && i < 8; i++) {
    sequence = audit_log_append(audit, i);
    *status = i == 4 ? lk_audit_head(audit, head, &error) : lk_audit_commit(audit, &error);
    if (*status == LK_OK) committed = sequence;
  }
  if (*status != LK_OK) {
    lk_audit_record record = audit_log_record(1);
    cr_assert_eq(lk_audit_append(audit, &record, NULL, &error), LK_EIO);
    cr_assert_not_null(strstr(error.text, "accepts no records until it is opened again"), "%s", error.text);
    cr_assert_not_null(strstr(error.text, strerror(error_of_it)), "%s", error.text);
    cr_assert_eq(lk_audit_commit(audit, NULL), LK_EIO);
    cr_assert_eq(lk_audit_head(audit, head, NULL), LK_EIO);
    cr_assert_eq(lk_audit_close(audit, NULL), LK_EIO);
  } else {
    *status = lk_audit_close(audit, &error);
  }
  return committed;
}

static void remove_log(void) {
  char path[PATH_MAX];
  for (uint32_t i = 1; i < 20; i++) {
    snprintf(path, sizeof path, "%s/audit-%06u.log", audit_log_folder(), i);
    unlink(path);
  }
  unlink(files_path("log/LOCK"));
  rmdir(audit_log_folder());
}

Test(audit_faults, fails_closed_at_every_system_call) {
  audit_log_make_key();
  lk_status status;
  calls = 0;
  run_until_it_fails(&status);
  cr_assert_eq(status, LK_OK);
  int all = calls;
  cr_assert_gt(all, 20, "%d", all);
  for (int fail = 1; fail <= all; fail++) {
    error_of_it = fail % 2 == 0 ? EIO : ENOSPC;
    remove_log();
    calls = 0;
    call_that_fails = fail;
    uint64_t committed = run_until_it_fails(&status);
    cr_assert_eq(status, LK_EIO, "call %d of %d", fail, all);
    call_that_fails = 0;
    audit_log_close(audit_log_open(&(lk_audit_options){.key_file = audit_log_key()}));
    cr_assert_geq(audit_log_verified(NULL, audit_log_public_key()).last, committed + 3, "call %d of %d", fail, all);
  }
}

/* A power cut keeps what was synced before it, so the order of these is what makes a commit safe. A file's name is on
 * the disk before its first record is committed, and a file is complete there before the next one has a name. */
Test(audit_faults, what_reaches_the_disk_when) {
  char wanted[256];
  journal[0] = '\0';
  lk_audit *audit = audit_log_open(&(lk_audit_options){.file_bytes = 2000});
  snprintf(wanted, sizeof wanted, "fsync %s\nfsync log\nwrite audit-000001.log\nfdatasync audit-000001.log\n",
           strrchr(files_root, '/') + 1);
  cr_assert_str_eq(journal, wanted);
  journal[0] = '\0';
  for (uint32_t i = 0; i < 3; i++) audit_log_append(audit, i);
  cr_assert_str_eq(journal, "");
  audit_log_commit(audit);
  audit_log_commit(audit);
  cr_assert_str_eq(journal, "write audit-000001.log\nfdatasync audit-000001.log\n");
  journal[0] = '\0';
  for (uint32_t i = 0; i < 3; i++) audit_log_append(audit, i);
  audit_log_commit(audit);
  cr_assert_str_eq(journal, "write audit-000001.log\nfdatasync audit-000001.log\nfsync log\n"
                            "write audit-000002.log\nfdatasync audit-000002.log\n");
  audit_log_close(audit);
}

static void delete_file(const char *file) { cr_assert_eq(unlink(file), 0); }

static void delete_folder(const char *file) {
  (void)file;
  files_remove_folder(audit_log_folder());
}

static void move_folder(const char *file) {
  (void)file;
  cr_assert_eq(rename(audit_log_folder(), files_path("aside")), 0);
}

/* By a copy of the same bytes. */
static void replace_file(const char *file) {
  files_copy(file, files_path("copy"));
  cr_assert_eq(rename(files_path("copy"), file), 0);
}

static void cut_file(const char *file) {
  size_t size;
  char *data = files_read(file, &size);
  cr_assert_eq(truncate(file, (off_t)(strchr(data, '\n') + 1 - data)), 0);
  free(data);
}

static void append_to_file(const char *file) {
  FILE *out = fopen(file, "ab");
  cr_assert(out != NULL && fputc('\n', out) == '\n' && fclose(out) == 0);
}

/* What is committed must be found under the log's name: else the commit fails, and all later ones. */
Test(audit_faults, a_file_that_is_lost_while_it_is_written) {
  static const struct {
    void (*lose)(const char *file);
    const char *words;
  } cases[] = {{delete_file, "was deleted"},   {delete_folder, "was deleted"}, {move_folder, "was moved away"},
               {replace_file, "was replaced"}, {cut_file, "was cut"},          {append_to_file, "was written to by"}};
  char file[PATH_MAX];
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    lk_error error = {0};
    remove_log();
    lk_audit *audit = audit_log_open(&(lk_audit_options){0});
    strcpy(file, files_path("log/audit-000001.log"));
    audit_log_append(audit, 0);
    audit_log_commit(audit);
    cases[i].lose(file);
    audit_log_append(audit, 1);
    cr_assert_eq(lk_audit_commit(audit, &error), LK_EIO, "%s", cases[i].words);
    cr_assert(strstr(error.text, cases[i].words) != NULL && strstr(error.text, file) != NULL, "%s", error.text);
    lk_audit_record record = audit_log_record(1);
    cr_assert_eq(lk_audit_append(audit, &record, NULL, &error), LK_EIO);
    cr_assert_eq(lk_audit_close(audit, &error), LK_EIO);
  }
}

/* A full disk as the kernel tells of it: a short write, then an error. */
Test(audit_faults, without_room_it_refuses) {
  signal(SIGXFSZ, SIG_IGN);
  lk_audit *audit = audit_log_open(&(lk_audit_options){0});
  uint64_t committed = 1;
  lk_error error = {0};
  cr_assert_eq(setrlimit(RLIMIT_FSIZE, &(struct rlimit){.rlim_cur = 10000, .rlim_max = RLIM_INFINITY}), 0);
  for (;;) {
    uint64_t sequence = audit_log_append(audit, 0);
    if (lk_audit_commit(audit, &error) != LK_OK) break;
    committed = sequence;
  }
  cr_assert_not_null(strstr(error.text, "audit-000001.log: cannot write: File too large"), "%s", error.text);
  cr_assert_eq(setrlimit(RLIMIT_FSIZE, &(struct rlimit){.rlim_cur = RLIM_INFINITY, .rlim_max = RLIM_INFINITY}), 0);
  lk_audit_record record = audit_log_record(0);
  cr_assert_eq(lk_audit_append(audit, &record, NULL, NULL), LK_EIO, "though there is room again");
  cr_assert_eq(lk_audit_close(audit, NULL), LK_EIO);
  audit = audit_log_open(&(lk_audit_options){0});
  cr_assert_gt(lk_audit_cut_bytes(audit), 0);
  audit_log_close(audit);
  cr_assert_eq(audit_log_verified(NULL, NULL).last, committed + 2);
}

/* A child writes, now and then over a file's end, until it is killed; `told` is memory that outlives it. */
static void write_until_killed(volatile uint64_t *told, uint32_t number) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  write_at_most = number % 20 == 0 ? 5 : SIZE_MAX;
  lk_audit *audit;
  lk_audit_options options = {.key_file = audit_log_key(), .file_bytes = 20000, .head_interval_ms = 1};
  if (lk_audit_open(audit_log_folder(), &options, &audit, NULL) != LK_OK) _exit(1);
  told[1] = 1;
  for (;;) {
    uint64_t sequence = 0;
    for (uint32_t i = 0; i < number % 53 + 1; i++) {
      lk_audit_record record = audit_log_record(number++);
      if (lk_audit_append(audit, &record, &sequence, NULL) != LK_OK) _exit(1);
    }
    if (lk_audit_commit(audit, NULL) != LK_OK) _exit(1);
    told[0] = sequence;
  }
}

enum { KILLS = 300 };

Test(audit_faults, killed_at_any_moment) {
  audit_log_make_key();
  volatile uint64_t *told = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  random_state random = {5};
  uint32_t torn = 0;
  for (uint32_t kill_ = 0; kill_ < KILLS; kill_++) {
    told[1] = 0;
    pid_t child = fork();
    if (child == 0) write_until_killed(told, kill_ * 10);
    if (!random_one_in(&random, 4)) /* else while it opens */
      for (int i = 0; told[1] == 0 && i < 10000; i++) usleep(100);
    usleep(random_below(&random, 3000));
    kill(child, SIGKILL);
    int status;
    waitpid(child, &status, 0);
    cr_assert(WIFSIGNALED(status), "it could not write: exit %d", WEXITSTATUS(status));
    lk_audit *audit = audit_log_open(&(lk_audit_options){.key_file = audit_log_key()});
    torn += lk_audit_cut_bytes(audit) > 0;
    cr_assert_geq(audit_log_append(audit, 0), told[0] + 2, "a committed record is missing before `opened`");
    audit_log_close(audit);
    if (kill_ % 10 == 9) audit_log_verified(NULL, audit_log_public_key());
  }
  cr_assert_gt(torn, 10, "too few kills came in the middle of a record");
}
