/* Pairs of a gallery's own templates, against brute force with the score as it is defined. */
#include <criterion/criterion.h>
#include <likeness/dedupe.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"
#include "index/formats/vector.h"
#include "index/gallery/gallery.h"
#include "kernels/score.h"
#include "tests/support/files.h"

/* More templates than the most that one list of the first two levels can have, and than one batch. */
enum { MOST_ROWS = 2600, MOST_DIM = 40, SEGMENTS = 3 };

typedef struct found_pair {
  uint32_t a, b;
  float score;
} found_pair;

typedef struct finds {
  found_pair *pairs;
  size_t count, room;
  uint64_t done, total;
  lk_search_control *cancel;
  size_t stop_after; /* 0: never */
} finds;

static float *rows;
static uint32_t rows_count, dim;
static lk_shape shape;
static char names[MOST_ROWS][12];
static lk_label labels[MOST_ROWS];
static lk_device *device;
static lk_gallery *gallery;
static lk_result *result;
static finds got;

static void setup(void) {
  files_setup();
  rows = malloc(sizeof *rows * MOST_ROWS * MOST_DIM);
  cr_assert_eq(lk_device_open("cpu", 2, &device, NULL), LK_OK);
  cr_assert_eq(lk_result_open(&result, NULL), LK_OK);
}

static void close_gallery(void) {
  lk_gallery_close(gallery);
  gallery = NULL;
}

static void teardown(void) {
  close_gallery();
  lk_result_close(result);
  lk_device_close(device);
  free(got.pairs);
  free(rows);
  files_teardown();
}

TestSuite(duplicates, .init = setup, .fini = teardown);

/* Numbers of few values, so that scores are often equal; each tenth row is a copy of an earlier one. */
static void draw_rows(random_state *random) {
  for (uint32_t r = 0; r < rows_count; r++) {
    float *row = rows + (size_t)r * dim;
    if (r > 0 && random_one_in(random, 10)) {
      memcpy(row, rows + (size_t)random_below(random, r) * dim, dim * sizeof *row);
      continue;
    }
    for (uint32_t i = 0; i < dim; i++)
      row[i] = random_one_in(random, 2) ? (float)random_normal(random) : (float)random_below(random, 3) - 1;
    row[0] += 0.01F; /* no row is all zeros */
  }
}

static void label_rows(random_state *random, uint32_t subjects) {
  for (uint32_t r = 0; r < rows_count; r++) {
    snprintf(names[r], sizeof names[r], "s%u", random_below(random, subjects));
    labels[r] = (lk_label){.subject = lk_text_of(names[r])};
  }
}

static void open_gallery(const char *name) {
  lk_error error = {0};
  char folder[PATH_MAX];
  strcpy(folder, files_path(name));
  lk_gallery_options options = {.dim = dim, .metric = shape.metric, .store = shape.store};
  cr_assert_eq(lk_gallery_create(folder, &options, &error), LK_OK, "%s", error.text);
  for (uint32_t s = 0, first = 0; s < SEGMENTS; s++) {
    uint32_t end = rows_count * (s + 1) / SEGMENTS;
    if (end > first) files_enroll(folder, rows + (size_t)first * dim, end - first, dim, labels + first);
    first = end;
  }
  gallery = files_open(folder);
  cr_assert_eq(lk_gallery_load(gallery, device, &error), LK_OK, "%s", error.text);
}

/* Makes the rows what is stored. */
static void store_rows(void) {
  for (uint32_t r = 0; r < rows_count; r++)
    cr_assert_null(lk_vector_round(shape.metric, shape.store, rows + (size_t)r * dim, dim));
}

static float score_of(uint32_t a, uint32_t b) {
  return lk_score(shape.metric, rows + (size_t)a * dim, rows + (size_t)b * dim, dim);
}

static void add(finds *to, found_pair pair) {
  if (to->count == to->room) {
    to->room = 2 * to->room + 64;
    to->pairs = realloc(to->pairs, to->room * sizeof *to->pairs);
  }
  to->pairs[to->count++] = pair;
}

static int compare(const void *x, const void *y) {
  const found_pair *a = x, *b = y;
  if (a->a != b->a) return a->a < b->a ? -1 : 1;
  if (a->score != b->score) return a->score > b->score ? -1 : 1;
  return a->b < b->b ? -1 : a->b > b->b;
}

static finds brute_force(float threshold) {
  finds all = {0};
  for (uint32_t a = 0; a < rows_count; a++)
    for (uint32_t b = a + 1; b < rows_count; b++) {
      float score = score_of(a, b);
      if (score >= threshold && strcmp(names[a], names[b]) != 0) add(&all, (found_pair){a, b, score});
    }
  if (all.count > 0) qsort(all.pairs, all.count, sizeof *all.pairs, compare);
  return all;
}

static lk_status take(void *context, const lk_pair *pair, lk_error *error) {
  finds *to = context;
  (void)error;
  cr_assert(lk_text_equal(pair->a.subject, lk_text_of(names[pair->a.number])));
  cr_assert(lk_text_equal(pair->b.subject, lk_text_of(names[pair->b.number])));
  cr_assert_gt(pair->a.key.length, 0);
  add(to, (found_pair){(uint32_t)pair->a.number, (uint32_t)pair->b.number, pair->score});
  if (to->cancel != NULL) lk_search_cancel(to->cancel);
  return to->count == to->stop_after ? LK_EIO : LK_OK;
}

static void watch(void *context, uint64_t done, uint64_t total) {
  finds *to = context;
  cr_assert(done >= to->done && done <= total && total == rows_count);
  to->done = done;
}

static lk_status dedupe(float threshold, lk_search_control *control, lk_error *error) {
  lk_dedupe wanted = {.threshold = threshold, .control = control, .found = take, .progress = watch, .context = &got};
  got.count = 0;
  got.done = 0;
  return lk_gallery_dedupe(gallery, &wanted, result, error);
}

static void check(float threshold, const char *of) {
  lk_error error = {0};
  finds wanted = brute_force(threshold);
  cr_assert_eq(dedupe(threshold, NULL, &error), LK_OK, "%s: %s", of, error.text);
  cr_assert_eq(got.done, rows_count);
  for (size_t i = 0; i < wanted.count && i < got.count; i++)
    cr_assert(memcmp(&wanted.pairs[i], &got.pairs[i], sizeof got.pairs[i]) == 0,
              "%s: pair %zu is %u, %u, %.9g; wanted %u, %u, %.9g", of, i, got.pairs[i].a, got.pairs[i].b,
              (double)got.pairs[i].score, wanted.pairs[i].a, wanted.pairs[i].b, (double)wanted.pairs[i].score);
  cr_assert_eq(got.count, wanted.count, "%s: %zu pairs, wanted %zu", of, got.count, wanted.count);
  cr_assert_eq(lk_result_count(result, 0), 0);
  cr_assert(lk_text_equal(lk_result_decision(result), lk_text_of("{\"policy\":\"none\"}")));
  free(wanted.pairs);
}

/* At the score of a pair, so that it is among the pairs; and at the next float, where it is not. */
static void check_at(uint32_t a, uint32_t b, const char *of) {
  check(score_of(a, b), of);
  check(nextafterf(score_of(a, b), INFINITY), of);
}

static uint64_t seed_given(void) {
  const char *given = getenv("LIKENESS_SEED");
  return given != NULL ? strtoull(given, NULL, 10) : 20261128;
}

Test(duplicates, are_what_brute_force_gives) {
  uint64_t seed = seed_given();
  for (uint32_t i = 0; i < 18; i++) {
    random_state random = random_fork(seed, i);
    char of[64], name[8];
    shape = (lk_shape){.metric = i % 3, .store = i / 3 % 2};
    dim = 1 + random_below(&random, MOST_DIM);
    rows_count = 2 + random_below(&random, 500);
    snprintf(of, sizeof of, "LIKENESS_SEED=%llu, case %u", (unsigned long long)seed, i);
    snprintf(name, sizeof name, "g%u", i);
    draw_rows(&random);
    label_rows(&random, 1 + random_below(&random, rows_count));
    open_gallery(name);
    store_rows();
    check_at(random_below(&random, rows_count), random_below(&random, rows_count), of);
    check_at(0, rows_count - 1, of);
    if (i < 3) check(-INFINITY, of);
    check(INFINITY, of);
    close_gallery();
  }
}

/* Lists that are full in the first level, in the second, and in none, in turns: a cluster of many templates, one of a
 * few, and some that are alone. More are full in the second than the third searches for at once. */
Test(duplicates, lists_of_every_length) {
  random_state random = random_fork(seed_given(), 100);
  static const float centres[3] = {0, 100, 200};
  shape = (lk_shape){.metric = LK_L2};
  dim = 2;
  rows_count = MOST_ROWS;
  for (uint32_t r = 0; r < rows_count; r++) {
    uint32_t kind = r % 64 == 5 ? 2 : r % 16 < 1 ? 1 : 0;
    rows[2 * r] = centres[kind] + (kind < 2 ? 0.1F : (float)r) * (float)random_uniform(&random);
    rows[2 * r + 1] = (float)random_below(&random, 2);
  }
  label_rows(&random, 2000);
  open_gallery("g");
  check(-1, "clusters");
}

Test(duplicates, all_pairs) {
  random_state random = random_fork(seed_given(), 101);
  shape = (lk_shape){.metric = LK_COSINE};
  dim = 3;
  rows_count = 1500;
  draw_rows(&random);
  label_rows(&random, 1000);
  open_gallery("g");
  check(-INFINITY, "all");
}

Test(duplicates, of_one_subject_are_none) {
  shape = (lk_shape){.metric = LK_COSINE};
  dim = 2;
  rows_count = 300;
  for (uint32_t r = 0; r < rows_count; r++) {
    rows[2 * r] = 1;
    rows[2 * r + 1] = 0;
    strcpy(names[r], "one");
    labels[r] = (lk_label){.subject = lk_text_of(names[r])};
  }
  open_gallery("g");
  check(0.5F, "one subject");
  cr_assert_eq(got.count, 0);
}

Test(duplicates, of_no_or_one_template_are_none) {
  shape = (lk_shape){.metric = LK_IP};
  dim = 2;
  rows_count = 0;
  open_gallery("empty");
  check(-INFINITY, "empty");
  close_gallery();
  random_state random = {1};
  rows_count = 1;
  draw_rows(&random);
  label_rows(&random, 1);
  open_gallery("one");
  check(-INFINITY, "one");
}

/* The score that identify gives, whichever of both is the probe. */
Test(duplicates, score_the_same_from_either_side) {
  random_state random = random_fork(seed_given(), 102);
  for (uint32_t i = 0; i < 6; i++) {
    char name[8];
    snprintf(name, sizeof name, "g%u", i);
    shape = (lk_shape){.metric = i % 3, .store = i / 3};
    dim = 37;
    rows_count = 60;
    draw_rows(&random);
    label_rows(&random, 60);
    open_gallery(name);
    float exported[60 * MOST_DIM];
    cr_assert_eq(lk_gallery_export(gallery, 0, rows_count, NULL, exported, NULL), LK_OK);
    lk_vectors probes = files_vectors(exported, rows_count, dim);
    lk_query query = {.probes = &probes, .probes_count = 1, .k = LK_K_ALL, .threshold = -INFINITY};
    cr_assert_eq(dedupe(-INFINITY, NULL, NULL), LK_OK);
    cr_assert_eq(lk_gallery_identify(gallery, &query, result, NULL, NULL), LK_OK);
    for (size_t p = 0; p < got.count; p++) {
      const uint32_t ends[2] = {got.pairs[p].a, got.pairs[p].b};
      for (int side = 0; side < 2; side++) {
        uint32_t rank = 0;
        while (lk_result_candidate(result, ends[side], rank).found.number != ends[1 - side]) rank++;
        float score = lk_result_candidate(result, ends[side], rank).score;
        cr_assert(memcmp(&score, &got.pairs[p].score, sizeof score) == 0, "%u and %u", ends[0], ends[1]);
      }
    }
    close_gallery();
  }
}

static void make_pairs(void) {
  random_state random = {3};
  shape = (lk_shape){.metric = LK_COSINE};
  dim = 8;
  rows_count = MOST_ROWS;
  draw_rows(&random);
  label_rows(&random, MOST_ROWS);
  open_gallery("g");
}

Test(duplicates, whoever_takes_them_ends_the_search) {
  lk_error error = {0};
  make_pairs();
  got.stop_after = 5;
  cr_assert_eq(dedupe(0.9F, NULL, &error), LK_EIO);
  cr_assert_eq(got.count, 5);
}

Test(duplicates, are_cancelled) {
  lk_error error = {0};
  lk_search_control control = {0};
  make_pairs();
  got.cancel = &control;
  cr_assert_eq(dedupe(0.9F, &control, &error), LK_ECANCELLED);
  cr_assert_gt(got.count, 0);
  cr_assert_eq(got.pairs[got.count - 1].a, got.pairs[0].a, "the list that was begun, and no more");
  cr_assert_eq(lk_result_decision(result).length, 0);
}

static void expect_fault(lk_status status, const char *words) {
  lk_error error = {0};
  cr_assert_eq(dedupe(0.9F, NULL, &error), status, "%s", error.text);
  cr_assert_not_null(strstr(error.text, words), "%s", error.text);
  cr_assert_eq(got.count, 0);
}

Test(duplicates, of_a_file_that_was_cut) {
  const char *segment = files_path("g/segment-000001.lks");
  make_pairs();
  cr_assert_eq(truncate(segment, 64), 0);
  expect_fault(LK_EIO, "segment-000001.lks");
}

Test(duplicates, of_a_row_that_was_changed) {
  const char *segment = files_path("g/segment-000001.lks");
  size_t size;
  make_pairs();
  char *bytes = files_read(segment, &size), *row = memmem(bytes, size, rows, dim * sizeof *rows);
  cr_assert_not_null(row);
  FILE *file = fopen(segment, "r+b");
  float changed = rows[0] + 4;
  cr_assert(fseek(file, row - bytes, SEEK_SET) == 0 && fwrite(&changed, sizeof changed, 1, file) == 1);
  cr_assert_eq(fclose(file), 0);
  free(bytes);
  expect_fault(LK_ECORRUPT, "segment-000001.lks");
}

Test(duplicates, bad_usage) {
  lk_error error = {0};
  make_pairs();
  cr_assert_eq(dedupe(NAN, NULL, &error), LK_EINVAL);
  cr_assert_not_null(strstr(error.text, "not a number"), "%s", error.text);
  close_gallery();
  gallery = files_open(files_path("g"));
  cr_assert_eq(dedupe(0.9F, NULL, &error), LK_EINVAL);
  cr_assert_not_null(strstr(error.text, "not loaded"), "%s", error.text);
  cr_assert_eq(got.count, 0);
}
