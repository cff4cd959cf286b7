/* Changes of several threads that come together, and so share one fsync and its fate. */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "base/text.h"
#include "index/live/fold.h"
#include "index/live/queue.h"
#include "tests/support/faulty_disk.h"
#include "tests/support/files.h"

enum { DIM = 4, MOST = 4 };

static char path[PATH_MAX + 2];
static lk_folder folder;
static lk_owner *owner;

static void setup(void) {
  files_setup();
  snprintf(path, sizeof path, "%s/g", files_root);
  lk_gallery_options options = {.dim = DIM, .metric = LK_L2, .store = LK_STORE_F32};
  cr_assert_eq(lk_gallery_create(path, &options, NULL), LK_OK);
  folder = *files_folder(path);
  faulty_disk_start(&folder);
  cr_assert_eq(lk_owner_open_on(&faulty_disk, path, &owner, NULL), LK_OK);
}

static void teardown(void) {
  faulty_disk_stop();
  files_teardown();
}

TestSuite(owner_groups, .init = setup, .fini = teardown, .timeout = 60);

static lk_status enroll(const char *key, uint64_t version, uint64_t expires_ms) {
  static const float vector[DIM] = {1, 2, 3, 4};
  lk_label label = {.key = lk_text_of(key), .version = version, .expires_ms = expires_ms};
  lk_vectors vectors = files_vectors(vector, 1, DIM);
  lk_enrollment enrollment = {.vectors = &vectors, .labels = &label};
  return lk_owner_enroll(owner, &enrollment, NULL, NULL, NULL);
}

static void *pass(void *request) {
  lk_queue_pass(owner, request);
  return NULL;
}

static bool is_last(const lk_request *request) {
  pthread_mutex_lock(&owner->mutex);
  bool last = owner->last == request;
  pthread_mutex_unlock(&owner->mutex);
  return last;
}

/* All requests as one group, in this order. */
static void pass_together(lk_request *requests, uint32_t count) {
  pthread_t threads[MOST];
  lk_owner_take_turn(owner);
  for (uint32_t i = 0; i < count; i++) {
    cr_assert_eq(pthread_create(&threads[i], NULL, pass, &requests[i]), 0);
    while (!is_last(&requests[i])) usleep(100);
  }
  lk_owner_end_turn(owner);
  for (uint32_t i = 0; i < count; i++) pthread_join(threads[i], NULL);
}

static bool is_there(const char *key) {
  lk_gallery *reader;
  uint64_t position;
  cr_assert_eq(lk_gallery_open(path, &reader, NULL), LK_OK);
  bool there = lk_gallery_find(reader, lk_text_of(key), &position, NULL) == LK_OK;
  lk_gallery_close(reader);
  return there;
}

/* The second one finds that the first has done it: but that is on no disk yet, and will not be. */
static void expect_both_fail(lk_request *first, lk_request *second) {
  lk_request requests[] = {*first, *second};
  faulty_disk_fail(faulty_disk_calls() + 2, EIO, false);
  pass_together(requests, 2);
  cr_assert_eq(requests[0].status, LK_EIO);
  cr_assert_eq(requests[1].status, LK_EIO, "it was told of a change that failed");
  lk_owner_close(owner);
  faulty_disk_cut_power(NULL);
}

Test(owner_groups, a_deletion_that_another_one_has_made) {
  cr_assert_eq(enroll("a", 0, LK_NEVER), LK_OK);
  lk_change change = {.kind = LK_CHANGE_DELETE_KEY, .key = lk_text_of("a")};
  lk_request request = {.changes = &change, .count = 1};
  expect_both_fail(&request, &request);
  cr_assert(is_there("a"));
}

Test(owner_groups, an_enrollment_that_another_one_has_made) {
  static const float vector[DIM] = {1, 2, 3, 4};
  lk_label label = {.key = lk_text_of("a"), .version = 7};
  lk_vectors vectors = files_vectors(vector, 1, DIM);
  lk_enrollment enrollment = {.vectors = &vectors, .labels = &label};
  lk_request request = {.enrollment = &enrollment, .count = 1};
  expect_both_fail(&request, &request);
  cr_assert(!is_there("a"));
}

/* As compaction deletes what has expired. */
static void expect_kept(lk_request *first) {
  lk_change deletion = {.kind = LK_CHANGE_DELETE_KEY, .key = lk_text_of("a")};
  lk_request requests[] = {*first, {.changes = &deletion, .count = 1, .expired_ms = 1000}};
  pass_together(requests, 2);
  cr_assert_eq(requests[0].status, LK_OK);
  cr_assert_eq(requests[1].status, LK_OK);
  cr_assert_eq(requests[1].receipt.templates, 0, "what has more time was deleted");
  cr_assert_eq(requests[1].receipt.unchanged, 1);
  cr_assert(is_there("a"));
  lk_owner_close(owner);
}

static void give_time(void) {
  lk_change change = {.kind = LK_CHANGE_EXPIRE, .key = lk_text_of("a"), .expires_ms = LK_NEVER};
  lk_request request = {.changes = &change, .count = 1};
  expect_kept(&request);
}

Test(owner_groups, what_is_given_more_time_is_not_deleted_as_expired) {
  cr_assert_eq(enroll("a", 0, 1), LK_OK);
  give_time();
}

Test(owner_groups, of_a_segment_either) {
  cr_assert_eq(enroll("a", 0, 1), LK_OK);
  cr_assert_eq(lk_fold(owner, LK_FOLD_ALL, NULL), LK_OK);
  give_time();
}

Test(owner_groups, what_is_enrolled_in_its_place_is_not_deleted_as_expired) {
  static const float vector[DIM] = {4, 3, 2, 1};
  cr_assert_eq(enroll("a", 0, 1), LK_OK);
  lk_label label = {.key = lk_text_of("a")};
  lk_vectors vectors = files_vectors(vector, 1, DIM);
  lk_enrollment enrollment = {.vectors = &vectors, .labels = &label, .replace = true};
  lk_request request = {.enrollment = &enrollment, .count = 1};
  expect_kept(&request);
}

Test(owner_groups, what_has_expired_is_deleted) {
  cr_assert_eq(enroll("a", 0, 1), LK_OK);
  cr_assert_eq(enroll("b", 0, LK_NEVER), LK_OK);
  uint64_t erased;
  cr_assert_eq(lk_owner_compact(owner, NULL, &erased, NULL), LK_OK);
  cr_assert_eq(erased, 1);
  cr_assert(!is_there("a") && is_there("b"));
  lk_owner_close(owner);
}
