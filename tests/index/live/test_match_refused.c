/* The duplicate check: what it needs, what it says, enrollments of several threads, and groups that fail. */
#include <criterion/criterion.h>
#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"
#include "index/live/fold.h"
#include "index/live/queue.h"
#include "tests/support/faulty_disk.h"
#include "tests/support/files.h"

enum { DIM = 16, THREADS = 4, PERSONS = 60, BULK = 2500 };

static char path[PATH_MAX + 2];
static lk_folder folder;
static lk_device *device;
static lk_owner *owner;
static lk_error error;
static float *rows;

static void setup(void) {
  files_setup();
  snprintf(path, sizeof path, "%s/g", files_root);
  lk_gallery_options options = {.dim = DIM, .metric = LK_COSINE, .store = LK_STORE_F16};
  cr_assert_eq(lk_gallery_create(path, &options, NULL), LK_OK);
  cr_assert_eq(lk_device_open("cpu", 1, &device, NULL), LK_OK);
  random_state random = {9};
  rows = files_random(&random, BULK, DIM);
}

static void own(const lk_disk *disk) {
  cr_assert_eq(lk_owner_open_on(disk, path, &owner, &error), LK_OK, "%s", error.text);
  cr_assert_eq(lk_owner_load(owner, device, &error), LK_OK, "%s", error.text);
}

static void teardown(void) {
  lk_owner_close(owner);
  lk_device_close(device);
  free(rows);
  files_teardown();
}

TestSuite(match_refused, .init = setup, .fini = teardown, .timeout = 120);

/* A request of one row that refuses matches from 0.9 on. */
typedef struct one {
  lk_label label;
  lk_vectors vectors;
  lk_enrollment enrollment;
} one;

static void make(one *o, uint32_t row, const char *key, const char *subject) {
  *o = (one){.label = {.key = lk_text_of(key), .subject = lk_text_of(subject)},
             .vectors = files_vectors(rows + (size_t)row * DIM, 1, DIM)};
  o->vectors.name = "people.npy";
  o->enrollment =
      (lk_enrollment){.vectors = &o->vectors, .labels = &o->label, .unless_match = true, .match_threshold = 0.9F};
}

static lk_status enroll(uint32_t row, const char *key, const char *subject) {
  one o;
  make(&o, row, key, subject);
  return lk_owner_enroll(owner, &o.enrollment, NULL, NULL, &error);
}

static uint64_t templates(void) {
  lk_gallery_stat stat;
  lk_gallery_stat_get(lk_owner_gallery(owner), &stat);
  return stat.templates;
}

Test(match_refused, the_text_names_row_and_template) {
  own(&lk_disk_system);
  cr_assert_eq(enroll(0, "a", "Ada"), LK_OK, "%s", error.text);
  cr_assert_eq(enroll(1, "b", "Bea"), LK_OK, "%s", error.text);
  cr_assert_eq(enroll(0, "c", "Ada"), LK_OK, "her own template: %s", error.text);
  cr_assert_eq(enroll(1, "d", "Dot"), LK_EEXIST);
  cr_assert_not_null(strstr(error.text, "people.npy: row 0 matches (score 1, threshold 0.899999976)"), "%s",
                     error.text);
  cr_assert_not_null(strstr(error.text, " key 'b' of subject 'Bea'"), "%s", error.text);
  cr_assert_eq(enroll(1, "b", "Dot"), LK_EEXIST);
  cr_assert_not_null(strstr(error.text, "key 'b' is in the gallery already"), "%s", error.text);
  cr_assert_eq(templates(), 3);
}

Test(match_refused, a_gallery_that_is_not_loaded) {
  cr_assert_eq(lk_owner_open(path, &owner, NULL), LK_OK);
  cr_assert_eq(enroll(0, "a", "Ada"), LK_EINVAL);
  cr_assert_not_null(strstr(error.text, "not loaded on a device"), "%s", error.text);
}

Test(match_refused, a_threshold_that_is_no_number) {
  one o;
  own(&lk_disk_system);
  make(&o, 0, "a", "Ada");
  o.enrollment.match_threshold = NAN;
  cr_assert_eq(lk_owner_enroll(owner, &o.enrollment, NULL, NULL, &error), LK_EINVAL);
  cr_assert_not_null(strstr(error.text, "not a number"), "%s", error.text);
  cr_assert_eq(templates(), 0);
}

/* The rows that match each other lie in different batches of the search. */
Test(match_refused, rows_of_one_enrollment) {
  own(&lk_disk_system);
  memcpy(rows + (size_t)2100 * DIM, rows + (size_t)1500 * DIM, DIM * sizeof *rows);
  lk_vectors vectors = files_vectors(rows, BULK, DIM);
  lk_enrollment enrollment = {.vectors = &vectors, .unless_match = true, .match_threshold = 0.9999F};
  cr_assert_eq(lk_owner_enroll(owner, &enrollment, NULL, NULL, &error), LK_EEXIST);
  cr_assert_not_null(strstr(error.text, "row 2100 matches"), "%s", error.text);
  cr_assert_not_null(strstr(error.text, "key '1500' of subject '1500'"), "%s", error.text);
  cr_assert_eq(templates(), 0);
  rows[(size_t)2100 * DIM] += 20;
  cr_assert_eq(lk_owner_enroll(owner, &enrollment, NULL, NULL, &error), LK_OK, "%s", error.text);
  cr_assert_eq(templates(), BULK);
  vectors = files_vectors(rows + (size_t)400 * DIM, BULK - 400, DIM);
  cr_assert_eq(lk_owner_enroll(owner, &enrollment, NULL, NULL, &error), LK_EEXIST);
  cr_assert_not_null(strstr(error.text, "row 0 matches"), "the first: %s", error.text);
  cr_assert_not_null(strstr(error.text, "key '400' of"), "%s", error.text);
}

/* Everybody has another template already. */
Test(match_refused, rows_of_the_same_subjects) {
  static char texts[BULK][2][16];
  static lk_label labels[BULK];
  own(&lk_disk_system);
  lk_vectors vectors = files_vectors(rows, BULK, DIM);
  lk_enrollment enrollment = {.vectors = &vectors, .labels = labels, .unless_match = true, .match_threshold = 0.9999F};
  for (int time = 0; time < 2; time++) {
    for (int i = 0; i < BULK; i++) {
      snprintf(texts[i][0], sizeof texts[i][0], "%d-%d", time, i);
      snprintf(texts[i][1], sizeof texts[i][1], "s%d", i);
      labels[i] = (lk_label){.key = lk_text_of(texts[i][0]), .subject = lk_text_of(texts[i][1])};
    }
    cr_assert_eq(lk_owner_enroll(owner, &enrollment, NULL, NULL, &error), LK_OK, "%s", error.text);
  }
  cr_assert_eq(templates(), 2 * BULK);
}

/* ---- threads ---- */

static pthread_barrier_t barrier;
static lk_status outcome[THREADS][PERSONS];
static atomic_bool over;

/* Everybody wants the same persons, each under subjects of his own. */
static void *enroll_all(void *context) {
  uint32_t thread = *(uint32_t *)context;
  for (uint32_t i = 0; i < PERSONS; i++) {
    char key[24];
    one o;
    lk_error why;
    snprintf(key, sizeof key, "t%u-%u", thread, i);
    make(&o, i, key, key);
    pthread_barrier_wait(&barrier);
    outcome[thread][i] = lk_owner_enroll(owner, &o.enrollment, NULL, NULL, &why);
  }
  return NULL;
}

/* What the check searches moves from memory into segments meanwhile. */
static void *fold(void *context) {
  lk_status *status = context;
  for (int i = 0; !over && *status == LK_OK; i++)
    *status = i % 2 == 0 ? lk_fold(owner, LK_FOLD_JOURNAL, NULL) : lk_owner_compact(owner, NULL, NULL, NULL);
  return NULL;
}

Test(match_refused, one_of_several_threads_succeeds) {
  pthread_t threads[THREADS], folder_thread;
  lk_status folded = LK_OK;
  uint32_t numbers[THREADS];
  own(&lk_disk_system);
  cr_assert_eq(pthread_create(&folder_thread, NULL, fold, &folded), 0);
  cr_assert_eq(pthread_barrier_init(&barrier, NULL, THREADS), 0);
  for (uint32_t i = 0; i < THREADS; i++) {
    numbers[i] = i;
    cr_assert_eq(pthread_create(&threads[i], NULL, enroll_all, &numbers[i]), 0);
  }
  for (uint32_t i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
  over = true;
  pthread_join(folder_thread, NULL);
  cr_assert_eq(folded, LK_OK);
  for (uint32_t i = 0; i < PERSONS; i++) {
    uint32_t enrolled = 0, refused = 0;
    for (uint32_t t = 0; t < THREADS; t++) {
      enrolled += outcome[t][i] == LK_OK;
      refused += outcome[t][i] == LK_EEXIST;
    }
    cr_assert(enrolled == 1 && refused == THREADS - 1, "person %u: %u enrolled, %u refused", i, enrolled, refused);
  }
  cr_assert_eq(templates(), PERSONS);
}

/* ---- a group that fails ---- */

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

/* What the second one matches is on no disk, and will not be. */
Test(match_refused, by_a_template_that_fails) {
  folder = *files_folder(path);
  faulty_disk_start(&folder);
  own(&faulty_disk);
  one ones[2];
  make(&ones[0], 0, "a", "Ada");
  make(&ones[1], 0, "b", "Bea");
  lk_request requests[] = {{.enrollment = &ones[0].enrollment, .count = 1},
                           {.enrollment = &ones[1].enrollment, .count = 1}};
  pthread_t threads[2];
  faulty_disk_fail(faulty_disk_calls() + 2, EIO, false);
  lk_owner_take_turn(owner);
  for (int i = 0; i < 2; i++) {
    cr_assert_eq(pthread_create(&threads[i], NULL, pass, &requests[i]), 0);
    while (!is_last(&requests[i])) usleep(100);
  }
  lk_owner_end_turn(owner);
  for (int i = 0; i < 2; i++) pthread_join(threads[i], NULL);
  cr_assert(requests[1].finding.found, "%s", requests[1].error.text);
  cr_assert_eq(requests[0].status, LK_EIO);
  cr_assert_eq(requests[1].status, LK_EIO, "it was told of a template that failed");
  lk_owner_close(owner);
  owner = NULL;
  faulty_disk_cut_power(NULL);
  faulty_disk_stop();
}
