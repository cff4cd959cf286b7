/* A device that is closed before the galleries that are loaded on it. */
#include <criterion/criterion.h>
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "tests/support/files.h"

enum { ROWS = 700, DIM = 16, PROBES = 4, THREADS = 3 };

static lk_device *device;
static lk_gallery *gallery;
static float *rows;

static void setup(void) {
  files_setup();
  random_state random = {14};
  rows = files_random(&random, ROWS, DIM);
  const char *folder = files_gallery("g", LK_COSINE, DIM);
  files_enroll(folder, rows, ROWS, DIM, NULL);
  files_enroll(folder, rows, ROWS, DIM, NULL);
  gallery = files_open(folder);
  cr_assert_eq(lk_device_open("cpu", 2, &device, NULL), LK_OK);
  cr_assert_eq(lk_gallery_load(gallery, device, NULL), LK_OK);
}

static void teardown(void) {
  lk_gallery_close(gallery);
  free(rows);
  files_teardown();
}

TestSuite(closed_device, .init = setup, .fini = teardown);

static lk_status search(lk_error *error) {
  lk_result *result;
  lk_vectors probes = files_vectors(rows, PROBES, DIM);
  lk_query query = {.probes = &probes, .probes_count = 1, .k = 2, .threshold = -INFINITY};
  cr_assert_eq(lk_result_open(&result, NULL), LK_OK);
  lk_status status = lk_gallery_identify(gallery, &query, result, NULL, error);
  cr_assert_eq(lk_result_count(result, PROBES - 1), status == LK_OK ? 2 : 0);
  lk_result_close(result);
  return status;
}

static void expect_closed(void) {
  lk_error error;
  cr_assert_eq(search(&error), LK_EINVAL);
  cr_assert_str_eq(error.text, "the device is closed");
}

Test(closed_device, before_its_gallery) {
  lk_device_close(device);
  expect_closed();
}

Test(closed_device, loaded_elsewhere) {
  lk_device *other;
  cr_assert_eq(lk_device_open("cpu:portable", 1, &other, NULL), LK_OK);
  lk_device_close(device);
  cr_assert_eq(lk_gallery_load(gallery, other, NULL), LK_OK);
  cr_assert_eq(search(NULL), LK_OK);
  lk_device_close(other);
  expect_closed();
}

/* The gallery is the last that holds it, and leaves it. */
Test(closed_device, loaded_on_it_again) {
  lk_error error;
  lk_device_close(device);
  cr_assert_eq(lk_gallery_load(gallery, device, &error), LK_EINVAL);
  cr_assert_str_eq(error.text, "the device is closed");
  cr_assert_eq(search(&error), LK_EINVAL);
  cr_assert_not_null(strstr(error.text, "not loaded"), "%s", error.text);
}

/* Which has no block on the device. */
Test(closed_device, an_empty_gallery) {
  lk_gallery_close(gallery);
  gallery = files_open(files_gallery("empty", LK_COSINE, DIM));
  lk_device *other;
  cr_assert_eq(lk_device_open("cpu", 1, &other, NULL), LK_OK);
  cr_assert_eq(lk_gallery_load(gallery, other, NULL), LK_OK);
  lk_device_close(device);
  lk_device_close(other);
  expect_closed();
}

static atomic_uint searches;

static void *search_until_closed(void *context) {
  lk_error error;
  (void)context;
  while (search(&error) == LK_OK) atomic_fetch_add(&searches, 1);
  cr_assert_str_eq(error.text, "the device is closed");
  return NULL;
}

Test(closed_device, while_threads_search) {
  pthread_t threads[THREADS];
  for (int i = 0; i < THREADS; i++) cr_assert_eq(pthread_create(&threads[i], NULL, search_until_closed, NULL), 0);
  while (atomic_load(&searches) < 2 * THREADS) lk_clock_sleep_us(100);
  lk_device_close(device);
  expect_closed();
  for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
}
