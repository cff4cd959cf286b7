#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "base/text.h"
#include "index/formats/vector.h"
#include "index/storage/segment.h"
#include "index/storage/segment_layout.h"
#include "tests/support/files.h"

TestSuite(segment, .init = files_setup, .fini = files_teardown);

static lk_template template_of(uint64_t number, const char *key, const char *subject, const char *group,
                               uint64_t tags) {
  return (lk_template){.number = number,
                       .key = lk_text_of(key),
                       .subject = lk_text_of(subject),
                       .group = lk_text_of(group),
                       .tags = tags};
}

/* Writes the rows from `first` on. */
static uint64_t write_rows(const char *path, lk_metric metric, lk_vectors vectors, uint64_t first, uint32_t rows,
                           const lk_template *templates) {
  lk_pool *pool;
  uint64_t checksum = 0;
  lk_error error = {0};
  cr_assert_eq(lk_pool_open(2, &pool, NULL), LK_OK);
  const char **faults = calloc(rows, sizeof *faults);
  lk_segment_content content = {
      .metric = metric, .vectors = vectors, .first = first, .rows = rows, .templates = templates, .faults = faults};
  cr_assert_eq(lk_segment_write(files_folder(files_root), strrchr(path, '/') + 1, &content, pool, &checksum, &error),
               LK_OK, "%s", error.text);
  for (uint32_t r = 0; r < rows; r++) cr_assert_null(faults[r]);
  free(faults);
  lk_pool_close(pool);
  return checksum;
}

static lk_segment open_segment(const char *path) {
  lk_segment segment;
  lk_error error = {0};
  cr_assert_eq(lk_segment_open(files_folder(files_root), strrchr(path, '/') + 1, &segment, &error), LK_OK, "%s",
               error.text);
  return segment;
}

static lk_status verify_all(const lk_segment *segment) {
  lk_status status = LK_OK;
  for (lk_section s = 0; status == LK_OK && s < LK_SECTIONS; s++) status = lk_segment_verify(segment, s, NULL);
  return status;
}

/* These two keys have the same hash, which is what by_key and by_subject are sorted by. */
#define TWIN_A "7910149"
#define TWIN_B "91dFKfLp"

enum { SMALL_ROWS = 7, SMALL_DIM = 3 };

static const char *write_small(lk_metric metric) {
  const char *path = files_path("small.lks");
  lk_template templates[SMALL_ROWS] = {template_of(10, "a", "anna", "F", 1),
                                       template_of(11, TWIN_A, TWIN_B, "", 0),
                                       template_of(12, "c", "anna", "F", UINT64_MAX),
                                       template_of(13, "Z\xc3\xbcrich", TWIN_A, "group two", 4),
                                       template_of(14, TWIN_B, TWIN_B, "", 0),
                                       template_of(15, "e", "anna", "", 6),
                                       template_of(16, "f", "f", "", 7)};
  templates[4].metadata = lk_text_of("anything");
  templates[4].version = templates[4].expires_ms = 5;
  random_state random = {1};
  float *data = files_random(&random, SMALL_ROWS, SMALL_DIM);
  write_rows(path, metric, files_vectors(data, SMALL_ROWS, SMALL_DIM), 0, SMALL_ROWS, templates);
  free(data);
  return path;
}

static void check_text(lk_text text, const char *wanted) {
  cr_assert(lk_text_equal(text, lk_text_of(wanted)), "'%.*s' is not '%s'", (int)text.length, text.bytes, wanted);
}

Test(segment, texts_tags_and_numbers_come_back) {
  lk_segment segment = open_segment(write_small(LK_IP));
  cr_assert(segment.block.rows == SMALL_ROWS && segment.shape.dim == SMALL_DIM && segment.shape.metric == LK_IP);
  lk_template t = lk_segment_template(&segment, segment.by_number[0]);
  cr_assert(t.number == 10 && t.tags == 1);
  check_text(t.key, "a");
  check_text(t.subject, "anna");
  check_text(t.group, "F");
  t = lk_segment_template(&segment, segment.by_number[3]);
  cr_assert(t.number == 13 && t.tags == 4);
  check_text(t.key, "Z\xc3\xbcrich");
  check_text(t.subject, TWIN_A);
  check_text(t.group, "group two");
  t = lk_segment_template(&segment, segment.by_number[2]);
  cr_assert_eq(t.tags, UINT64_MAX);
  t = lk_segment_template(&segment, segment.by_number[6]);
  check_text(t.key, "f");
  check_text(t.group, "");
  lk_segment_close(&segment);
}

Test(segment, rows_come_back_as_prepared) {
  enum { ROWS = 600, DIM = 5, FIRST = 17, TAKEN = 550 };
  random_state random = {2};
  float *data = files_random(&random, ROWS, DIM), prepared[DIM];
  lk_template *templates = calloc(TAKEN, sizeof *templates);
  lk_vectors vectors = files_vectors(data, ROWS, DIM);
  for (uint32_t r = 0; r < TAKEN; r++) templates[r].number = 2 * r;
  for (lk_metric metric = LK_COSINE; metric <= LK_L2; metric++) {
    uint64_t checksum = write_rows(files_path("s"), metric, vectors, FIRST, TAKEN, templates);
    lk_segment segment = open_segment(files_path("s"));
    const float *exact = segment.block.exact;
    cr_assert_eq(segment.header.checksum, checksum);
    for (uint32_t r = 0; r < TAKEN; r++) {
      uint32_t row = segment.by_number[r];
      cr_assert_null(lk_vector_prepare(metric, &vectors, FIRST + r, prepared));
      cr_assert_arr_eq(exact + row * DIM, prepared, sizeof prepared);
      cr_assert_eq(segment.block.numbers[row], 2 * r);
      cr_assert_eq(lk_segment_place(&segment, row), r);
      if (metric == LK_COSINE) cr_assert_eq(row, r);
    }
    lk_segment_close(&segment);
  }
  free(templates);
  free(data);
}

/* Codes the rows that a segment has, as they lie in it. */
static void check_codes(const lk_segment *segment, const float *rows) {
  uint32_t dim = segment->shape.dim, left = segment->block.rows;
  double *work = malloc(LK_TILE_ROWS * dim * sizeof *work);
  int8_t *codes = malloc(LK_TILE_ROWS * dim);
  for (uint32_t first = 0, t = 0, count; left > 0; left -= count, first += count, t++) {
    count = left < LK_TILE_ROWS ? left : LK_TILE_ROWS;
    lk_tile tile;
    lk_row_bound bounds[LK_TILE_ROWS];
    const double *reciprocals = segment->block.reciprocals != NULL ? segment->block.reciprocals + first : NULL;
    lk_codes_tile(rows + (size_t)first * dim, reciprocals, count, dim, segment->block.mean, work, codes, &tile, bounds);
    cr_assert_arr_eq(segment->block.codes + (size_t)first * dim, codes, count * dim);
    cr_assert_arr_eq(&segment->block.tiles[t], &tile, sizeof tile);
    cr_assert_arr_eq(segment->block.bounds + first, bounds, count * sizeof *bounds);
  }
  free(work);
  free(codes);
}

Test(segment, the_codes_are_those_of_quant) {
  enum { ROWS = 2 * LK_TILE_ROWS + 44, DIM = 20 };
  random_state random = {3};
  float *data = files_random(&random, ROWS, DIM), mean[DIM];
  double sum[DIM] = {0};
  lk_template *templates = calloc(ROWS, sizeof *templates);
  for (uint32_t r = 0; r < ROWS; r++) templates[r].number = r;
  for (lk_metric metric = LK_IP; metric <= LK_L2; metric++) {
    write_rows(files_path("s"), metric, files_vectors(data, ROWS, DIM), 0, ROWS, templates);
    lk_segment segment = open_segment(files_path("s"));
    check_codes(&segment, segment.block.exact);
    for (uint32_t r = 1; r < ROWS; r++)
      cr_assert(lk_codes_length((const float *)segment.block.exact + (r - 1) * DIM, DIM, segment.block.mean) <=
                    lk_codes_length((const float *)segment.block.exact + r * DIM, DIM, segment.block.mean),
                "row %u is shorter than the one before", r);
    if (metric == LK_L2) {
      /* Summed as the writer does: each tile, then the tiles. */
      double all[DIM] = {0};
      for (uint32_t first = 0; first < ROWS; first += LK_TILE_ROWS) {
        memset(sum, 0, sizeof sum);
        lk_codes_sum(data + first * DIM, NULL, ROWS - first < LK_TILE_ROWS ? ROWS - first : LK_TILE_ROWS, DIM, sum);
        for (int i = 0; i < DIM; i++) all[i] += sum[i];
      }
      lk_codes_mean(all, ROWS, DIM, mean);
      cr_assert_arr_eq(segment.block.mean, mean, sizeof mean);
    }
    lk_segment_close(&segment);
  }
  free(data);
  free(templates);
}

Test(segment, an_f16_segment_holds_the_halves_and_codes_them) {
  enum { ROWS = LK_TILE_ROWS + 9, DIM = 33 };
  random_state random = {4};
  float *data = files_random(&random, ROWS, DIM), *stored = malloc(ROWS * DIM * sizeof *stored);
  lk_template *templates = calloc(ROWS, sizeof *templates);
  for (uint32_t r = 0; r < ROWS; r++) templates[r].number = r;
  lk_pool *pool;
  uint64_t checksum;
  lk_vectors vectors = files_vectors(data, ROWS, DIM);
  cr_assert_eq(lk_pool_open(2, &pool, NULL), LK_OK);
  static const char *faults[ROWS];
  lk_segment_content content = {.metric = LK_COSINE,
                                .store = LK_STORE_F16,
                                .vectors = vectors,
                                .rows = ROWS,
                                .templates = templates,
                                .faults = faults};
  cr_assert_eq(lk_segment_write(files_folder(files_root), "s", &content, pool, &checksum, NULL), LK_OK);
  lk_segment segment = open_segment(files_path("s"));
  cr_assert_eq(segment.shape.store, LK_STORE_F16);
  for (uint32_t r = 0; r < ROWS; r++) {
    lk_vector_prepare(LK_COSINE, &vectors, r, stored + r * DIM);
    for (uint32_t i = 0; i < DIM; i++) {
      uint16_t half = lk_half_from_float(stored[r * DIM + i]);
      cr_assert_eq(((const uint16_t *)segment.block.exact)[r * DIM + i], half);
      stored[r * DIM + i] = lk_half_to_float(half);
    }
    cr_assert_eq(segment.block.reciprocals[r], lk_score_reciprocal(LK_COSINE, stored + r * DIM, DIM));
  }
  check_codes(&segment, stored);
  lk_segment_close(&segment);
  lk_pool_close(pool);
  free(data);
  free(stored);
  free(templates);
}

Test(segment, the_same_rows_give_the_same_bytes) {
  size_t size, again;
  char *one = files_read(write_small(LK_L2), &size), *two = files_read(write_small(LK_L2), &again);
  cr_assert_eq(size, again);
  cr_assert_arr_eq(one, two, size);
  free(one);
  free(two);
}

Test(segment, rows_that_are_all_alike) {
  enum { ROWS = 300, DIM = 4 };
  float data[ROWS * DIM] = {0};
  lk_template *templates = calloc(ROWS, sizeof *templates);
  for (uint32_t r = 0; r < ROWS; r++) templates[r].number = r;
  for (float value = 0; value < 2; value++) {
    for (int i = 0; i < ROWS * DIM; i++) data[i] = value;
    write_rows(files_path("s"), LK_L2, files_vectors(data, ROWS, DIM), 0, ROWS, templates);
    lk_segment segment = open_segment(files_path("s"));
    cr_assert_eq(verify_all(&segment), LK_OK);
    lk_segment_close(&segment);
  }
  free(templates);
}

static int compare_rows(const void *a, const void *b) { return *(const uint32_t *)a < *(const uint32_t *)b ? -1 : 1; }

typedef struct found_rows {
  uint32_t rows[SMALL_ROWS + 1], count, number;
} found_rows;

static void keep_row(void *context, uint32_t number, uint32_t row) {
  found_rows *found = context;
  found->number = number;
  if (found->count <= SMALL_ROWS) found->rows[found->count] = row;
  found->count++;
}

static found_rows find_subject(const lk_segment *segment, const char *subject) {
  found_rows found = {.number = 99};
  lk_segment_each_of_subject(segment, lk_text_of(subject), 7, keep_row, &found);
  return found;
}

static void check_subject(const lk_segment *segment, const char *subject, const uint32_t *wanted, uint32_t count) {
  found_rows found = find_subject(segment, subject);
  cr_assert_eq(found.count, count, "%s", subject);
  cr_assert_eq(found.number, count > 0 ? 7 : 99);
  qsort(found.rows, count, sizeof *found.rows, compare_rows);
  for (uint32_t i = 0; i < count; i++) cr_assert_eq(found.rows[i], wanted[i], "%s", subject);
}

Test(segment, find_subject) {
  lk_segment segment = open_segment(write_small(LK_COSINE));
  cr_assert_eq(lk_text_hash(lk_text_of(TWIN_A)), lk_text_hash(lk_text_of(TWIN_B)));
  check_subject(&segment, "anna", (uint32_t[]){0, 2, 5}, 3);
  check_subject(&segment, TWIN_B, (uint32_t[]){1, 4}, 2);
  check_subject(&segment, TWIN_A, (uint32_t[]){3}, 1);
  check_subject(&segment, "f", (uint32_t[]){6}, 1);
  check_subject(&segment, "nobody", NULL, 0);
  check_subject(&segment, "", NULL, 0);
  lk_segment_close(&segment);
}

Test(segment, find_key) {
  lk_segment segment = open_segment(write_small(LK_COSINE));
  for (uint32_t r = 0, row = 99; r < SMALL_ROWS; r++, row = 99) {
    cr_assert_eq(lk_segment_find_key(&segment, lk_segment_template(&segment, r).key, &row), 1);
    cr_assert_eq(row, r);
  }
  uint32_t row;
  cr_assert_eq(lk_segment_find_key(&segment, lk_text_of("anna"), &row), 0);
  lk_segment_close(&segment);
}

Test(segment, finds_each_of_many) {
  enum { ROWS = 5000 };
  float *data = calloc(ROWS, sizeof *data);
  lk_template *templates = calloc(ROWS, sizeof *templates);
  char(*keys)[8] = calloc(ROWS, sizeof *keys);
  for (uint32_t r = 0; r < ROWS; r++) {
    snprintf(keys[r], sizeof keys[r], "k%u", r);
    templates[r] = template_of(r, keys[r], keys[r / 3 * 3], "", r);
  }
  write_rows(files_path("s"), LK_L2, files_vectors(data, ROWS, 1), 0, ROWS, templates);
  lk_segment segment = open_segment(files_path("s"));
  for (uint32_t r = 0; r < ROWS; r++) {
    uint32_t row = ROWS;
    found_rows of_subject = {0};
    cr_assert_eq(lk_segment_find_key(&segment, templates[r].key, &row), 1);
    cr_assert_eq(row, segment.by_number[r]);
    lk_segment_each_of_subject(&segment, templates[r].subject, 0, keep_row, &of_subject);
    cr_assert_eq(of_subject.count, r / 3 == ROWS / 3 ? ROWS % 3 : 3);
  }
  lk_segment_close(&segment);
  free(data);
  free(templates);
  free(keys);
}

/* Opens an image as if it were a file; LK_OK where that and every checksum pass. */
static lk_status read_image(const void *data, size_t size) {
  lk_file file = {.data = data, .size = size};
  lk_segment segment = {.path = "image"};
  lk_status status = lk_segment_read(&file, &segment, NULL);
  return status == LK_OK ? verify_all(&segment) : status;
}

static char *aligned_copy(const char *path, size_t room, size_t *size) {
  char *read = files_read(path, size), *aligned = aligned_alloc(64, (*size + room + 63) / 64 * 64);
  memcpy(aligned, read, *size);
  free(read);
  return aligned;
}

Test(segment, every_changed_bit_is_found) {
  size_t size;
  char *data = aligned_copy(write_small(LK_COSINE), 0, &size);
  cr_assert_eq(read_image(data, size), LK_OK);
  for (size_t at = 0; at < size; at++)
    for (int bit = 0; bit < 8; bit++) {
      data[at] ^= (char)(1 << bit);
      cr_assert_neq(read_image(data, size), LK_OK, "bit %d of byte %zu of %zu", bit, at, size);
      data[at] ^= (char)(1 << bit);
    }
  free(data);
}

Test(segment, cut_off_anywhere_or_longer) {
  size_t size, all;
  char *data = aligned_copy(write_small(LK_COSINE), 64, &all);
  for (size = 0; size < all; size++) {
    char *cut = aligned_alloc(64, size / 64 * 64 + 64);
    memcpy(cut, data, size);
    cr_assert_neq(read_image(cut, size), LK_OK, "%zu of %zu bytes", size, all);
    free(cut);
  }
  memset(data + all, 0, 64);
  cr_assert_neq(read_image(data, all + 1), LK_OK);
  cr_assert_neq(read_image(data, all + 64), LK_OK);
  free(data);
}

/* Sets all checksums right, as a writer with a bug would. */
static void seal(char *data) {
  lk_segment_header *h = (lk_segment_header *)data;
  for (lk_section s = 0; s < LK_SECTIONS; s++)
    h->sections[s].checksum = XXH3_64bits(data + h->sections[s].offset, h->sections[s].bytes);
  h->checksum = XXH3_64bits(h, offsetof(lk_segment_header, checksum));
}

static void check_forged(const char *path, lk_section s, size_t at, const void *bytes, size_t length) {
  size_t size;
  char *data = aligned_copy(path, 0, &size);
  memcpy(data + ((lk_segment_header *)data)->sections[s].offset + at, bytes, length);
  seal(data);
  cr_assert_eq(read_image(data, size), LK_ECORRUPT, "section %d", (int)s);
  free(data);
}

Test(segment, contents_out_of_range_though_the_checksums_fit) {
  const char *path = write_small(LK_COSINE);
  static const float bad_lengths[] = {NAN, INFINITY, -1};
  for (int i = 0; i < 3; i++) {
    float bad = bad_lengths[i];
    for (size_t field = 0; field < sizeof(lk_tile); field += sizeof bad)
      check_forged(path, LK_SECTION_TILES, field, &bad, sizeof bad);
    check_forged(path, LK_SECTION_BOUNDS, 0, &bad, sizeof bad);
    check_forged(path, LK_SECTION_BOUNDS, SMALL_ROWS * sizeof(lk_row_bound) - sizeof bad, &bad, sizeof bad);
    if (i < 2) check_forged(path, LK_SECTION_MEAN, (SMALL_DIM - 1) * sizeof bad, &bad, sizeof bad);
  }
  check_forged(path, LK_SECTION_TILES, 0, &(float){0}, sizeof(float));
  uint32_t row = SMALL_ROWS;
  check_forged(path, LK_SECTION_BY_KEY, (SMALL_ROWS - 1) * sizeof row, &row, sizeof row);
  check_forged(path, LK_SECTION_BY_SUBJECT, 0, &row, sizeof row);
  check_forged(path, LK_SECTION_BY_NUMBER, 0, &row, sizeof row);
  uint32_t twice = 1;
  check_forged(path, LK_SECTION_BY_NUMBER, 0, &twice, sizeof twice);
  check_forged(path, LK_SECTION_NUMBERS, 0, &(uint64_t){11}, sizeof(uint64_t));
  check_forged(path, LK_SECTION_EXPIRES, (SMALL_ROWS - 1) * sizeof(uint64_t), &(uint64_t){0}, sizeof(uint64_t));
  float longer = 3;
  check_forged(path, LK_SECTION_BOUNDS, offsetof(lk_row_bound, norm), &longer, sizeof longer);
}

Test(segment, text_ends_out_of_order_though_the_checksums_fit) {
  const char *path = write_small(LK_COSINE);
  static const lk_section columns[] = {LK_SECTION_KEY_ENDS, LK_SECTION_SUBJECT_ENDS, LK_SECTION_GROUP_ENDS,
                                       LK_SECTION_METADATA_ENDS};
  for (int c = 0; c < 4; c++) {
    uint64_t far = UINT64_MAX, wide = 1000, nought = 0;
    check_forged(path, columns[c], 0, &far, sizeof far);
    check_forged(path, columns[c], 0, &wide, sizeof wide);
    check_forged(path, columns[c], (SMALL_ROWS - 1) * sizeof far, &nought, sizeof nought);
    check_forged(path, columns[c], (SMALL_ROWS - 1) * sizeof far, &wide, sizeof wide);
  }
  lk_segment segment = open_segment(path);
  uint64_t early = segment.keys.ends[SMALL_ROWS - 1] - 1;
  lk_segment_close(&segment);
  check_forged(path, LK_SECTION_KEY_ENDS, (SMALL_ROWS - 1) * sizeof early, &early, sizeof early);
}

/* Replies and messages count on it that texts fit LK_TEXT_MAX. */
Test(segment, texts_that_are_too_long_are_refused) {
  char longest[LK_TEXT_MAX + 2] = {0};
  memset(longest, 'x', LK_TEXT_MAX + 1);
  lk_segment segment;
  for (int extra = 0; extra < 2; extra++) {
    lk_template one = template_of(0, longest + 1 - extra, "s", "", 0);
    write_rows(files_path("s"), LK_L2, files_vectors((float[]){1}, 1, 1), 0, 1, &one);
    cr_assert_eq(lk_segment_open(files_folder(files_root), "s", &segment, NULL), extra == 0 ? LK_OK : LK_ECORRUPT);
    lk_segment_close(&segment);
  }
}

static lk_status read_with_header(const char *path, void (*change)(lk_segment_header *), lk_error *error) {
  size_t size;
  char *data = aligned_copy(path, 0, &size);
  lk_segment_header *h = (lk_segment_header *)data;
  change(h);
  h->checksum = XXH3_64bits(h, offsetof(lk_segment_header, checksum));
  lk_segment segment = {.path = "image"};
  lk_status status = lk_segment_read(&(lk_file){.data = data, .size = size}, &segment, error);
  free(data);
  return status;
}

static void nothing(lk_segment_header *h) { (void)h; }
static void newer(lk_segment_header *h) { h->version++; }
static void oldest(lk_segment_header *h) { h->version = 1; }
static void metric(lk_segment_header *h) { h->metric = 3; }
static void store(lk_segment_header *h) { h->store = 2; }
static void reserved(lk_segment_header *h) { h->reserved = 1; }
static void no_rows(lk_segment_header *h) { h->rows = 0; }
static void many_rows(lk_segment_header *h) { h->rows = LK_SEGMENT_ROWS + 1; }
static void more_rows(lk_segment_header *h) { h->rows++; }
static void no_dim(lk_segment_header *h) { h->dim = 0; }
static void wide(lk_segment_header *h) { h->dim = LK_DIM_MAX + 1; }
static void far(lk_segment_header *h) { h->sections[LK_SECTION_TAGS].offset += UINT64_C(1) << 40; }
static void wrapped(lk_segment_header *h) { h->sections[LK_SECTION_KEY_BYTES].bytes = UINT64_MAX; }
static void crooked(lk_segment_header *h) { h->sections[LK_SECTION_CODES].offset++; }
static void overlapping(lk_segment_header *h) {
  h->sections[LK_SECTION_EXACT].offset = h->sections[LK_SECTION_CODES].offset;
}

Test(segment, headers_that_are_refused_though_the_checksum_fits) {
  static void (*const changes[])(lk_segment_header *) = {newer,   oldest,    metric,    store,      reserved,
                                                         no_rows, many_rows, more_rows, no_dim,     wide,
                                                         far,     wrapped,   crooked,   overlapping};
  const char *path = write_small(LK_COSINE);
  lk_error error = {0};
  cr_assert_eq(read_with_header(path, nothing, &error), LK_OK);
  for (size_t i = 0; i < sizeof changes / sizeof changes[0]; i++)
    cr_assert_neq(read_with_header(path, changes[i], &error), LK_OK, "change %zu", i);
  cr_assert_eq(read_with_header(path, newer, &error), LK_EFORMAT);
  cr_assert_str_eq(error.text, "image: segment version 5; this build reads 2 to 4");
}

Test(segment, messages_name_file_offset_and_part) {
  size_t size;
  char *data = aligned_copy(write_small(LK_COSINE), 0, &size);
  uint64_t offset = ((lk_segment_header *)data)->sections[LK_SECTION_TAGS].offset;
  data[offset] ^= 1;
  files_write(files_path("bad.lks"), data, size);
  free(data);
  lk_segment segment;
  lk_error error;
  char wanted[64];
  snprintf(wanted, sizeof wanted, "bad.lks: at offset %llu, tags: ", (unsigned long long)offset);
  cr_assert_eq(lk_segment_open(files_folder(files_root), "bad.lks", &segment, &error), LK_ECORRUPT);
  cr_assert_not_null(strstr(error.text, wanted), "%s", error.text);
  cr_assert_null(segment.file.data);
}

Test(segment, what_is_no_segment) {
  lk_segment segment;
  cr_assert_eq(lk_segment_open(files_folder(files_root), "missing", &segment, NULL), LK_EIO);
  files_write(files_path("empty"), "", 0);
  cr_assert_eq(lk_segment_open(files_folder(files_root), "empty", &segment, NULL), LK_EFORMAT);
  char noise[4096] = {1, 2, 3};
  files_write(files_path("noise"), noise, sizeof noise);
  cr_assert_eq(lk_segment_open(files_folder(files_root), "noise", &segment, NULL), LK_EFORMAT);
}
