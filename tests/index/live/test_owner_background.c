/* A journal that has become large is folded in the background. */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/text.h"
#include "index/live/fold.h"
#include "tests/support/files.h"

enum { DIM = 4096, ROWS = 900, TIMES = 5 }; /* 14 MiB at a time */

static char path[PATH_MAX + 2];
static lk_owner *owner;
static float *vectors;
static bool is_full; /* the disk, for new segments */
static bool fails;   /* any fsync */

TestSuite(owner_background, .init = files_setup, .fini = files_teardown, .timeout = 120);

static int reserve(int fd, off_t size) {
  errno = ENOSPC;
  return is_full ? -1 : lk_disk_system.reserve(fd, size);
}

/* No machine of a test has to wait for its disk. */
static int no_sync(int fd) {
  (void)fd;
  errno = EIO;
  return fails ? -1 : 0;
}

static void begin(void) {
  static lk_disk disk;
  random_state random = {3};
  snprintf(path, sizeof path, "%s/g", files_root);
  lk_gallery_options options = {.dim = DIM, .metric = LK_COSINE, .store = LK_STORE_F32};
  cr_assert_eq(lk_gallery_create(path, &options, NULL), LK_OK);
  disk = lk_disk_system;
  disk.reserve = reserve;
  disk.sync = no_sync;
  cr_assert_eq(lk_owner_open_on(&disk, path, &owner, NULL), LK_OK);
  vectors = files_random(&random, ROWS, DIM);
}

static lk_status enroll(void) {
  lk_vectors given = files_vectors(vectors, ROWS, DIM);
  lk_enrollment enrollment = {.vectors = &given};
  return lk_owner_enroll(owner, &enrollment, NULL, NULL, NULL);
}

static void enroll_until_due(void) {
  for (int i = 0; i < TIMES; i++) cr_assert_eq(enroll(), LK_OK);
}

static void wait_for_fold(void) {
  pthread_mutex_lock(&owner->mutex);
  while (owner->folding) pthread_cond_wait(&owner->turned, &owner->mutex);
  pthread_mutex_unlock(&owner->mutex);
}

/* Returns how many segments there are. */
static uint32_t expect_rows(uint64_t rows) {
  lk_gallery *reader;
  lk_gallery_stat stat;
  lk_error error;
  cr_assert_eq(lk_gallery_open(path, &reader, &error), LK_OK, "%s", error.text);
  lk_gallery_stat_get(reader, &stat);
  uint32_t segments = reader->manifest.segments_count;
  cr_assert_eq(stat.templates, rows);
  lk_gallery_close(reader);
  free(vectors);
  return segments;
}

Test(owner_background, and_closing_waits_for_it) {
  begin();
  enroll_until_due();
  lk_owner_close(owner);
  cr_assert_gt(expect_rows((uint64_t)TIMES * ROWS), 0, "nothing was folded");
}

static void *fold_often(void *context) {
  (void)context;
  for (int i = 0; i < TIMES; i++) {
    cr_assert_eq(enroll(), LK_OK);
    cr_assert_eq(lk_fold(owner, LK_FOLD_JOURNAL, NULL), LK_OK);
  }
  return NULL;
}

/* ThreadSanitizer watches. */
Test(owner_background, while_the_gallery_is_loaded) {
  pthread_t thread;
  lk_device *device;
  begin();
  cr_assert_eq(lk_device_open("cpu", 1, &device, NULL), LK_OK);
  cr_assert_eq(enroll(), LK_OK);
  cr_assert_eq(pthread_create(&thread, NULL, fold_often, NULL), 0);
  for (int i = 0; i < 4 * TIMES; i++) cr_assert_eq(lk_owner_load(owner, device, NULL), LK_OK);
  pthread_join(thread, NULL);
  lk_owner_close(owner);
  lk_device_close(device);
  expect_rows((uint64_t)(TIMES + 1) * ROWS);
}

/* Nobody is told, and nothing is lost; the next one folds both journals. */
Test(owner_background, on_a_full_disk) {
  begin();
  is_full = true;
  enroll_until_due();
  wait_for_fold();
  cr_assert_eq(lk_owner_gallery(owner)->manifest.journals_count, 2);
  cr_assert_eq(enroll(), LK_OK);
  is_full = false;
  cr_assert_eq(lk_fold(owner, LK_FOLD_JOURNAL, NULL), LK_OK);
  lk_owner_close(owner);
  cr_assert_gt(expect_rows((uint64_t)(TIMES + 1) * ROWS), 0);
}

/* The journal cannot be sealed: then no change is taken any more. */
Test(owner_background, on_a_disk_that_fails) {
  begin();
  for (int i = 0; i < TIMES - 1; i++) cr_assert_eq(enroll(), LK_OK);
  pthread_mutex_lock(&owner->mutex);
  owner->recorded += UINT64_C(64) << 20;
  pthread_mutex_unlock(&owner->mutex);
  fails = true;
  lk_fold_if_due(owner);
  wait_for_fold();
  fails = false;
  cr_assert_eq(enroll(), LK_EIO);
  lk_owner_close(owner);
  expect_rows((uint64_t)(TIMES - 1) * ROWS);
}
