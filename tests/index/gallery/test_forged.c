/* Segments whose checksums are right and whose contents are not what was enrolled. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "index/storage/segment.h"
#include "tests/support/files.h"

TestSuite(forged, .init = files_setup, .fini = files_teardown);

enum { SMALL_ROWS = 7, SMALL_DIM = 3 };

static const char *write_small(lk_metric metric) {
  random_state random = {1};
  float *data = files_random(&random, SMALL_ROWS, SMALL_DIM);
  const char *folder = files_gallery(lk_metric_name(metric), metric, SMALL_DIM);
  files_enroll(folder, data, SMALL_ROWS, SMALL_DIM, NULL);
  free(data);
  return folder;
}

static lk_segment open_segment(const char *folder) {
  lk_segment segment;
  lk_error error = {0};
  cr_assert_eq(lk_segment_open(files_folder(folder), "segment-000001.lks", &segment, &error), LK_OK, "%s", error.text);
  return segment;
}

static lk_status verify_all(const lk_segment *segment) {
  lk_status status = LK_OK;
  for (lk_section s = 0; status == LK_OK && s < LK_SECTIONS; s++) status = lk_segment_verify(segment, s, NULL);
  return status;
}

/* Fills one row of a section, and sets the checksums right. */
static void forge(const char *folder, lk_section section, uint32_t row, const void *bytes, size_t size) {
  size_t length;
  char path[PATH_MAX];
  snprintf(path, sizeof path, "%s/segment-000001.lks", folder);
  char *image = files_read(path, &length);
  lk_segment_header *h = (lk_segment_header *)image;
  lk_section_entry *entry = &h->sections[section];
  memcpy(image + entry->offset + row * size, bytes, size);
  entry->checksum = XXH3_64bits(image + entry->offset, entry->bytes);
  h->checksum = XXH3_64bits(h, offsetof(lk_segment_header, checksum));
  files_write(path, image, length);
  free(image);
}

static void expect_forged(const char *folder, uint32_t row, const char *what) {
  lk_segment segment = open_segment(folder);
  lk_error error = {0};
  cr_assert_eq(verify_all(&segment), LK_OK);
  for (uint32_t r = 0; r < SMALL_ROWS; r++)
    cr_assert_eq(lk_segment_check_row(&segment, r, &error), r == row ? LK_ECORRUPT : LK_OK, "row %u: %s", r,
                 error.text);
  cr_assert_not_null(strstr(error.text, what), "%s", error.text);
  lk_segment_close(&segment);
}

/* Such a row can not be found. */
Test(forged, a_code_that_is_not_its_rows_is_named) {
  static const int8_t nothing[SMALL_DIM];
  static const lk_row_bound short_row = {.residual = 0, .norm = 0x1p-60F};
  for (lk_metric metric = LK_COSINE; metric <= LK_L2; metric++) {
    const char *folder = write_small(metric);
    forge(folder, LK_SECTION_CODES, 3, nothing, sizeof nothing);
    forge(folder, LK_SECTION_BOUNDS, 3, &short_row, sizeof short_row);
    expect_forged(folder, 3, "row 3: the vector and its code do not agree");
  }
}

/* One that loses more than it says can not be found either. */
Test(forged, a_code_that_loses_more_is_named) {
  static const int8_t nothing[SMALL_DIM];
  static const float lost = 0;
  for (lk_metric metric = LK_COSINE; metric <= LK_L2; metric++) {
    const char *folder = write_small(metric);
    forge(folder, LK_SECTION_CODES, 3, nothing, sizeof nothing);
    forge(folder, LK_SECTION_BOUNDS, 3 * sizeof(lk_row_bound) / sizeof lost, &lost, sizeof lost);
    expect_forged(folder, 3, "row 3: the vector and its code do not agree");
  }
}

Test(forged, a_row_that_is_not_its_codes_is_named) {
  static const float vector[SMALL_DIM] = {0, 1, 0}, not_a_number[SMALL_DIM] = {NAN, 0, 0},
                     longer[SMALL_DIM] = {0, 3, 0};
  const char *folder = write_small(LK_IP);
  forge(folder, LK_SECTION_EXACT, 2, vector, sizeof vector);
  expect_forged(folder, 2, "row 2: the vector and its code do not agree");
  folder = write_small(LK_L2);
  forge(folder, LK_SECTION_EXACT, 2, not_a_number, sizeof not_a_number);
  expect_forged(folder, 2, "row 2: the vector and its code do not agree");
  folder = write_small(LK_COSINE);
  forge(folder, LK_SECTION_EXACT, 2, longer, sizeof longer);
  expect_forged(folder, 2, "row 2: the vector is not as long as when it was enrolled");
}

Test(forged, a_reciprocal_length_out_of_range_is_named) {
  static const double values[] = {NAN, INFINITY, 0, -1, 0x1.fp-42, 0x1.1p41, 0x1p-41, 0x1p41};
  size_t count = sizeof values / sizeof values[0];
  const char *folder = write_small(LK_COSINE);
  for (size_t i = 0; i < count; i++) {
    lk_segment segment;
    lk_error error = {0};
    forge(folder, LK_SECTION_BOUNDS, SMALL_ROWS + 5, &values[i], sizeof values[i]); /* they lie behind the bounds */
    lk_status status = lk_segment_open(files_folder(folder), "segment-000001.lks", &segment, &error);
    cr_assert_eq(status, i + 2 < count ? LK_ECORRUPT : LK_OK, "%a", values[i]);
    if (status == LK_OK)
      lk_segment_close(&segment);
    else
      cr_assert_not_null(strstr(error.text, ".lks: row 5: its reciprocal length is out of range"), "%s", error.text);
  }
}
