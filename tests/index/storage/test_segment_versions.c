/* What a row has since version 4 of the file format, and files of the versions before. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "base/text.h"
#include "index/storage/segment.h"
#include "tests/support/files.h"
#include "tests/support/older.h"

TestSuite(segment_versions, .init = files_setup, .fini = files_teardown);

enum { ROWS = 300, DIM = 3 };

static const struct field {
  uint64_t version, expires_ms, expires_in_file;
} fields[] = {{0, 0, LK_NEVER},
              {1, 1, 1},
              {UINT64_MAX, LK_NEVER, LK_NEVER},
              {7, UINT64_MAX - 1, UINT64_MAX - 1},
              {UINT64_C(1) << 63, 1700000000000, 1700000000000}};
enum { FIELDS = sizeof fields / sizeof fields[0] };

/* Row r has r bytes of metadata, up to the most; all bytes occur. */
static lk_text metadata_of(uint32_t row) {
  static char bytes[2 * LK_METADATA_MAX];
  for (uint32_t i = 0; i < sizeof bytes; i++) bytes[i] = (char)i;
  return (lk_text){.bytes = bytes + row % 255, .length = row < LK_METADATA_MAX ? row : LK_METADATA_MAX};
}

static lk_template templates[ROWS];

static void name_rows(void) {
  static char keys[ROWS][8], subjects[ROWS][8];
  for (uint32_t r = 0; r < ROWS; r++) {
    const struct field *f = &fields[r % FIELDS];
    snprintf(keys[r], sizeof keys[r], "k%u", r);
    snprintf(subjects[r], sizeof subjects[r], "s%u", r / 3);
    templates[r] = (lk_template){.number = 10 + r,
                                 .key = lk_text_of(keys[r]),
                                 .subject = lk_text_of(subjects[r]),
                                 .group = lk_text_of(r % 2 == 0 ? "even" : ""),
                                 .tags = r,
                                 .version = f->version,
                                 .expires_ms = f->expires_ms,
                                 .metadata = metadata_of(r)};
  }
}

/* Writes the templates as the file "s", with random rows. */
static void write_segment(lk_metric metric, uint32_t rows) {
  random_state random = {metric + 1};
  float *data = files_random(&random, rows, DIM);
  const char *faults[ROWS];
  lk_pool *pool;
  uint64_t checksum;
  lk_error error;
  lk_segment_content content = {.metric = metric,
                                .vectors = files_vectors(data, rows, DIM),
                                .rows = rows,
                                .templates = templates,
                                .faults = faults};
  cr_assert_eq(lk_pool_open(2, &pool, NULL), LK_OK);
  cr_assert_eq(lk_segment_write(files_folder(files_root), "s", &content, pool, &checksum, &error), LK_OK, "%s",
               error.text);
  lk_pool_close(pool);
  free(data);
}

static void open_segment(lk_segment *segment) {
  lk_error error;
  cr_assert_eq(lk_segment_open(files_folder(files_root), "s", segment, &error), LK_OK, "%s", error.text);
}

static void check_texts(const lk_template *t, const lk_template *wanted) {
  cr_assert(lk_text_equal(t->key, wanted->key) && lk_text_equal(t->subject, wanted->subject) &&
            lk_text_equal(t->group, wanted->group) && t->tags == wanted->tags && t->number == wanted->number);
}

Test(segment_versions, every_field_comes_back) {
  name_rows();
  for (lk_metric metric = LK_COSINE; metric <= LK_L2; metric++) {
    lk_segment segment;
    write_segment(metric, ROWS);
    open_segment(&segment);
    for (uint32_t r = 0; r < ROWS; r++) {
      uint32_t row = segment.by_number[r];
      const struct field *f = &fields[r % FIELDS];
      lk_template t = lk_segment_template(&segment, row);
      check_texts(&t, &templates[r]);
      cr_assert(t.version == f->version && t.expires_ms == f->expires_in_file, "row %u", r);
      cr_assert(lk_text_equal(t.metadata, templates[r].metadata), "row %u", r);
      cr_assert_eq(segment.block.visibility.expires_ms[row], f->expires_in_file);
    }
    lk_segment_close(&segment);
  }
}

/* A search need not look at the expiries of rows that stay. */
Test(segment_versions, a_block_has_expiries_if_one_row_expires) {
  name_rows();
  for (uint32_t expiring = 0; expiring <= 4; expiring++) { /* 4: none of them */
    lk_segment segment;
    for (uint32_t r = 0; r < 4; r++)
      templates[r].expires_ms = r == expiring ? UINT64_MAX - 1 : r % 2 == 0 ? 0 : LK_NEVER;
    write_segment(LK_L2, 4);
    open_segment(&segment);
    cr_assert_eq(segment.block.visibility.expires_ms != NULL, expiring < 4);
    lk_segment_close(&segment);
  }
}

/* ---- files of before ---- */

static char *older_file(lk_metric metric, uint32_t rows, uint32_t version, size_t *size) {
  name_rows();
  write_segment(metric, rows);
  char *from = files_read(files_path("s"), size), *image = older_image(from, version, size);
  free(from);
  return image;
}

static lk_status read_image(const char *image, size_t size, lk_segment *segment, lk_error *error) {
  strcpy(segment->path, "image");
  lk_status status = lk_segment_read(&(lk_file){.data = image, .size = size}, segment, error);
  for (lk_section s = 0; status == LK_OK && s < LK_SECTIONS; s++) status = lk_segment_verify(segment, s, error);
  return status;
}

static void check_older(lk_metric metric, uint32_t version) {
  static lk_segment segment, now;
  size_t size;
  lk_error error;
  char *image = older_file(metric, ROWS, version, &size);
  cr_assert_eq(read_image(image, size, &segment, &error), LK_OK, "%s", error.text);
  cr_assert_eq(lk_segment_verify_header(&segment, &error), LK_OK, "%s", error.text);
  open_segment(&now);
  cr_assert(segment.block.rows == ROWS && segment.header.version == version);
  cr_assert_null(segment.block.visibility.expires_ms);
  cr_assert_eq(segment.block.reciprocals != NULL, metric == LK_COSINE && version > 2);
  for (uint32_t r = 0; r < ROWS; r++) {
    uint32_t row = segment.by_number[r];
    lk_template t = lk_segment_template(&segment, row);
    check_texts(&t, &templates[r]);
    cr_assert(t.version == 0 && t.expires_ms == LK_NEVER && t.metadata.length == 0, "row %u", r);
    cr_assert_eq(lk_segment_check_row(&segment, row, &error), LK_OK, "%s", error.text);
    cr_assert(lk_segment_find_key(&segment, t.key, &row) && row == now.by_number[r]);
  }
  if (metric != LK_COSINE || version > 2)
    cr_assert_arr_eq(segment.block.exact, now.block.exact, (size_t)ROWS * DIM * sizeof(float));
  lk_segment_close(&now);
  free(image);
}

Test(segment_versions, older_files_are_read) {
  for (lk_metric metric = LK_COSINE; metric <= LK_L2; metric++)
    for (uint32_t version = 2; version <= 3; version++) check_older(metric, version);
}

Test(segment_versions, every_changed_bit_of_an_older_file_is_found) {
  static lk_segment segment;
  size_t size;
  lk_error error;
  char *image = older_file(LK_COSINE, 3, 3, &size);
  cr_assert_eq(read_image(image, size, &segment, &error), LK_OK, "%s", error.text);
  for (size_t at = 0; at < size; at++)
    for (int bit = 0; bit < 8; bit++) {
      static lk_segment changed;
      image[at] ^= (char)(1 << bit);
      cr_assert_neq(read_image(image, size, &changed, NULL), LK_OK, "bit %d of byte %zu of %zu", bit, at, size);
      cr_assert(at >= 424 || lk_segment_verify_header(&segment, NULL) == LK_ECORRUPT, "byte %zu", at);
      image[at] ^= (char)(1 << bit);
    }
  free(image);
}

Test(segment_versions, an_older_file_that_is_cut_off_anywhere_or_longer) {
  static lk_segment segment;
  size_t all;
  char *image = older_file(LK_L2, 3, 3, &all), *longer = aligned_alloc(64, (all + 127) / 64 * 64);
  for (size_t size = 0; size < all; size++) {
    char *cut = aligned_alloc(64, size / 64 * 64 + 64); /* so that a sanitizer sees what is read beyond it */
    memcpy(cut, image, size);
    cr_assert_neq(read_image(cut, size, &segment, NULL), LK_OK, "%zu of %zu bytes", size, all);
    free(cut);
  }
  memcpy(longer, image, all);
  memset(longer + all, 0, 64);
  cr_assert_eq(read_image(longer, all + 1, &segment, NULL), LK_ECORRUPT);
  free(longer);
  free(image);
}

/* Where the metric is not cosine, the two older versions differ in their number alone. */
Test(segment_versions, a_version_that_the_sections_do_not_fit) {
  static lk_segment segment;
  for (lk_metric metric = LK_COSINE; metric <= LK_L2; metric++)
    for (uint32_t version = 1; version <= 5; version++) {
      size_t size;
      char *image = older_file(metric, 5, 3, &size);
      lk_error error = {0};
      ((lk_segment_header *)image)->version = version;
      older_seal(image);
      bool fits = version == 3 || (version == 2 && metric != LK_COSINE);
      cr_assert_eq(read_image(image, size, &segment, &error) == LK_OK, fits, "%d as %u: %s", (int)metric, version,
                   error.text);
      free(image);
    }
}

/* ---- what a file may say ---- */

static void check_forged(lk_section section, size_t at, uint64_t value, const char *what) {
  static lk_segment segment;
  size_t size;
  lk_error error;
  char *image = files_read(files_path("s"), &size), words[64], wanted[128];
  lk_segment_header *h = (lk_segment_header *)image;
  lk_section_entry *entry = &h->sections[section];
  memcpy(image + entry->offset + at, &value, sizeof value);
  entry->checksum = XXH3_64bits(image + entry->offset, entry->bytes);
  h->checksum = XXH3_64bits(h, offsetof(lk_segment_header, checksum));
  files_write(files_path("forged"), image, size);
  snprintf(words, sizeof words, "/forged: at offset %llu, ", (unsigned long long)entry->offset);
  snprintf(wanted, sizeof wanted, "%s%s", words, what);
  cr_assert_eq(lk_segment_open(files_folder(files_root), "forged", &segment, &error), LK_ECORRUPT);
  cr_assert_not_null(strstr(error.text, wanted), "'%s' is not in '%s'", wanted, error.text);
  free(image);
}

Test(segment_versions, hostile_values_are_named) {
  name_rows();
  write_segment(LK_IP, ROWS);
  check_forged(LK_SECTION_EXPIRES, 8 * 17, 0, "expiries: an expiry is 0");
  check_forged(LK_SECTION_METADATA_ENDS, 0, UINT64_MAX, "metadata ends: it is not in order");
  check_forged(LK_SECTION_METADATA_ENDS, 8 * (ROWS - 1), 0, "metadata ends: it is not in order");
  lk_segment segment;
  open_segment(&segment);
  uint64_t early = segment.metadata.ends[ROWS - 1] - 1;
  lk_segment_close(&segment);
  check_forged(LK_SECTION_METADATA_ENDS, 8 * (ROWS - 1), early, "metadata ends: it does not fit the texts");
}

Test(segment_versions, metadata_that_is_too_long_is_refused) {
  static const char bytes[LK_METADATA_MAX + 1];
  lk_segment segment;
  for (uint32_t extra = 0; extra < 2; extra++) {
    lk_error error = {0};
    templates[0] = (lk_template){.key = lk_text_of("k"), .metadata = {bytes, LK_METADATA_MAX + extra}};
    write_segment(LK_L2, 1);
    lk_status status = lk_segment_open(files_folder(files_root), "s", &segment, &error);
    cr_assert_eq(status, extra == 0 ? LK_OK : LK_ECORRUPT, "%s", error.text);
    lk_segment_close(&segment);
  }
}
