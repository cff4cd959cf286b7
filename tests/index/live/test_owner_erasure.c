/* After compaction no file of a gallery has a byte of what was deleted or has expired. */
#include <criterion/criterion.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/text.h"
#include "index/gallery/gallery.h"
#include "index/live/fold.h"
#include "kernels/half.h"
#include "tests/support/files.h"

enum { DIM = 12, MOST = 80 };

typedef struct person {
  char key[16], subject[16], group[16], metadata[24];
  float vector[DIM];
  bool key_stays; /* another template has it now */
  bool gone;
} person;

static char path[PATH_MAX + 2];
static lk_store store;
static person people[MOST];
static uint32_t people_count;
static random_state random_numbers = {11};

TestSuite(owner_erasure, .init = files_setup, .fini = files_teardown);

/* ---- a disk that is full, and one whose process ends at a call ---- */

static bool is_full;
static uint32_t calls_left; /* 0: as many as there are */

static void count_call(void) {
  if (calls_left > 0 && --calls_left == 0) _exit(77);
}

static int reserve(int fd, off_t size) {
  count_call();
  errno = ENOSPC;
  return is_full ? -1 : lk_disk_system.reserve(fd, size);
}

static ssize_t write_counted(int fd, const void *data, size_t size) {
  count_call();
  return write(fd, data, size);
}

static int sync_counted(int fd) {
  count_call();
  return fsync(fd);
}

static int rename_counted(int folder, const char *from, const char *to) {
  count_call();
  return lk_disk_system.rename(folder, from, to);
}

static lk_owner *own(void) {
  static lk_disk disk;
  lk_owner *owner;
  lk_error error;
  disk = (lk_disk){.write = write_counted,
                   .reserve = reserve,
                   .sync = sync_counted,
                   .truncate = lk_disk_system.truncate,
                   .rename = rename_counted,
                   .rename_new = lk_disk_system.rename_new};
  cr_assert_eq(lk_owner_open_on(&disk, path, &owner, &error), LK_OK, "%s", error.text);
  return owner;
}

/* ---- people who come and go ---- */

static void enroll(lk_owner *owner, const char *key, uint64_t expires_ms) {
  uint32_t number = people_count;
  person *p = &people[people_count++];
  lk_receipt receipt;
  *p = (person){.gone = expires_ms != LK_NEVER};
  snprintf(p->key, sizeof p->key, "key-%04u", number);
  if (key != NULL) snprintf(p->key, sizeof p->key, "%s", key);
  snprintf(p->subject, sizeof p->subject, "person-%04u", number);
  snprintf(p->group, sizeof p->group, "group-%04u", number);
  snprintf(p->metadata, sizeof p->metadata, "metadata-of-%04u", number);
  for (int i = 0; i < DIM; i++) p->vector[i] = (float)random_normal(&random_numbers);
  lk_label label = {.key = lk_text_of(p->key),
                    .subject = lk_text_of(p->subject),
                    .group = lk_text_of(p->group),
                    .metadata = lk_text_of(p->metadata),
                    .expires_ms = expires_ms};
  lk_vectors vectors = files_vectors(p->vector, 1, DIM);
  lk_enrollment enrollment = {.vectors = &vectors, .labels = &label, .replace = true};
  cr_assert_eq(lk_owner_enroll(owner, &enrollment, NULL, &receipt, NULL), LK_OK);
}

static void enroll_some(lk_owner *owner) {
  for (int i = 0; i < 9; i++) enroll(owner, NULL, i % 5 == 4 ? 1 : LK_NEVER);
}

static void delete_one(lk_owner *owner, bool by_subject) {
  person *p = &people[random_below(&random_numbers, people_count)];
  lk_change change = {.kind = by_subject ? LK_CHANGE_DELETE_SUBJECT : LK_CHANGE_DELETE_KEY};
  if (p->gone) return;
  *(by_subject ? &change.subject : &change.key) = lk_text_of(by_subject ? p->subject : p->key);
  cr_assert_eq(lk_owner_change(owner, &change, 1, NULL, NULL, NULL), LK_OK);
  p->gone = true;
}

static void replace_one(lk_owner *owner) {
  person *p = &people[random_below(&random_numbers, people_count)];
  if (p->gone) return;
  p->gone = p->key_stays = true;
  enroll(owner, p->key, LK_NEVER);
}

static void delete_some(lk_owner *owner) {
  for (int i = 0; i < 6; i++) delete_one(owner, i % 2 == 0);
  for (int i = 0; i < 2; i++) replace_one(owner);
}

/* Rows that have gone from segments, with a state, and from two journals. */
static lk_owner *come_and_go(void) {
  snprintf(path, sizeof path, "%s/g", files_root);
  files_remove_folder(path);
  lk_gallery_options options = {.dim = DIM, .metric = LK_L2, .store = store};
  cr_assert_eq(lk_gallery_create(path, &options, NULL), LK_OK);
  people_count = 0;
  lk_owner *owner = own();
  for (int i = 0; i < 2; i++) {
    enroll_some(owner);
    enroll_some(owner);
    delete_some(owner);
    cr_assert_eq(lk_fold(owner, LK_FOLD_JOURNAL, NULL), LK_OK);
  }
  delete_some(owner);
  cr_assert_eq(lk_fold(owner, LK_FOLD_JOURNAL, NULL), LK_OK);
  enroll_some(owner);
  delete_some(owner);
  is_full = true;
  cr_assert_eq(lk_fold(owner, LK_FOLD_JOURNAL, NULL), LK_EIO);
  is_full = false;
  enroll_some(owner);
  delete_some(owner);
  const lk_manifest *manifest = &lk_owner_gallery(owner)->manifest;
  cr_assert(manifest->journals_count == 2 && manifest->state.id != 0);
  return owner;
}

/* ---- what the files have ---- */

static bool files_have(const void *bytes, size_t size) {
  DIR *entries = opendir(path);
  bool found = false;
  for (struct dirent *entry; !found && (entry = readdir(entries)) != NULL;) {
    char file[PATH_MAX + 300];
    size_t file_size;
    if (entry->d_name[0] == '.') continue;
    snprintf(file, sizeof file, "%s/%s", path, entry->d_name);
    char *data = files_read(file, &file_size);
    found = memmem(data, file_size, bytes, size) != NULL;
    free(data);
  }
  closedir(entries);
  return found;
}

static bool files_have_text(const char *text) { return files_have(text, strlen(text)); }

/* A third of it, as it came or as it is stored. */
static bool files_have_vector(const person *p) {
  uint16_t halves[DIM];
  for (int i = 0; i < DIM; i++) halves[i] = lk_half_from_float(p->vector[i]);
  return files_have(p->vector, 4 * sizeof *p->vector) || files_have(halves, 4 * sizeof *halves);
}

/* Of how many who have gone there is anything. */
static uint32_t count_traces(void) {
  uint32_t traces = 0;
  for (uint32_t i = 0; i < people_count; i++) {
    const person *p = &people[i];
    if (!p->gone) continue;
    traces += files_have_vector(p) || files_have_text(p->subject) || files_have_text(p->group) ||
              files_have_text(p->metadata) || (!p->key_stays && files_have_text(p->key));
  }
  return traces;
}

static void expect_erased(const char *when) {
  for (uint32_t i = 0; i < people_count; i++) {
    const person *p = &people[i];
    if (p->gone) continue;
    cr_assert(files_have_vector(p) && files_have_text(p->key) && files_have_text(p->subject), "%s: %s", when, p->key);
  }
  uint32_t traces = count_traces();
  cr_assert_eq(traces, 0, "%s: traces of %u who have gone", when, traces);
}

static uint32_t count_gone(void) {
  uint32_t gone = 0;
  for (uint32_t i = 0; i < people_count; i++) gone += people[i].gone;
  return gone;
}

static void erase(lk_store as) {
  uint64_t erased;
  store = as;
  lk_owner *owner = come_and_go();
  cr_assert_gt(count_traces(), count_gone() / 2, "the test looks for nothing");
  cr_assert_eq(lk_owner_compact(owner, NULL, &erased, NULL), LK_OK);
  cr_assert(erased > 0 && erased <= count_gone());
  expect_erased("compacted");
  lk_owner_close(owner);
  lk_owner_close(own());
  expect_erased("opened again");
}

Test(owner_erasure, by_compaction) { erase(LK_STORE_F32); }
Test(owner_erasure, by_compaction_of_halves) { erase(LK_STORE_F16); }

/* Nothing is new, and there is no other segment to be merged with. */
Test(owner_erasure, from_the_only_segment) {
  lk_owner *owner = come_and_go();
  for (int i = 0; i < 2; i++) cr_assert_eq(lk_owner_compact(owner, NULL, NULL, NULL), LK_OK);
  cr_assert_eq(lk_owner_gallery(owner)->manifest.segments_count, 1);
  for (int i = 0; i < 6; i++) delete_one(owner, i % 2 == 0);
  cr_assert_gt(count_traces(), 0);
  cr_assert_eq(lk_owner_compact(owner, NULL, NULL, NULL), LK_OK);
  expect_erased("compacted");
  lk_owner_close(owner);
}

/* ---- a crash between the steps ---- */

/* False: compaction has come to its end before that. */
static bool crash_at(uint32_t call) {
  pid_t child = fork();
  if (child == 0) {
    lk_owner *owner = own();
    calls_left = call;
    _exit(lk_owner_compact(owner, NULL, NULL, NULL) == LK_OK ? 0 : 1);
  }
  int status;
  waitpid(child, &status, 0);
  cr_assert(WIFEXITED(status) && (WEXITSTATUS(status) == 77 || WEXITSTATUS(status) == 0), "call %u", call);
  return WEXITSTATUS(status) == 77;
}

Test(owner_erasure, after_a_crash_at_each_step) {
  uint32_t call = 1;
  bool crashed = true;
  for (; crashed; call++) {
    char when[32];
    random_numbers = (random_state){call};
    lk_owner_close(come_and_go());
    crashed = crash_at(call);
    snprintf(when, sizeof when, "call %u", call);
    lk_owner *owner = own();
    const lk_manifest *manifest = &lk_owner_gallery(owner)->manifest;
    lk_gallery_stat stat;
    lk_gallery_stat_get(lk_owner_gallery(owner), &stat);
    if (manifest->epoch == stat.epoch && stat.positions == stat.templates) expect_erased(when);
    cr_assert_eq(lk_owner_compact(owner, NULL, NULL, NULL), LK_OK, "%s", when);
    expect_erased(when);
    lk_owner_close(owner);
  }
  cr_assert_gt(call, 25, "%u calls", call);
}
