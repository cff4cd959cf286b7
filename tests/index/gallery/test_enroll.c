#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/text.h"
#include "index/gallery/gallery.h"
#include "tests/support/files.h"

/* The system calls by which an enrollment reaches the disk, counted here (by the linker's --wrap), so that each can
 * fail or be the last thing that the process does. */
static int calls, call_that_fails, call_that_kills;
static char journal[1024]; /* their names and files, in order */

/* `name` or, where it is NULL, that of the file behind `fd`; without its folder. */
static void note(const char *call, const char *name, int fd) {
  char link[64], target[PATH_MAX] = "?";
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  if (name == NULL) name = readlink(link, target, sizeof target - 1) > 0 ? strrchr(target, '/') + 1 : "memory";
  size_t used = strlen(journal);
  snprintf(journal + used, sizeof journal - used, "%s %s\n", call, name);
}

static int count_call(const char *call, const char *name, int fd) {
  calls++;
  note(call, name, fd);
  if (calls == call_that_kills) _exit(9);
  if (calls != call_that_fails) return 0;
  errno = EIO;
  return -1;
}

int __real_fsync(int fd);
int __real_renameat(int from_folder, const char *from, int to_folder, const char *to);
int __real_msync(void *address, size_t size, int flags);
int __real_posix_fallocate(int fd, off_t offset, off_t length);

int __wrap_fsync(int fd) { return count_call("fsync", NULL, fd) == 0 ? __real_fsync(fd) : -1; }
int __wrap_renameat(int from_folder, const char *from, int to_folder, const char *to) {
  return count_call("rename to", to, -1) == 0 ? __real_renameat(from_folder, from, to_folder, to) : -1;
}
int __wrap_msync(void *address, size_t size, int flags) {
  return count_call("msync", NULL, -1) == 0 ? __real_msync(address, size, flags) : -1;
}
int __wrap_posix_fallocate(int fd, off_t offset, off_t length) {
  return count_call("reserve", NULL, fd) == 0 ? __real_posix_fallocate(fd, offset, length) : ENOSPC;
}

TestSuite(enroll, .init = files_setup, .fini = files_teardown);

static lk_status enroll(const char *folder, const float *data, uint64_t rows, uint32_t dim, const lk_label *labels,
                        lk_error *error) {
  lk_vectors vectors = files_vectors(data, rows, dim);
  return lk_gallery_enroll(folder, &vectors, labels, NULL, NULL, NULL, NULL, error);
}

/* Refused with these words, and not a byte of the gallery is another. */
static void check_refused(const char *folder, const lk_vectors *vectors, const lk_label *labels, lk_status status,
                          const char *words) {
  uint64_t before = files_digest(folder), from = 77;
  lk_error error = {0};
  cr_assert_eq(lk_gallery_enroll(folder, vectors, labels, NULL, NULL, NULL, &from, &error), status, "%s", error.text);
  cr_assert_not_null(strstr(error.text, words), "%s", error.text);
  cr_assert_eq(files_digest(folder), before, "%s", words);
  cr_assert_eq(from, 77);
}

static uint64_t count_templates(const char *folder) {
  lk_gallery *gallery = files_open(folder);
  lk_gallery_stat stat;
  lk_error error = {0};
  lk_gallery_stat_get(gallery, &stat);
  cr_assert_eq(lk_gallery_check(gallery, &error), LK_OK, "%s", error.text);
  lk_gallery_close(gallery);
  return stat.templates;
}

Test(enroll, numbers_go_on) {
  const char *folder = files_gallery("g", LK_IP, 1);
  float data[4] = {1, 2, 3, 4};
  cr_assert_eq(files_enroll(folder, data, 4, 1, NULL), 0);
  cr_assert_eq(files_enroll(folder, data, 1, 1, NULL), 4);
  cr_assert_eq(files_enroll(folder, data, 2, 1, NULL), 5);
  cr_assert_eq(count_templates(folder), 7);
}

Test(enroll, labels_come_back) {
  const char *folder = files_gallery("g", LK_L2, 1);
  float data[3] = {1, 2, 3};
  lk_label labels[3] = {
      {.key = lk_text_of("k0"), .subject = lk_text_of("s"), .group = lk_text_of("F"), .tags = 5},
      {.subject = lk_text_of("s")},
      {.key = lk_text_of("k2"), .tags = UINT64_MAX, .version = 9, .expires_ms = 77, .metadata = {"\0\xff", 2}},
  };
  files_enroll(folder, data, 3, 1, NULL);
  files_enroll(folder, data, 3, 1, labels);
  lk_gallery *gallery = files_open(folder);
  lk_template t = lk_gallery_template(gallery, 3);
  cr_assert(t.number == 3 && t.tags == 5 && lk_text_equal(t.key, labels[0].key));
  cr_assert(lk_text_equal(t.subject, labels[0].subject) && lk_text_equal(t.group, labels[0].group));
  t = lk_gallery_template(gallery, 4);
  cr_assert(t.tags == 0 && lk_text_equal(t.key, lk_text_of("4")) && lk_text_equal(t.subject, lk_text_of("s")));
  cr_assert(t.version == 0 && t.expires_ms == LK_NEVER && t.metadata.length == 0);
  t = lk_gallery_template(gallery, 5);
  cr_assert(t.tags == UINT64_MAX && lk_text_equal(t.key, lk_text_of("k2")) && lk_text_equal(t.subject, t.key));
  cr_assert_eq(t.group.length, 0);
  cr_assert(t.version == 9 && t.expires_ms == 77 && lk_text_equal(t.metadata, labels[2].metadata));
  lk_gallery_close(gallery);
}

Test(enroll, one_bad_row_and_nothing_changes) {
  const char *folder = files_gallery("g", LK_COSINE, 2);
  float data[2 * 5000];
  for (int i = 0; i < 10000; i++) data[i] = 1;
  files_enroll(folder, data, 10, 2, NULL);
  lk_vectors vectors = files_vectors(data, 5000, 2);
  data[2 * 2500 + 1] = NAN;
  check_refused(folder, &vectors, NULL, LK_EBADPROBE, "vectors: 1 of 5000 rows cannot be enrolled: row 2500 has a NaN");
  data[2 * 4999] = data[2 * 4999 + 1] = 0;
  check_refused(folder, &vectors, NULL, LK_EBADPROBE, "2 of 5000 rows");
  check_refused(folder, &vectors, NULL, LK_EBADPROBE, "; row 4999 is all zeros");
  for (int i = 0; i < 10000; i++) data[i] = INFINITY;
  check_refused(folder, &vectors, NULL, LK_EBADPROBE, "5000 of 5000 rows");
}

Test(enroll, what_does_not_fit_the_gallery) {
  const char *folder = files_gallery("g", LK_COSINE, 2);
  float data[4] = {1, 2, 3, 4};
  lk_vectors wide = files_vectors(data, 1, 4), none = files_vectors(data, 0, 2), many = files_vectors(data, 1, 2);
  many.rows = UINT64_C(1) << 32;
  check_refused(folder, &wide, NULL, LK_EDIM, "vectors of dimension 4; the gallery g has 2");
  check_refused(folder, &none, NULL, LK_EFORMAT, "the file has no rows");
  check_refused(folder, &many, NULL, LK_EINVAL, "more than");
  cr_assert_eq(enroll(files_path("missing"), data, 1, 2, NULL, NULL), LK_EGALLERY);
}

Test(enroll, keys_are_used_once) {
  const char *folder = files_gallery("g", LK_L2, 1);
  float data[300];
  lk_label labels[300];
  memset(labels, 0, sizeof labels);
  for (int i = 0; i < 300; i++) data[i] = (float)i;
  lk_vectors vectors = files_vectors(data, 300, 1);
  files_enroll(folder, data, 3, 1, NULL); /* keys 0, 1, 2 */

  labels[7].key = labels[299].key = lk_text_of("twice");
  check_refused(folder, &vectors, labels, LK_EEXIST, "row 299: key 'twice' is used twice in this file");
  labels[299].key = lk_text_of("2");
  check_refused(folder, &vectors, labels, LK_EEXIST, "row 299: key '2' is in the gallery already");
  labels[299].key = (lk_text){0};
  files_enroll(folder, data, 300, 1, labels);
  labels[7].key = lk_text_of("other");
  labels[8].key = lk_text_of("twice");
  check_refused(folder, &vectors, labels, LK_EEXIST, "row 8: key 'twice' is in the gallery already");
}

static void check_keys(const char *folder, const char *const *wanted, uint64_t count) {
  lk_gallery *gallery = files_open(folder);
  cr_assert_eq(count_templates(folder), count);
  for (uint64_t row = 0; row < count; row++) {
    lk_template t = lk_gallery_template(gallery, row);
    cr_assert(lk_text_equal(t.key, lk_text_of(wanted[row])), "row %d: '%.*s'", (int)row, (int)t.key.length,
              t.key.bytes);
    cr_assert(lk_text_equal(t.subject, t.key));
    cr_assert_eq(t.number, row);
  }
  lk_gallery_close(gallery);
}

/* Keys that are numbers, in the gallery, and before and after a row without one. */
Test(enroll, a_default_key_that_is_taken) {
  const char *folder = files_gallery("g", LK_L2, 1);
  float data[4] = {1, 2, 3, 4};
  lk_label label = {.key = lk_text_of("1")},
           labels[4] = {{.tags = 0}, {.tags = 0}, {.key = lk_text_of("7")}, {.tags = 0}};
  files_enroll(folder, data, 1, 1, &label);
  files_enroll(folder, data, 2, 1, NULL);
  check_keys(folder, (const char *const[]){"1", "3", "2"}, 3);
  files_enroll(folder, data, 4, 1, labels);
  check_keys(folder, (const char *const[]){"1", "3", "2", "8", "4", "7", "6"}, 7);
  files_enroll(folder, data, 3, 1, NULL);
  check_keys(folder, (const char *const[]){"1", "3", "2", "8", "4", "7", "6", "10", "11", "9"}, 10);
}

/* Each default key is that of another row. */
Test(enroll, many_default_keys_that_are_taken) {
  enum { ROWS = 20000 };
  const char *folder = files_gallery("g", LK_L2, 1);
  float *data = calloc(ROWS, sizeof *data);
  lk_label *labels = calloc(ROWS, sizeof *labels);
  char(*keys)[16] = calloc(ROWS, sizeof *keys);
  for (int i = 1; i < ROWS; i += 2) {
    sprintf(keys[i], "%d", i - 1);
    labels[i].key = lk_text_of(keys[i]);
  }
  files_enroll(folder, data, ROWS, 1, labels);
  cr_assert_eq(count_templates(folder), ROWS);
  free(data), free(labels), free(keys);
}

/* Keys of one hash are two keys. */
Test(enroll, keys_of_equal_hash) {
  const char *folder = files_gallery("g", LK_L2, 1);
  float data[4] = {1, 2, 3, 4};
  lk_label labels[4] = {
      {.key = lk_text_of("7910149")}, {.key = lk_text_of("91dFKfLp")}, {.key = lk_text_of("c")}, {.tags = 0}};
  cr_assert_eq(lk_text_hash(labels[0].key), lk_text_hash(labels[1].key));
  lk_vectors vectors = files_vectors(data, 4, 1);
  labels[3].key = labels[0].key;
  check_refused(folder, &vectors, labels, LK_EEXIST, "row 3: key '7910149' is used twice");
  files_enroll(folder, data, 1, 1, labels);
  files_enroll(folder, data, 1, 1, labels + 1);
  cr_assert_eq(count_templates(folder), 2);
}

/* The C API has no labels file in front of it: a text that does not fit would make the gallery unreadable. */
Test(enroll, texts_are_checked) {
  const char *folder = files_gallery("g", LK_L2, 1);
  char longest[LK_TEXT_MAX + 1];
  memset(longest, 'x', sizeof longest);
  float data[2] = {1, 2};
  lk_vectors vectors = files_vectors(data, 2, 1);
  lk_text texts[] = {{.bytes = longest, .length = sizeof longest}, lk_text_of("\xff"), lk_text_of("a\nb")};
  for (int i = 0; i < 3; i++) {
    lk_label labels[3][2] = {[0][1].key = texts[i], [1][1].subject = texts[i], [2][1].group = texts[i]};
    for (int column = 0; column < 3; column++)
      check_refused(folder, &vectors, labels[column], LK_EINVAL, "vectors: row 1: ");
  }
  static const char most[LK_METADATA_MAX + 1];
  lk_label wordy[2] = {[1].metadata = {.bytes = most, .length = LK_METADATA_MAX + 1}};
  check_refused(folder, &vectors, wordy, LK_EINVAL, "vectors: row 1: its metadata is longer than 256 bytes");
  lk_label fits[2] = {{.metadata = {.bytes = most, .length = LK_METADATA_MAX}},
                      {.key = {.bytes = longest, .length = LK_TEXT_MAX}}};
  files_enroll(folder, data, 2, 1, fits);
  cr_assert_eq(count_templates(folder), 2);
}

static void signal_ready_and_sleep(const char *lock, int ready) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  int fd = open(lock, O_RDWR);
  if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) != 0 || write(ready, "x", 1) != 1) _exit(1);
  for (;;) pause();
}

Test(enroll, one_process_at_a_time) {
  const char *folder = files_gallery("g", LK_L2, 1);
  float data = 1;
  lk_vectors vectors = files_vectors(&data, 1, 1);
  int ready[2];
  char byte;
  cr_assert_eq(pipe(ready), 0);
  pid_t holder = fork();
  if (holder == 0) signal_ready_and_sleep(files_path("g/LOCK"), ready[1]);
  cr_assert_eq(read(ready[0], &byte, 1), 1);
  check_refused(folder, &vectors, NULL, LK_EBUSY, "another process is changing this gallery");
  lk_gallery_close(files_open(folder)); /* reading goes on */
  kill(holder, SIGKILL);
  waitpid(holder, NULL, 0);
  cr_assert_eq(enroll(folder, &data, 1, 1, NULL, NULL), LK_OK, "the lock died with its process");
}

static void try_inside(void *context, uint64_t done, uint64_t total) {
  lk_status *status = context;
  float data = 1;
  cr_assert_leq(done, total);
  *status = enroll(files_path("g"), &data, 1, 1, NULL, NULL);
}

/* The lock is held from before the first look to after the last write. */
Test(enroll, no_other_enrollment_gets_between) {
  const char *folder = files_gallery("g", LK_L2, 1);
  float data[2] = {1, 2};
  lk_vectors vectors = files_vectors(data, 2, 1);
  lk_status inside = LK_OK;
  cr_assert_eq(lk_gallery_enroll(folder, &vectors, NULL, NULL, try_inside, &inside, NULL, NULL), LK_OK);
  cr_assert_eq(inside, LK_EBUSY);
  cr_assert_eq(count_templates(folder), 2);
}

Test(enroll, leftovers_are_removed) {
  const char *folder = files_gallery("g", LK_L2, 1);
  float data = 1;
  files_enroll(folder, &data, 1, 1, NULL);
  files_write(files_path("g/segment-000002.lks"), "half a segment", 14);
  files_write(files_path("g/segment-000003.lks"), "", 0);
  files_write(files_path("g/MANIFEST.new"), "{\"versi", 7);
  cr_assert_eq(count_templates(folder), 1);
  files_enroll(folder, &data, 1, 1, NULL);
  cr_assert_eq(count_templates(folder), 2);
  cr_assert_eq(files_count(folder), 3, "two segments and the manifest");
}

/* More rows than one segment holds; dimension 1, all of them distinct. */
Test(enroll, several_segments_at_once) {
  const uint32_t rows = 2 * LK_SEGMENT_ROWS + 3;
  const char *folder = files_gallery("g", LK_L2, 1);
  float *data = malloc(rows * sizeof *data);
  for (uint32_t r = 0; r < rows; r++) data[r] = (float)r;
  cr_assert_eq(files_enroll(folder, data, rows, 1, NULL), 0);
  lk_gallery *gallery = files_open(folder);
  cr_assert_eq(gallery->manifest.segments_count, 3);
  cr_assert_eq(gallery->contents->catalog->parts[2]->segment.block.rows, 3);
  cr_assert_eq(gallery->contents->catalog->rows, rows);
  static const uint32_t places[] = {
      0, LK_SEGMENT_ROWS - 1, LK_SEGMENT_ROWS, 2 * LK_SEGMENT_ROWS - 1, 2 * LK_SEGMENT_ROWS, 2 * LK_SEGMENT_ROWS + 2};
  for (int i = 0; i < 6; i++) {
    uint32_t inside;
    const lk_segment *segment = &lk_catalog_part_at(gallery->contents->catalog, places[i], &inside)->segment;
    cr_assert_eq(((const float *)segment->block.exact)[segment->by_number[inside]], (float)places[i]);
    cr_assert_eq(lk_gallery_template(gallery, places[i]).number, places[i]);
  }
  lk_gallery_close(gallery);
  cr_assert_eq(files_enroll(folder, data, 1, 1, NULL), rows);
  free(data);
}

/* The first segment was good, and is written before the bad row is found. */
Test(enroll, a_bad_row_of_a_later_segment_leaves_no_file) {
  static float data[LK_SEGMENT_ROWS + 1];
  const char *folder = files_gallery("g", LK_L2, 1);
  uint64_t before = files_digest(folder);
  data[LK_SEGMENT_ROWS] = NAN;
  cr_assert_eq(enroll(folder, data, LK_SEGMENT_ROWS + 1, 1, NULL, NULL), LK_EBADPROBE);
  cr_assert_eq(files_digest(folder), before);
}

/* Number and file of what is enrolled in the tests below: two segments, so that one may be there without the other. */
static const char *start_of_three(void) {
  const char *folder = files_gallery("g", LK_L2, 1);
  float data[3] = {1, 2, 3};
  files_enroll(folder, data, 3, 1, NULL);
  return folder;
}

static lk_status enroll_two_segments(const char *folder) {
  static float data[LK_SEGMENT_ROWS + 1];
  return enroll(folder, data, LK_SEGMENT_ROWS + 1, 1, NULL, NULL);
}

/* Old or new, whole, open to the next enrollment, and then without any file that is not the gallery's. */
static bool check_old_or_new(const char *folder) {
  uint64_t templates = count_templates(folder);
  cr_assert(templates == 3 || templates == 3 + LK_SEGMENT_ROWS + 1, "%llu", (unsigned long long)templates);
  float data = 1;
  files_enroll(folder, &data, 1, 1, NULL);
  cr_assert_eq(count_templates(folder), templates + 1);
  lk_gallery *gallery = files_open(folder);
  cr_assert_eq(files_count(folder), gallery->manifest.segments_count + 1);
  lk_gallery_close(gallery);
  return templates > 3;
}

Test(enroll, each_failing_system_call_leaves_old_or_new) {
  bool done = false;
  for (int n = 1; !done; n++) {
    files_teardown();
    files_setup();
    const char *folder = start_of_three();
    calls = 0;
    call_that_fails = n;
    lk_status status = enroll_two_segments(folder);
    call_that_fails = 0;
    done = status == LK_OK;
    cr_assert_eq(calls < n, done, "a call that failed and was not noticed: %d", n);
    bool found_new = check_old_or_new(folder);
    if (done) cr_assert(found_new);
  }
}

/* A pool on one processor has no threads of its own, which ThreadSanitizer would not have before a fork. */
static void use_one_processor(void) {
  cpu_set_t one;
  CPU_ZERO(&one);
  CPU_SET((size_t)sched_getcpu(), &one);
  cr_assert_eq(sched_setaffinity(0, sizeof one, &one), 0);
}

Test(enroll, killed_at_each_system_call_leaves_old_or_new) {
  int exit_code = -1;
  use_one_processor();
  for (int n = 1; exit_code != 0; n++) {
    files_teardown();
    files_setup();
    const char *folder = start_of_three();
    pid_t child = fork();
    if (child == 0) {
      calls = 0;
      call_that_kills = n;
      _exit(enroll_two_segments(folder) == LK_OK ? 0 : 1);
    }
    int state;
    waitpid(child, &state, 0);
    exit_code = WEXITSTATUS(state);
    cr_assert(exit_code == 0 || exit_code == 9, "%d", exit_code);
    cr_assert(check_old_or_new(folder) || exit_code != 0);
  }
}

/* No larger files than 1 MiB: the first segment does not fit. */
Test(enroll, a_full_disk) {
  const char *folder = start_of_three();
  uint64_t before = files_digest(folder);
  signal(SIGXFSZ, SIG_IGN);
  setrlimit(RLIMIT_FSIZE, &(struct rlimit){.rlim_cur = 1 << 20, .rlim_max = RLIM_INFINITY});
  static float data[LK_SEGMENT_ROWS + 1];
  lk_error error;
  cr_assert_eq(enroll(folder, data, LK_SEGMENT_ROWS + 1, 1, NULL, &error), LK_EIO);
  cr_assert_not_null(strstr(error.text, "segment-000002.lks: cannot reserve space"), "%s", error.text);
  cr_assert_eq(files_digest(folder), before);
}

/* A file system of the test's own, which goes with its process. */
static void mount_small_disk(const char *folder, const char *options) {
  cr_assert_eq(mkdir(folder, 0777), 0);
  if (unshare(CLONE_NEWNS) != 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
      mount("none", folder, "tmpfs", 0, options) != 0)
    cr_skip_test("may not mount a tmpfs: %s", strerror(errno));
}

/* Writing to a mapped file on a full disk would be a SIGBUS in the middle of it. */
Test(enroll, a_disk_that_is_full_indeed) {
  mount_small_disk(files_path("disk"), "size=256k");
  const char *folder = files_gallery("disk/g", LK_L2, 1);
  static float data[LK_SEGMENT_ROWS + 1];
  files_enroll(folder, data, 3, 1, NULL);
  uint64_t before = files_digest(folder);
  lk_error error;
  cr_assert_eq(enroll(folder, data, LK_SEGMENT_ROWS + 1, 1, NULL, &error), LK_EIO);
  cr_assert_not_null(strstr(error.text, "No space left on device"), "%s", error.text);
  cr_assert_eq(files_digest(folder), before);
  files_enroll(folder, data, 3, 1, NULL);
  cr_assert_eq(count_templates(folder), 6);
  umount(files_path("disk"));
}

/* A power cut keeps what was synced before it and perhaps more: so the order of these is what makes an enrollment safe.
 * Rows and their folder entry come before the manifest that names them, the manifest's bytes before its name. */
Test(enroll, what_reaches_the_disk_when) {
  const char *root = strrchr(files_root, '/') + 1, *folder = files_gallery("g", LK_L2, 1);
  char wanted[256];
  snprintf(wanted, sizeof wanted, "fsync %s\nfsync MANIFEST.new\nrename to MANIFEST\nfsync g\n", root);
  cr_assert_str_eq(journal, wanted);
  journal[0] = '\0';
  float data = 1;
  files_enroll(folder, &data, 1, 1, NULL);
  cr_assert_str_eq(journal, "reserve segment-000001.lks\nmsync memory\nfsync segment-000001.lks\nfsync g\n"
                            "fsync MANIFEST.new\nrename to MANIFEST\nfsync g\n");
}

typedef struct order {
  uint64_t last, total;
  int reports;
} order;

static void take_report(void *context, uint64_t done, uint64_t total) {
  order *seen = context;
  cr_assert(seen->reports == 0 ? done == 0 : done > seen->last);
  *seen = (order){.last = done, .total = total, .reports = seen->reports + 1};
}

Test(enroll, progress_goes_from_nothing_to_all) {
  const char *folder = files_gallery("g", LK_L2, 1);
  float data[5] = {1, 2, 3, 4, 5};
  lk_vectors vectors = files_vectors(data, 5, 1);
  order seen = {0};
  cr_assert_eq(lk_gallery_enroll(folder, &vectors, NULL, NULL, take_report, &seen, NULL, NULL), LK_OK);
  cr_assert(seen.last == 5 && seen.total == 5);
}
