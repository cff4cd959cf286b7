/* What a stranger puts where files of a gallery, an audit log, a calibration or a key are read or written. */
#include <criterion/criterion.h>
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <likeness/audit.h>
#include <likeness/policy.h>
#include <likeness/signing_key.h>
#include "governance/calibration.h"
#include "index/gallery/gallery.h"
#include "tests/support/files.h"

enum { SECONDS_MOST = 20 };

/* What hangs is killed. */
static void setup(void) {
  files_setup();
  alarm(SECONDS_MOST);
}

TestSuite(hostile_files, .init = setup, .fini = files_teardown);

static const char *victim(void) {
  files_write(files_path("victim"), "precious", 8);
  return files_path("victim");
}

static void check_victim(void) {
  size_t size;
  char *data = files_read(files_path("victim"), &size);
  cr_assert(size == 8 && memcmp(data, "precious", 8) == 0, "the link's target was written");
  free(data);
}

static lk_status enroll(const char *folder, uint64_t rows, lk_error *error) {
  static float data[LK_SEGMENT_ROWS + 1];
  lk_vectors vectors = files_vectors(data, rows, 1);
  return lk_gallery_enroll(folder, &vectors, NULL, NULL, NULL, NULL, NULL, error);
}

static lk_status open_gallery(const char *folder, lk_error *error) {
  lk_gallery *gallery;
  lk_status status = lk_gallery_open(folder, &gallery, error);
  if (status == LK_OK) lk_gallery_close(gallery);
  return status;
}

static lk_status open_log(const char *folder, lk_error *error) {
  lk_audit *audit;
  lk_status status = lk_audit_open(folder, &(lk_audit_options){0}, &audit, error);
  return status == LK_OK ? lk_audit_close(audit, error) : status;
}

static lk_status write_calibration(const char *path) {
  lk_calibration_level levels[2] = {{.score = 1, .count = 0}, {.score = 0, .count = 1}};
  lk_calibration c = {.model = "m", .dim = 1, .probes = 1, .templates = 2, .comparisons = 1, .levels_count = 2};
  c.levels = levels;
  return lk_calibration_write(path, &c, NULL);
}

/* ---- links where a file is written */

Test(hostile_files, a_link_in_place_of_the_new_manifest) {
  const char *folder = files_gallery("g", LK_L2, 1);
  lk_error error = {0};
  cr_assert_eq(symlink(victim(), files_path("g/MANIFEST.new")), 0);
  cr_assert_eq(enroll(folder, 3, &error), LK_OK, "%s", error.text);
  check_victim();
  cr_assert_neq(access(files_path("g/MANIFEST.new"), F_OK), 0);
  cr_assert_eq(open_gallery(folder, &error), LK_OK, "%s", error.text);
}

/* The second segment: what is in place of the first is a leftover, which is removed before anything is written. */
Test(hostile_files, a_link_in_place_of_a_new_segment) {
  const char *folder = files_gallery("g", LK_L2, 1);
  lk_error error = {0};
  cr_assert_eq(symlink(victim(), files_path("g/segment-000001.lks")), 0);
  cr_assert_eq(symlink(victim(), files_path("g/segment-000003.lks")), 0);
  cr_assert_eq(enroll(folder, 3, &error), LK_OK, "%s", error.text);
  cr_assert_eq(enroll(folder, LK_SEGMENT_ROWS + 1, &error), LK_OK, "%s", error.text);
  check_victim();
  cr_assert_eq(open_gallery(folder, &error), LK_OK, "%s", error.text);
}

Test(hostile_files, a_link_in_place_of_a_new_calibration) {
  cr_assert_eq(symlink(victim(), files_path("cal.json.new")), 0);
  cr_assert_eq(symlink(victim(), files_path("cal.json")), 0);
  cr_assert_eq(write_calibration(files_path("cal.json")), LK_OK);
  check_victim();
  struct stat found;
  cr_assert_eq(lstat(files_path("cal.json"), &found), 0);
  cr_assert(S_ISREG(found.st_mode));
}

Test(hostile_files, a_link_in_place_of_a_new_key) {
  lk_error error;
  cr_assert_eq(symlink(files_path("elsewhere"), files_path("secret")), 0);
  cr_assert_eq(lk_signing_key_make(files_path("secret"), &error), LK_EEXIST);
  cr_assert_eq(symlink(files_path("elsewhere"), files_path("other.pub")), 0);
  cr_assert_eq(lk_signing_key_make(files_path("other"), &error), LK_EEXIST);
  cr_assert_neq(access(files_path("elsewhere"), F_OK), 0);
}

/* A record would go into whatever log the link names, and its chain with it. */
Test(hostile_files, a_link_in_place_of_an_audit_file) {
  lk_error error = {0};
  cr_assert_eq(open_log(files_path("log"), &error), LK_OK, "%s", error.text);
  cr_assert_eq(rename(files_path("log/audit-000001.log"), files_path("moved")), 0);
  cr_assert_eq(symlink(files_path("moved"), files_path("log/audit-000001.log")), 0);
  size_t before, after;
  free(files_read(files_path("moved"), &before));
  cr_assert_eq(open_log(files_path("log"), &error), LK_EFORMAT);
  cr_assert_not_null(strstr(error.text, "log/audit-000001.log: a symbolic link"), "%s", error.text);
  free(files_read(files_path("moved"), &after));
  cr_assert_eq(before, after);
  lk_audit_report report;
  cr_assert_eq(lk_audit_verify(files_path("log"), NULL, NULL, &report, &error), LK_EFORMAT, "%s", error.text);
  cr_assert_eq(lk_audit_verify(files_path("moved"), NULL, NULL, &report, &error), LK_OK, "%s", error.text);
}

/* ---- links and other things where a file is read */

static void replace_by_link(const char *name) {
  cr_assert_eq(rename(files_path(name), files_path("moved")), 0);
  cr_assert_eq(symlink(files_path("moved"), files_path(name)), 0);
}

Test(hostile_files, a_link_in_place_of_the_manifest) {
  const char *folder = files_gallery("g", LK_L2, 1);
  lk_error error = {0};
  replace_by_link("g/MANIFEST");
  cr_assert_eq(open_gallery(folder, &error), LK_EFORMAT);
  cr_assert_not_null(strstr(error.text, "g/MANIFEST: a symbolic link"), "%s", error.text);
}

Test(hostile_files, a_link_in_place_of_a_segment) {
  const char *folder = files_gallery("g", LK_L2, 1);
  lk_error error = {0};
  cr_assert_eq(enroll(folder, 3, &error), LK_OK, "%s", error.text);
  replace_by_link("g/segment-000001.lks");
  cr_assert_eq(open_gallery(folder, &error), LK_EFORMAT);
  cr_assert_not_null(strstr(error.text, "segment-000001.lks: a symbolic link"), "%s", error.text);
}

/* The gallery itself may be a link, as in `current -> 2026-01`. */
Test(hostile_files, a_link_to_a_gallery) {
  files_gallery("g", LK_L2, 1);
  lk_error error = {0};
  cr_assert_eq(symlink("g", files_path("current")), 0);
  cr_assert_eq(enroll(files_path("current"), 3, &error), LK_OK, "%s", error.text);
  cr_assert_eq(open_gallery(files_path("current"), &error), LK_OK, "%s", error.text);
}

static void replace_by_fifo(const char *name) {
  unlink(files_path(name));
  cr_assert_eq(mkfifo(files_path(name), 0666), 0);
}

Test(hostile_files, a_fifo_hangs_nobody) {
  const char *folder = files_gallery("g", LK_L2, 1);
  lk_error error = {0};
  lk_policy *policy;
  lk_calibration calibration;
  lk_audit_report report;
  cr_assert_eq(enroll(folder, 3, &error), LK_OK, "%s", error.text);
  replace_by_fifo("g/segment-000001.lks");
  cr_assert_eq(open_gallery(folder, &error), LK_EFORMAT, "%s", error.text);
  replace_by_fifo("g/MANIFEST");
  cr_assert_eq(open_gallery(folder, &error), LK_EFORMAT, "%s", error.text);
  cr_assert_not_null(strstr(error.text, "g/MANIFEST: not a regular file"), "%s", error.text);
  cr_assert_eq(enroll(folder, 3, &error), LK_EFORMAT, "%s", error.text);
  replace_by_fifo("fifo");
  cr_assert_eq(lk_policy_open(files_path("fifo"), &policy, &error), LK_EFORMAT, "%s", error.text);
  cr_assert_eq(lk_calibration_open(files_path("fifo"), &calibration, NULL, &error), LK_EFORMAT, "%s", error.text);
  cr_assert_eq(open_log(files_path("log"), &error), LK_OK, "%s", error.text);
  replace_by_fifo("log/audit-000001.log");
  cr_assert_eq(open_log(files_path("log"), &error), LK_EFORMAT, "%s", error.text);
  cr_assert_eq(lk_audit_verify(files_path("log"), NULL, NULL, &report, &error), LK_EFORMAT, "%s", error.text);
}

Test(hostile_files, a_fifo_in_place_of_the_lock) {
  const char *folder = files_gallery("g", LK_L2, 1);
  lk_error error = {0};
  replace_by_fifo("g/LOCK");
  cr_assert_eq(enroll(folder, 3, &error), LK_EIO, "%s", error.text);
  cr_assert_not_null(strstr(error.text, "g/LOCK: "), "%s", error.text);
}

/* ---- modes */

static mode_t mode_of(const char *path) {
  struct stat found;
  cr_assert_eq(lstat(path, &found), 0, "%s", path);
  return found.st_mode & 07777;
}

static void check_modes(const char *folder, mode_t of_folder, mode_t of_files) {
  cr_assert_eq(mode_of(folder), of_folder, "%s: %o", folder, mode_of(folder));
  DIR *entries = opendir(folder);
  uint32_t files = 0;
  for (struct dirent *entry; (entry = readdir(entries)) != NULL;) {
    char path[PATH_MAX + 256];
    if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
    snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
    mode_t wanted = strcmp(entry->d_name, "LOCK") == 0 ? 0600 : of_files;
    cr_assert_eq(mode_of(path), wanted, "%s: %o", path, mode_of(path));
    files++;
  }
  closedir(entries);
  cr_assert_geq(files, 2);
}

static void make_all(const char *gallery, const char *log) {
  lk_error error = {0};
  lk_gallery_options options = {.dim = 1, .metric = LK_L2};
  cr_assert_eq(lk_gallery_create(gallery, &options, &error), LK_OK, "%s", error.text);
  cr_assert_eq(enroll(gallery, 3, &error), LK_OK, "%s", error.text);
  lk_audit *audit;
  cr_assert_eq(lk_audit_open(log, &(lk_audit_options){.file_bytes = 1}, &audit, &error), LK_OK, "%s", error.text);
  cr_assert_eq(lk_audit_close(audit, &error), LK_OK, "%s", error.text);
}

Test(hostile_files, new_files_are_their_owners) {
  umask(0);
  make_all(files_path("g"), files_path("log"));
  check_modes(files_path("g"), 0700, 0600);
  check_modes(files_path("log"), 0700, 0600);
  cr_assert_eq(lk_signing_key_make(files_path("secret"), NULL), LK_OK);
  cr_assert_eq(mode_of(files_path("secret")), 0600);
  cr_assert_eq(mode_of(files_path("secret.pub")), 0644);
  cr_assert_eq(write_calibration(files_path("cal.json")), LK_OK);
  cr_assert_eq(mode_of(files_path("cal.json")), 0600);
}

/* Whoever makes the folder says whether its group may read. Nobody else ever may, and the group never writes. */
Test(hostile_files, a_folder_says_what_its_group_may) {
  umask(0);
  cr_assert_eq(mkdir(files_path("g"), 0750), 0);
  cr_assert_eq(mkdir(files_path("log"), 0777), 0);
  make_all(files_path("g"), files_path("log"));
  check_modes(files_path("g"), 0750, 0640);
  check_modes(files_path("log"), 0777, 0640);
}

/* ---- locks */

static pid_t hold_lock(const char *path, int flags) {
  int ready[2];
  char byte;
  cr_assert_eq(pipe(ready), 0);
  pid_t child = fork();
  if (child == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    int fd = open(path, flags | O_CLOEXEC);
    if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) != 0 || write(ready[1], "x", 1) != 1) _exit(1);
    for (;;) pause();
  }
  close(ready[1]);
  cr_assert_eq(read(ready[0], &byte, 1), 1, "%s", path);
  return child;
}

static void let_go(pid_t child) {
  kill(child, SIGKILL);
  waitpid(child, NULL, 0);
}

/* What a stranger can open for reading, he can lock. */
Test(hostile_files, a_strangers_lock_blocks_nobody) {
  lk_error error = {0};
  umask(022);
  cr_assert_eq(mkdir(files_path("g"), 0755), 0);
  cr_assert_eq(mkdir(files_path("log"), 0755), 0);
  make_all(files_path("g"), files_path("log"));
  pid_t holders[] = {hold_lock(files_path("g"), O_RDONLY | O_DIRECTORY), hold_lock(files_path("g/MANIFEST"), O_RDONLY),
                     hold_lock(files_path("log"), O_RDONLY | O_DIRECTORY)};
  cr_assert_eq(enroll(files_path("g"), 3, &error), LK_OK, "%s", error.text);
  cr_assert_eq(lk_gallery_bind(files_path("g"), &(lk_binding){0}, &error), LK_OK, "%s", error.text);
  cr_assert_eq(open_log(files_path("log"), &error), LK_OK, "%s", error.text);
  for (int i = 0; i < 3; i++) let_go(holders[i]);
}

Test(hostile_files, a_held_lock_is_named) {
  lk_error error = {0};
  make_all(files_path("g"), files_path("log"));
  pid_t holders[] = {hold_lock(files_path("g/LOCK"), O_RDWR), hold_lock(files_path("log/LOCK"), O_RDWR)};
  cr_assert_eq(enroll(files_path("g"), 3, &error), LK_EBUSY);
  cr_assert_not_null(strstr(error.text, "g/LOCK: another process"), "%s", error.text);
  cr_assert_eq(open_log(files_path("log"), &error), LK_EBUSY);
  cr_assert_not_null(strstr(error.text, "log/LOCK: another process"), "%s", error.text);
  for (int i = 0; i < 2; i++) let_go(holders[i]);
  cr_assert_eq(enroll(files_path("g"), 3, &error), LK_OK, "%s", error.text);
}
