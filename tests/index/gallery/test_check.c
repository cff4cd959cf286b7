/* The check of a gallery with segments, a state and journals: no byte of any of its files can change unnoticed, but for
 * the last group of a journal, which nobody vouches for. */
#include <criterion/criterion.h>
#include <dirent.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"
#include "index/catalog/namesakes.h"
#include "index/gallery/gallery.h"
#include "index/live/fold.h"
#include "tests/support/files.h"

enum { DIM = 2, ROWS = 4 };

static lk_error error;
static char folder[PATH_MAX];

static lk_owner *own(void) {
  lk_owner *owner;
  cr_assert_eq(lk_owner_open(folder, &owner, &error), LK_OK, "%s", error.text);
  return owner;
}

static void tag(lk_owner *owner, const char *key, uint64_t tags) {
  lk_change change = {.kind = LK_CHANGE_TAG, .key = lk_text_of(key), .tags = tags, .mask = UINT64_MAX};
  cr_assert_eq(lk_owner_change(owner, &change, 1, NULL, NULL, &error), LK_OK, "%s", error.text);
}

static void enroll(lk_owner *owner, const char *key) {
  lk_vectors vectors = files_vectors((float[]){7, 8}, 1, DIM);
  lk_label label = {.key = lk_text_of(key)};
  lk_enrollment enrollment = {.vectors = &vectors, .labels = &label};
  cr_assert_eq(lk_owner_enroll(owner, &enrollment, NULL, NULL, &error), LK_OK, "%s", error.text);
}

/* A segment, a state that says something of its rows, and a journal of two groups. */
static void setup(void) {
  files_setup();
  strcpy(folder, files_gallery("g", LK_L2, DIM));
  files_enroll(folder, (float[]){1, 2, 3, 4, 5, 6, 9, 9}, ROWS, DIM, NULL);
  lk_owner *owner = own();
  tag(owner, "1", 5);
  cr_assert_eq(lk_fold(owner, LK_FOLD_JOURNAL, &error), LK_OK, "%s", error.text);
  enroll(owner, "new");
  tag(owner, "2", 9);
  lk_owner_close(owner);
}

TestSuite(check, .init = setup, .fini = files_teardown);

static lk_status check(void) {
  lk_gallery *gallery;
  lk_status status = lk_gallery_open(folder, &gallery, &error);
  if (status != LK_OK) return status;
  status = lk_gallery_check(gallery, &error);
  lk_gallery_close(gallery);
  return status;
}

/* The file whose name begins with this, and where its last group begins, which is the size unless it is a journal. */
static const char *find(const char *prefix) {
  static char path[PATH_MAX + NAME_MAX + 2];
  DIR *entries = opendir(folder);
  path[0] = '\0';
  for (struct dirent *entry; (entry = readdir(entries)) != NULL;)
    if (strncmp(entry->d_name, prefix, strlen(prefix)) == 0)
      snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
  closedir(entries);
  cr_assert_neq(path[0], '\0', "%s", prefix);
  return path;
}

static void flip_each_byte(const char *prefix, size_t unvouched) {
  char path[PATH_MAX + NAME_MAX + 2];
  size_t size;
  strcpy(path, find(prefix));
  char *data = files_read(path, &size);
  for (size_t i = 0; i < size - unvouched; i++) {
    data[i] ^= 0x20;
    files_write(path, data, size);
    lk_status status = check();
    cr_assert(status != LK_OK, "byte %zu of %s", i, path);
    cr_assert_not_null(strstr(error.text, folder), "byte %zu of %s: %s", i, path, error.text);
    data[i] ^= 0x20;
  }
  files_write(path, data, size);
  cr_assert_eq(check(), LK_OK, "%s", error.text);
  free(data);
}

Test(check, each_byte_of_the_manifest) { flip_each_byte("MANIFEST", 0); }
Test(check, each_byte_of_the_segment) { flip_each_byte("segment-", 0); }
Test(check, each_byte_of_the_state) { flip_each_byte("state-", 0); }

Test(check, each_byte_of_the_journal_but_its_last_group) {
  lk_record record = {.kind = LK_RECORD_TAG, .key = lk_text_of("2"), .mask = 1};
  lk_shape shape = {.metric = LK_L2, .dim = DIM};
  flip_each_byte("journal-", sizeof(lk_record_header) + lk_record_bytes(shape, &record));
}

/* While it is open: the gallery was read before the damage came. */
static void expect_found_later(const char *prefix, const char *words) {
  lk_gallery *gallery = files_open(folder);
  char path[PATH_MAX + NAME_MAX + 2];
  size_t size;
  strcpy(path, find(prefix));
  char *data = files_read(path, &size);
  data[size / 4] ^= 1;
  files_write(path, data, size);
  cr_assert_eq(lk_gallery_check(gallery, &error), LK_ECORRUPT, "%s", prefix);
  cr_assert(strstr(error.text, prefix) != NULL && strstr(error.text, words) != NULL, "%s", error.text);
  lk_gallery_close(gallery);
  free(data);
}

Test(check, a_state_that_is_damaged_later) { expect_found_later("state-", "checksum"); }
Test(check, a_journal_that_is_damaged_later) { expect_found_later("journal-", "journal-"); }

Test(check, a_file_that_is_gone) {
  cr_assert_eq(unlink(find("state-")), 0);
  cr_assert_eq(check(), LK_EIO);
  cr_assert_not_null(strstr(error.text, "state-"), "%s", error.text);
}

/* The owner puts other files in place; what was removed meanwhile is not missed. */
Test(check, after_others_have_folded) {
  lk_gallery *gallery = files_open(folder);
  lk_owner *owner = own();
  cr_assert_eq(lk_owner_compact(owner, NULL, NULL, &error), LK_OK, "%s", error.text);
  cr_assert_eq(lk_gallery_check(gallery, &error), LK_OK, "%s", error.text);
  cr_assert_eq(lk_gallery_check(lk_owner_gallery(owner), &error), LK_OK, "%s", error.text);
  lk_owner_close(owner);
  lk_gallery_close(gallery);
}

static lk_gallery *walked; /* whose keys are being compared */

lk_status __wrap_lk_namesakes_check(const lk_catalog *catalog, lk_error *why);
lk_status __real_lk_namesakes_check(const lk_catalog *catalog, lk_error *why);

lk_status __wrap_lk_namesakes_check(const lk_catalog *catalog, lk_error *why) {
  if (walked != NULL) {
    cr_assert_eq(pthread_rwlock_trywrlock(&walked->contents->lock), 0, "the check keeps changes out");
    pthread_rwlock_unlock(&walked->contents->lock);
  }
  return __real_lk_namesakes_check(catalog, why);
}

/* Whoever waits to change the gallery keeps all searches out. */
Test(check, changes_go_on) {
  walked = files_open(folder);
  cr_assert_eq(lk_gallery_check(walked, &error), LK_OK, "%s", error.text);
  lk_gallery_close(walked);
}

static atomic_bool ended;

static void *fold(void *context) {
  for (int i = 0; i < 150; i++) {
    tag(context, "1", (uint64_t)i);
    cr_assert_eq(lk_fold(context, LK_FOLD_JOURNAL, NULL), LK_OK);
  }
  atomic_store(&ended, true);
  return NULL;
}

Test(check, while_others_fold) {
  pthread_t thread;
  lk_owner *owner = own();
  cr_assert_eq(pthread_create(&thread, NULL, fold, owner), 0);
  while (!atomic_load(&ended)) cr_assert_eq(lk_gallery_check(lk_owner_gallery(owner), &error), LK_OK, "%s", error.text);
  pthread_join(thread, NULL);
  lk_owner_close(owner);
}

/* Bytes behind the last whole batch are what an owner is writing. */
Test(check, a_torn_tail_is_no_damage) {
  size_t size;
  char *data = files_read(find("journal-"), &size);
  files_write(find("journal-"), data, size - 9);
  cr_assert_eq(check(), LK_OK, "%s", error.text);
  free(data);
}
