/* Segments that lie in memory alone, segments of rows of others, and rows that share a key. */
#include <criterion/criterion.h>
#include <fenv.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "index/formats/vector.h"
#include "index/storage/segment.h"
#include "tests/support/files.h"

TestSuite(segment_make, .init = files_setup, .fini = files_teardown);

enum { ROWS = 2 * LK_TILE_ROWS + 44, DIM = 9 };

static lk_template templates[ROWS];
static const char *faults[ROWS];

static void name_rows(void) {
  static char keys[ROWS][8];
  for (uint32_t r = 0; r < ROWS; r++) {
    snprintf(keys[r], sizeof keys[r], "k%u", r);
    templates[r] = (lk_template){.number = r,
                                 .key = lk_text_of(keys[r]),
                                 .subject = lk_text_of(keys[r / 3 * 3]),
                                 .tags = r,
                                 .version = r % 5,
                                 .expires_ms = r % 4 == 0 ? LK_NEVER : 1000 + r,
                                 .metadata = lk_text_of(keys[ROWS - 1 - r])};
  }
}

/* Rows of very different lengths, such as f16 galleries scale under cosine, and halves hold under ip and l2. */
static float *random_rows(lk_metric metric, lk_store store, uint64_t seed) {
  random_state random = {seed};
  float *data = files_random(&random, ROWS, DIM);
  for (uint32_t r = 0; r < ROWS; r++) {
    int exponent = metric == LK_COSINE     ? (int)(r % 61) - 30
                   : store == LK_STORE_F16 ? (int)(r % 20) - 10
                                           : (int)(r % 36);
    for (uint32_t i = 0; i < DIM; i++) data[r * DIM + i] = ldexpf(data[r * DIM + i], exponent);
  }
  return data;
}

static lk_segment_content content_of(lk_metric metric, lk_store store, const float *data) {
  name_rows();
  return (lk_segment_content){.metric = metric,
                              .store = store,
                              .vectors = files_vectors(data, ROWS, DIM),
                              .rows = ROWS,
                              .templates = templates,
                              .faults = faults};
}

static void make(const lk_segment_content *content, lk_segment *segment) {
  lk_error error = {0};
  lk_status status = lk_segment_make(content, "memory", NULL, segment, &error);
  for (uint32_t r = 0; status == LK_EBADPROBE && r < content->rows; r++)
    cr_assert_null(faults[r], "row %u %s", r, faults[r]);
  cr_assert_eq(status, LK_OK, "%s", error.text);
}

static void check_bytes(const lk_segment_content *content, const char *file, size_t size, lk_pool *pool) {
  static lk_segment segment;
  lk_error error;
  cr_assert_eq(lk_segment_make(content, "memory", pool, &segment, &error), LK_OK, "%s", error.text);
  cr_assert_str_eq(segment.path, "memory");
  cr_assert_eq(segment.file.size, size);
  cr_assert_arr_eq(segment.file.data, file, size);
  lk_segment_close(&segment);
  cr_assert_null(segment.file.data);
}

/* Whatever the caller's rounding is. */
Test(segment_make, the_same_bytes_as_in_a_file) {
  lk_pool *pool;
  cr_assert_eq(lk_pool_open(3, &pool, NULL), LK_OK);
  for (lk_metric metric = LK_COSINE; metric <= LK_L2; metric++)
    for (lk_store store = LK_STORE_F32; store <= LK_STORE_F16; store++) {
      size_t size;
      uint64_t checksum;
      float *data = random_rows(metric, store, 1);
      lk_segment_content content = content_of(metric, store, data);
      cr_assert_eq(lk_segment_write(files_folder(files_root), "s", &content, pool, &checksum, NULL), LK_OK);
      char *file = files_read(files_path("s"), &size);
      check_bytes(&content, file, size, pool);
      fesetround(FE_UPWARD);
      check_bytes(&content, file, size, NULL);
      fesetround(FE_TONEAREST);
      free(file);
      free(data);
    }
  lk_pool_close(pool);
}

Test(segment_make, is_a_segment_as_one_of_a_file) {
  static lk_segment segment, opened;
  lk_error error;
  float *data = random_rows(LK_COSINE, LK_STORE_F32, 2);
  lk_segment_content content = content_of(LK_COSINE, LK_STORE_F32, data);
  make(&content, &segment);
  cr_assert_eq(lk_segment_read(&segment.file, &opened, &error), LK_OK, "%s", error.text);
  cr_assert_eq(memcmp(&segment.header, &opened.header, sizeof opened.header), 0);
  cr_assert_eq(lk_segment_verify_header(&segment, &error), LK_OK);
  for (lk_section s = 0; s < LK_SECTIONS; s++) cr_assert_eq(lk_segment_verify(&segment, s, &error), LK_OK);
  cr_assert_eq(segment.block.name, segment.path);
  opened.block.name = segment.block.name;
  cr_assert_eq(memcmp(&segment.block, &opened.block, sizeof opened.block), 0);
  lk_segment_close(&segment);
  free(data);
}

/* The memory of codes that no file stands behind must stay as it is. */
Test(segment_make, keeps_its_codes) {
  enum { MANY = ROWS, WIDE = 100 }; /* some pages of codes */
  static lk_segment segment;
  lk_error error;
  random_state random = {3};
  float *data = files_random(&random, MANY, WIDE);
  lk_segment_content content = content_of(LK_L2, LK_STORE_F32, data);
  content.vectors = files_vectors(data, MANY, WIDE);
  make(&content, &segment);
  lk_segment_forget_codes(&segment);
  cr_assert_eq(lk_segment_verify(&segment, LK_SECTION_CODES, &error), LK_OK, "%s", error.text);
  for (uint32_t r = 0; r < MANY; r++) cr_assert_eq(lk_segment_check_row(&segment, r, &error), LK_OK, "%s", error.text);
  cr_assert_eq(lk_file_check(&segment.file, segment.path, &error), LK_OK);
  cr_assert_eq(lk_file_check_at(segment.block.exact, segment.path, &error), LK_OK);
  lk_segment_close(&segment);
  free(data);
}

Test(segment_make, rows_that_cannot_be_stored_are_named) {
  static lk_segment segment;
  float *data = random_rows(LK_COSINE, LK_STORE_F32, 4);
  const void *rows[ROWS];
  lk_segment_content content = content_of(LK_COSINE, LK_STORE_F32, data);
  memset(data + 7 * DIM, 0, DIM * sizeof *data);
  for (uint32_t r = 0; r < ROWS; r++) rows[r] = data + (ROWS - 1 - r) * DIM;
  for (int scattered = 0; scattered < 2; scattered++) {
    content.scattered = scattered ? rows : NULL;
    cr_assert_eq(lk_segment_make(&content, "memory", NULL, &segment, NULL), LK_EBADPROBE);
    cr_assert_null(segment.file.data);
    for (uint32_t r = 0; r < ROWS; r++)
      cr_assert_eq(faults[r] != NULL, r == (scattered ? ROWS - 8 : 7), "row %u: %s", r, faults[r]);
  }
  free(data);
}

/* ---- rows of other segments ---- */

/* A new segment of some rows of two others, in an order of its own. */
static void check_scattered(lk_metric metric, lk_store store) {
  static lk_segment sources[2], segment;
  enum { TAKEN = LK_TILE_ROWS + 30 };
  lk_error error;
  const void *rows[TAKEN];
  lk_template taken[TAKEN];
  uint32_t dim_bytes = DIM * (uint32_t)lk_store_bytes(store);
  for (int i = 0; i < 2; i++) {
    float *data = random_rows(metric, store, (uint64_t)(5 + i));
    lk_segment_content content = content_of(metric, store, data);
    make(&content, &sources[i]);
    free(data);
  }
  for (uint32_t r = 0; r < TAKEN; r++) {
    const lk_segment *source = &sources[r % 2];
    uint32_t from = (r * 37 + 5) % ROWS;
    rows[r] = (const char *)source->block.exact + (size_t)from * dim_bytes;
    taken[r] = lk_segment_template(source, from);
    taken[r].number = 100 + r;
  }
  lk_segment_content content = {
      .metric = metric,
      .store = store,
      .vectors = {.name = "rows", .rows = TAKEN, .dim = DIM, .element = store == LK_STORE_F32 ? LK_F32 : LK_F16},
      .scattered = rows,
      .rows = TAKEN,
      .templates = taken,
      .faults = faults};
  make(&content, &segment);
  for (uint32_t r = 0; r < TAKEN; r++) {
    const lk_segment *source = &sources[r % 2];
    uint32_t from = (r * 37 + 5) % ROWS, row = segment.by_number[r];
    cr_assert_arr_eq((const char *)segment.block.exact + (size_t)row * dim_bytes, rows[r], dim_bytes,
                     "metric %d, store %d, row %u", (int)metric, (int)store, r);
    if (metric == LK_COSINE) cr_assert_eq(segment.block.reciprocals[row], source->block.reciprocals[from]);
    lk_template was = lk_segment_template(source, from), is = lk_segment_template(&segment, row);
    cr_assert(lk_text_equal(is.key, was.key) && lk_text_equal(is.metadata, was.metadata) && is.number == 100 + r &&
              is.version == was.version && is.expires_ms == was.expires_ms && is.tags == was.tags);
    cr_assert_eq(lk_segment_check_row(&segment, row, &error), LK_OK, "%s", error.text);
  }
  for (int i = 0; i < 2; i++) lk_segment_close(&sources[i]);
  lk_segment_close(&segment);
}

Test(segment_make, rows_of_other_segments_keep_their_bits) {
  for (lk_metric metric = LK_COSINE; metric <= LK_L2; metric++) {
    check_scattered(metric, LK_STORE_F32);
    check_scattered(metric, LK_STORE_F16);
  }
}

/* Every half that a gallery stores, alone and beside another one. */
Test(segment_make, every_half_keeps_its_bits) {
  for (lk_metric metric = LK_COSINE; metric <= LK_L2; metric++)
    for (uint32_t half = 0; half < 0x10000; half++) {
      uint16_t row[2] = {(uint16_t)half, (uint16_t)(half * 40503)};
      float prepared[2];
      lk_vectors vectors = {.name = "half", .data = row, .rows = 1, .dim = 2, .element = LK_F16};
      if ((row[0] & 0x7c00) == 0x7c00 || (row[1] & 0x7c00) == 0x7c00) continue; /* infinite, or no number */
      if (lk_vector_prepare(metric, &vectors, 0, prepared) != NULL) continue;   /* zeros under cosine */
      cr_assert_null(lk_vector_round(metric, LK_STORE_F16, prepared, 2), "%04x", half);
      for (int i = 0; i < 2; i++) cr_assert_eq(lk_half_from_float(prepared[i]), row[i], "%04x", half);
    }
}

/* ---- keys ---- */

typedef struct found_rows {
  uint32_t rows[8], count;
} found_rows;

static void keep_row(void *context, uint32_t number, uint32_t row) {
  found_rows *found = context;
  cr_assert(number == 7 && found->count < 8);
  found->rows[found->count++] = row;
}

static void check_key(const lk_segment *segment, const char *key, uint32_t count, const uint32_t *wanted) {
  found_rows found = {0};
  uint32_t row = 99;
  lk_segment_each_of_key(segment, lk_text_of(key), 7, keep_row, &found);
  cr_assert_eq(found.count, count, "%s: %u", key, found.count);
  for (uint32_t i = 0; i < count; i++) cr_assert_eq(found.rows[i], wanted[i], "%s", key);
  cr_assert_eq(lk_segment_find_key(segment, lk_text_of(key), &row), count > 0);
  if (count > 0) cr_assert_eq(row, wanted[0]);
}

/* The first two have the same hash, by which the index is sorted. */
Test(segment_make, all_rows_of_a_key) {
  static const char *const keys[] = {"7910149", "91dFKfLp", "a", "7910149", "b", "91dFKfLp", "a", "7910149", "a", "a"};
  enum { COUNT = sizeof keys / sizeof keys[0] };
  static lk_segment segment;
  float data[COUNT];
  for (uint32_t r = 0; r < COUNT; r++) {
    data[r] = 1 + (float)r;
    templates[r] = (lk_template){.number = r, .key = lk_text_of(keys[r]), .subject = lk_text_of("b")};
  }
  cr_assert_eq(lk_text_hash(lk_text_of(keys[0])), lk_text_hash(lk_text_of(keys[1])));
  lk_segment_content content = {.metric = LK_COSINE,
                                .vectors = files_vectors(data, COUNT, 1),
                                .rows = COUNT,
                                .templates = templates,
                                .faults = faults};
  make(&content, &segment);
  check_key(&segment, "7910149", 3, (const uint32_t[]){0, 3, 7});
  check_key(&segment, "91dFKfLp", 2, (const uint32_t[]){1, 5});
  check_key(&segment, "a", 4, (const uint32_t[]){2, 6, 8, 9});
  check_key(&segment, "b", 1, (const uint32_t[]){4});
  check_key(&segment, "c", 0, NULL);
  check_key(&segment, "", 0, NULL);
  lk_segment_close(&segment);
}
