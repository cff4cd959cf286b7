/* The time of a search: it is this machine's, and one for all that the search does. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <time.h>

#include "index/gallery/gallery.h"
#include "index/gallery/unchecked.h"
#include "kernels/search/device.h"
#include "tests/support/files.h"

enum { ROWS = 400, DIM = 16, PROBES = 3 };

/* 2023-11-14, and a second more each time that somebody looks. */
static const time_t began = 1700000000;
static time_t seconds;

int __real_clock_gettime(clockid_t clock, struct timespec *now);
int __wrap_clock_gettime(clockid_t clock, struct timespec *now);

int __wrap_clock_gettime(clockid_t clock, struct timespec *now) {
  if (clock != CLOCK_REALTIME) return __real_clock_gettime(clock, now);
  *now = (struct timespec){.tv_sec = began + seconds++};
  return 0;
}

static lk_device *device;
static lk_gallery *gallery;
static float *rows;
static uint64_t expires_ms[ROWS];

static void setup(void) {
  files_setup();
  random_state random = {15};
  rows = files_random(&random, ROWS, DIM);
  const char *folder = files_gallery("g", LK_COSINE, DIM);
  files_enroll(folder, rows, ROWS, DIM, NULL);
  gallery = files_open(folder);
  cr_assert_eq(lk_device_open("cpu", 2, &device, NULL), LK_OK);
  cr_assert_eq(lk_gallery_load(gallery, device, NULL), LK_OK);
}

static void teardown(void) {
  lk_gallery_close(gallery);
  lk_device_close(device);
  free(rows);
  files_teardown();
}

TestSuite(expiry_time, .init = setup, .fini = teardown);

/* All rows expire so many milliseconds after 2023-11-14. */
static void expire(uint64_t ms) {
  for (uint32_t r = 0; r < ROWS; r++) expires_ms[r] = (uint64_t)began * 1000 + ms;
  lk_visibility visibility = {.expires_ms = expires_ms};
  cr_assert_eq(lk_device_begin_changes(device, NULL), LK_OK);
  cr_assert_eq(lk_device_update_block(device, gallery->contents->catalog->residents[0], &visibility, 0, ROWS, NULL),
               LK_OK);
  lk_device_end_changes(device);
}

static uint64_t count_found(lk_fusion fusion) {
  lk_result *result;
  lk_vectors probes = files_vectors(rows, PROBES, DIM);
  lk_query query = {.probes = &probes, .probes_count = 1, .k = 5, .threshold = -INFINITY, .fusion = fusion};
  cr_assert_eq(lk_result_open(&result, NULL), LK_OK);
  seconds = 0;
  cr_assert_eq(lk_gallery_identify_unchecked(gallery, &query, result, NULL, NULL), LK_OK);
  uint32_t found = lk_result_count(result, 0);
  cr_assert_eq(lk_result_searched(result), found > 0 ? ROWS : 0);
  lk_result_close(result);
  return found;
}

Test(expiry_time, rows_live_until_their_time) {
  for (lk_fusion fusion = LK_FUSE_NONE; fusion <= LK_FUSE_MEAN; fusion++) {
    expire(1);
    cr_assert_eq(count_found(fusion), 5);
    expire(0);
    cr_assert_eq(count_found(fusion), 0);
  }
}

/* A search for fused candidates searches twice. */
Test(expiry_time, is_one_for_the_whole_search) {
  expire(1000);
  cr_assert_eq(count_found(LK_FUSE_MEAN), 5);
  cr_assert_eq(seconds, 1);
}
