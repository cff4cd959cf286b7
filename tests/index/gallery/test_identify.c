#include <criterion/criterion.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "index/formats/vector.h"
#include "index/gallery/gallery.h"
#include "index/gallery/unchecked.h"
#include "tests/support/files.h"

static lk_device *device;

static void setup(void) {
  files_setup();
  cr_assert_eq(lk_device_open("cpu", 2, &device, NULL), LK_OK);
}

static void teardown(void) {
  lk_device_close(device);
  files_teardown();
}

TestSuite(identify, .init = setup, .fini = teardown);

static lk_gallery *open_loaded(const char *folder) {
  lk_gallery *gallery = files_open(folder);
  lk_error error = {0};
  cr_assert_eq(lk_gallery_load(gallery, device, &error), LK_OK, "%s", error.text);
  return gallery;
}

static lk_result *open_result(void) {
  lk_result *result;
  cr_assert_eq(lk_result_open(&result, NULL), LK_OK);
  return result;
}

static lk_query query_of(const lk_vectors *probes, uint32_t k) {
  return (lk_query){.probes = probes, .probes_count = 1, .k = k, .threshold = -INFINITY};
}

static int compare_hits(const void *a, const void *b) { return lk_hit_before(a, b) ? -1 : 1; }

/* All rows in order, from the vectors as they were enrolled: neither files nor codes have a part in it. */
static lk_hit *rank_all(lk_metric metric, lk_store store, const lk_vectors *rows, const lk_vectors *probes,
                        uint64_t probe) {
  float q[LK_DIM_MAX], x[LK_DIM_MAX];
  cr_assert_null(lk_vector_prepare(metric, probes, probe, q));
  lk_hit *hits = malloc(rows->rows * sizeof *hits);
  for (uint64_t r = 0; r < rows->rows; r++) {
    cr_assert_null(lk_vector_prepare(metric, rows, r, x));
    cr_assert_null(lk_vector_round(metric, store, x, rows->dim));
    hits[r] = (lk_hit){.number = r, .score = lk_score(metric, q, x, rows->dim), .row = (uint32_t)r};
  }
  qsort(hits, rows->rows, sizeof *hits, compare_hits);
  return hits;
}

/* The result's list for `probe_in_result` is the head of the ranking for row `probe` of `probes`. */
static void check_list_of(const lk_result *result, uint32_t probe_in_result, lk_metric metric, lk_store store,
                          const lk_vectors *rows, const lk_vectors *probes, uint64_t probe, uint32_t k,
                          float threshold) {
  lk_hit *hits = rank_all(metric, store, rows, probes, probe);
  uint32_t wanted = 0;
  while (wanted < k && wanted < rows->rows && hits[wanted].score >= threshold) wanted++;
  cr_assert_eq(lk_result_count(result, probe_in_result), wanted);
  for (uint32_t rank = 0; rank < wanted; rank++) {
    lk_candidate c = lk_result_candidate(result, probe_in_result, rank);
    cr_assert_eq(c.found.number, hits[rank].number, "probe %u, rank %u", (unsigned)probe, rank);
    cr_assert_arr_eq(&c.score, &hits[rank].score, sizeof c.score);
    char key[16];
    snprintf(key, sizeof key, "%u", (unsigned)hits[rank].number);
    cr_assert(lk_text_equal(c.found.key, lk_text_of(key)));
  }
  free(hits);
}

static void check_list(const lk_result *result, uint32_t probe_in_result, lk_metric metric, const lk_vectors *rows,
                       const lk_vectors *probes, uint64_t probe, uint32_t k, float threshold) {
  check_list_of(result, probe_in_result, metric, LK_STORE_F32, rows, probes, probe, k, threshold);
}

static void enroll_in_runs(const char *folder, const float *data, uint32_t rows, uint32_t dim) {
  uint32_t first = rows / 3, second = rows / 2;
  if (first > 0) files_enroll(folder, data, first, dim, NULL);
  if (second > first) files_enroll(folder, data + (size_t)first * dim, second - first, dim, NULL);
  files_enroll(folder, data + (size_t)second * dim, rows - second, dim, NULL);
}

static void check_against_reference(lk_metric metric, lk_store store, uint32_t rows, uint32_t dim, uint32_t k,
                                    float threshold) {
  char name[64];
  snprintf(name, sizeof name, "g%d-%d-%u-%u-%u", (int)metric, (int)store, rows, dim, k);
  random_state random = random_fork(rows * 31 + dim, k);
  float *data = files_random(&random, rows, dim), *asked = files_random(&random, 7, dim);
  memcpy(data + (size_t)(rows - 1) * dim, data, dim * sizeof *data); /* a tie */
  memcpy(asked, data, dim * sizeof *data);
  const char *folder = files_path(name);
  cr_assert_eq(lk_gallery_create(folder, &(lk_gallery_options){.dim = dim, .metric = metric, .store = store}, NULL),
               LK_OK);
  enroll_in_runs(folder, data, rows, dim);
  lk_gallery *gallery = open_loaded(folder);
  lk_result *result = open_result();
  lk_vectors x = files_vectors(data, rows, dim), probes = files_vectors(asked, 7, dim);
  lk_query query = query_of(&probes, k);
  query.threshold = threshold;
  lk_error error = {0};
  cr_assert_eq(lk_gallery_identify(gallery, &query, result, NULL, &error), LK_OK, "%s", error.text);
  for (uint32_t p = 0; p < 7; p++) check_list_of(result, p, metric, store, &x, &probes, p, k, threshold);
  lk_result_close(result);
  lk_gallery_close(gallery);
  free(data);
  free(asked);
}

Test(identify, as_the_reference_ranks) {
  static const struct {
    uint32_t rows, dim, k;
  } shapes[] = {{1, 1, 1}, {5, 3, 4096}, {900, 17, 10}, {1500, 64, 100}, {3000, 33, 1}};
  for (lk_metric metric = LK_COSINE; metric <= LK_L2; metric++)
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++)
      for (lk_store store = LK_STORE_F32; store <= LK_STORE_F16; store++)
        check_against_reference(metric, store, shapes[i].rows, shapes[i].dim, shapes[i].k, -INFINITY);
}

/* Verify compares with the halves too. */
Test(identify, verify_in_an_f16_gallery) {
  float row[3] = {1, 1 + 0x1p-11f, 0x1p-26f}, stored[3] = {1, 1, 0};
  const char *folder = files_path("g");
  lk_gallery_options options = {.dim = 3, .metric = LK_L2, .store = LK_STORE_F16};
  cr_assert_eq(lk_gallery_create(folder, &options, NULL), LK_OK);
  files_enroll(folder, row, 1, 3, NULL);
  lk_gallery *gallery = files_open(folder);
  lk_result *result = open_result();
  lk_vectors probe = files_vectors(row, 1, 3);
  cr_assert_eq(lk_gallery_verify(gallery, &probe, lk_text_of("0"), NULL, result, NULL), LK_OK);
  cr_assert_eq(lk_result_candidate(result, 0, 0).score, lk_score(LK_L2, row, stored, 3), "the probe is not rounded");
  lk_result_close(result);
  lk_gallery_close(gallery);
}

Test(identify, thresholds) {
  check_against_reference(LK_COSINE, LK_STORE_F32, 800, 16, 50, 0.4f);
  check_against_reference(LK_COSINE, LK_STORE_F32, 800, 17, 50, 1.0f);
  check_against_reference(LK_COSINE, LK_STORE_F32, 800, 18, 50, 1.5f);
  check_against_reference(LK_L2, LK_STORE_F32, 800, 16, 50, -20.0f);
  check_against_reference(LK_IP, LK_STORE_F32, 800, 16, 50, INFINITY);
}

Test(identify, runs_of_probes_are_counted_through) {
  enum { ROWS = 400, DIM = 8 };
  random_state random = {4};
  float *data = files_random(&random, ROWS, DIM), *asked = files_random(&random, 9, DIM);
  uint8_t bytes[2 * DIM];
  for (int i = 0; i < 2 * DIM; i++) bytes[i] = (uint8_t)(i * 37);
  const char *folder = files_gallery("g", LK_L2, DIM);
  enroll_in_runs(folder, data, ROWS, DIM);
  lk_gallery *gallery = open_loaded(folder);
  lk_result *result = open_result();
  lk_vectors x = files_vectors(data, ROWS, DIM), one = files_vectors(asked, 9, DIM);
  lk_vectors runs[] = {files_vectors(asked, 2, DIM),
                       files_vectors(asked, 0, DIM),
                       {.name = "bytes", .data = bytes, .rows = 2, .dim = DIM, .element = LK_U8},
                       files_vectors(asked + 2 * DIM, 7, DIM)};
  lk_query query = {.probes = runs, .probes_count = 4, .k = 5, .threshold = -INFINITY};
  cr_assert_eq(lk_gallery_identify(gallery, &query, result, NULL, NULL), LK_OK);
  for (uint32_t p = 0; p < 2; p++) check_list(result, p, LK_L2, &x, &one, p, 5, -INFINITY);
  for (uint32_t p = 0; p < 2; p++) check_list(result, 2 + p, LK_L2, &x, &runs[2], p, 5, -INFINITY);
  for (uint32_t p = 2; p < 9; p++) check_list(result, 2 + p, LK_L2, &x, &one, p, 5, -INFINITY);
  lk_result_close(result);
  lk_gallery_close(gallery);
  free(data);
  free(asked);
}

Test(identify, one_result_for_several_galleries) {
  random_state random = {5};
  float *data = files_random(&random, 600, 8);
  const char *small = files_gallery("small", LK_COSINE, 2), *large = files_gallery("large", LK_L2, 8);
  files_enroll(small, data, 50, 2, NULL);
  files_enroll(large, data, 600, 8, NULL);
  lk_gallery *a = open_loaded(small), *b = open_loaded(large);
  lk_result *result = open_result();
  lk_vectors in_a = files_vectors(data, 50, 2), in_b = files_vectors(data, 600, 8);
  for (int round = 0; round < 3; round++) {
    lk_query query = query_of(&in_a, 3);
    cr_assert_eq(lk_gallery_identify(a, &query, result, NULL, NULL), LK_OK);
    for (uint32_t p = 0; p < 50; p++) check_list(result, p, LK_COSINE, &in_a, &in_a, p, 3, -INFINITY);
    lk_vectors some = files_vectors(data, 20, 8);
    query = query_of(&some, 40);
    cr_assert_eq(lk_gallery_identify(b, &query, result, NULL, NULL), LK_OK);
    for (uint32_t p = 0; p < 20; p++) check_list(result, p, LK_L2, &in_b, &some, p, 40, -INFINITY);
  }
  lk_result_close(result);
  lk_gallery_close(a);
  lk_gallery_close(b);
  free(data);
}

Test(identify, an_empty_gallery) {
  lk_gallery *gallery = open_loaded(files_gallery("g", LK_COSINE, 2));
  lk_result *result = open_result();
  float data[2] = {1, 2};
  lk_vectors probes = files_vectors(data, 1, 2);
  lk_query query = query_of(&probes, 10);
  lk_search_stats stats = {0};
  cr_assert_eq(lk_gallery_identify(gallery, &query, result, &stats, NULL), LK_OK);
  cr_assert_eq(lk_result_count(result, 0), 0);
  cr_assert_eq(stats.scanned, 0);
  cr_assert_eq(lk_gallery_verify(gallery, &probes, lk_text_of("s"), NULL, result, NULL), LK_ENOTFOUND);
  lk_result_close(result);
  lk_gallery_close(gallery);
}

static lk_gallery *one_template(void) {
  const char *folder = files_gallery("g", LK_COSINE, 2);
  files_enroll(folder, (float[]){1, 2}, 1, 2, NULL);
  return open_loaded(folder);
}

Test(identify, no_probes_at_all) {
  lk_gallery *gallery = one_template();
  lk_result *result = open_result();
  lk_vectors none = files_vectors(NULL, 0, 2);
  lk_query query = query_of(&none, 3);
  cr_assert_eq(lk_gallery_identify(gallery, &query, result, NULL, NULL), LK_OK);
  query.probes_count = 0;
  cr_assert_eq(lk_gallery_identify(gallery, &query, result, NULL, NULL), LK_OK);
  cr_assert_eq(lk_gallery_verify(gallery, &none, lk_text_of("0"), NULL, result, NULL), LK_OK);
  lk_result_close(result);
  lk_gallery_close(gallery);
}

static void check_refused(lk_gallery *gallery, lk_query query, lk_status status, const char *words) {
  lk_result *result = open_result();
  lk_error error = {0};
  cr_assert_eq(lk_gallery_identify(gallery, &query, result, NULL, &error), status, "%s", words);
  cr_assert_not_null(strstr(error.text, words), "%s", error.text);
  lk_result_close(result);
}

Test(identify, queries_that_are_refused) {
  lk_gallery *gallery = one_template(), *not_loaded = files_open(files_path("g"));
  float data[4] = {1, 2, NAN, 1};
  lk_vectors good = files_vectors(data, 1, 2), bad = files_vectors(data, 2, 2), wide = files_vectors(data, 1, 3);
  lk_query query = query_of(&good, 0);
  check_refused(gallery, query, LK_EINVAL, "k = 0 is outside 1 .. 4096");
  query.k = LK_K_MAX + 1;
  check_refused(gallery, query, LK_EINVAL, "k = 4097");
  query = query_of(&good, 1);
  query.threshold = NAN;
  check_refused(gallery, query, LK_EINVAL, "the threshold is not a number");
  check_refused(not_loaded, query_of(&good, 1), LK_EINVAL, "is not loaded");
  check_refused(gallery, query_of(&wide, 1), LK_EDIM, "vectors: vectors of dimension 3; the gallery g has 2");
  check_refused(gallery, query_of(&bad, 1), LK_EBADPROBE, "vectors: probe 1 has a NaN");
  query = query_of(&good, 1);
  query.model = lk_text_of("m2");
  check_refused(gallery, query, LK_EMODEL, "'m2', but the gallery g is of model 'm1'");
  query.model = lk_text_of("m");
  check_refused(gallery, query, LK_EMODEL, "'m'");
  lk_gallery_close(gallery);
  lk_gallery_close(not_loaded);
}

Test(identify, the_bad_probe_is_named_with_its_run) {
  lk_gallery *gallery = one_template();
  float good[4] = {1, 2, 3, 4}, bad[4] = {1, 2, 0, 0};
  lk_vectors runs[] = {files_vectors(good, 2, 2), files_vectors(bad, 2, 2)};
  runs[1].name = "job 17";
  lk_query query = {.probes = runs, .probes_count = 2, .k = 1, .threshold = -INFINITY};
  check_refused(gallery, query, LK_EBADPROBE, "job 17: probe 1 is all zeros");
  lk_gallery_close(gallery);
}

Test(identify, check_probes) {
  lk_gallery *gallery = one_template();
  float data[4] = {1, 2, 0, 0};
  lk_vectors good = files_vectors(data, 1, 2), bad = files_vectors(data, 2, 2), wide = files_vectors(data, 1, 4);
  lk_error error;
  cr_assert_eq(lk_gallery_check_probes(gallery, &good, (lk_text){0}, NULL), LK_OK);
  cr_assert_eq(lk_gallery_check_probes(gallery, &good, lk_text_of("m1"), NULL), LK_OK);
  cr_assert_eq(lk_gallery_check_probes(gallery, &good, lk_text_of("m2"), NULL), LK_EMODEL);
  cr_assert_eq(lk_gallery_check_probes(gallery, &wide, (lk_text){0}, NULL), LK_EDIM);
  cr_assert_eq(lk_gallery_check_probes(gallery, &bad, (lk_text){0}, &error), LK_EBADPROBE);
  cr_assert_str_eq(error.text, "vectors: probe 1 is all zeros");
  lk_gallery_close(gallery);
}

/* Each prepared run has a threshold of its own, alone or beside others. */
static void check_prepared(lk_gallery *gallery, const lk_vectors *rows, const lk_vectors *probes, uint32_t runs_count) {
  static const float thresholds[] = {0.1F, -INFINITY, 0.6F};
  enum { RUN = 3, DIM = 16 };
  lk_result *result = open_result();
  float prepared[3 * RUN * DIM];
  lk_prepared_run runs[3];
  cr_assert_eq(lk_gallery_prepare(gallery, probes, lk_text_of("m1"), prepared, NULL), LK_OK);
  for (uint32_t i = 0; i < runs_count; i++)
    runs[i] = (lk_prepared_run){.probes = prepared + i * RUN * DIM, .count = RUN, .threshold = thresholds[i]};
  lk_query query = {.k = 20};
  cr_assert_eq(lk_gallery_identify_prepared(gallery, &query, runs, runs_count, result, NULL, NULL), LK_OK);
  for (uint32_t p = 0; p < runs_count * RUN; p++)
    check_list(result, p, LK_COSINE, rows, probes, p, 20, thresholds[p / RUN]);
  cr_assert_eq(lk_result_count(result, runs_count * RUN), 0);
  lk_result_close(result);
}

Test(identify, prepared_runs_have_thresholds_of_their_own) {
  random_state random = {6};
  float *data = files_random(&random, 300, 16), *asked = files_random(&random, 9, 16);
  const char *folder = files_gallery("g", LK_COSINE, 16);
  enroll_in_runs(folder, data, 300, 16);
  lk_gallery *gallery = open_loaded(folder);
  lk_vectors rows = files_vectors(data, 300, 16), probes = files_vectors(asked, 9, 16), bad = probes;
  for (uint32_t runs = 0; runs <= 3; runs++) check_prepared(gallery, &rows, &probes, runs);
  cr_assert_eq(lk_gallery_prepare(gallery, &probes, lk_text_of("m2"), asked, NULL), LK_EMODEL);
  bad.dim = 8;
  cr_assert_eq(lk_gallery_prepare(gallery, &bad, (lk_text){0}, asked, NULL), LK_EDIM);
  lk_gallery_close(gallery);
  free(data);
  free(asked);
}

enum { PEOPLE = 40, EACH = 5, WIDTH = 6 };

/* PEOPLE subjects of EACH templates, the last two of each in a second segment. */
static lk_gallery *enroll_people(lk_metric metric, float *data) {
  const char *folder = files_gallery("people", metric, WIDTH);
  static char names[PEOPLE * EACH][8];
  lk_label labels[PEOPLE * EACH];
  memset(labels, 0, sizeof labels);
  for (int i = 0; i < PEOPLE * EACH; i++) {
    snprintf(names[i], sizeof names[i], "s%d", i % PEOPLE);
    labels[i].subject = lk_text_of(names[i]);
  }
  files_enroll(folder, data, PEOPLE * 3, WIDTH, labels);
  files_enroll(folder, data + PEOPLE * 3 * WIDTH, PEOPLE * 2, WIDTH, labels + PEOPLE * 3);
  return files_open(folder);
}

Test(identify, verify_finds_the_subjects_best) {
  random_state random = {6};
  float *data = files_random(&random, PEOPLE * EACH, WIDTH), *asked = files_random(&random, 3, WIDTH);
  memcpy(data + (2 * PEOPLE + 1) * WIDTH, data + WIDTH, WIDTH * sizeof *data); /* s1: a tie */
  memcpy(asked, data + WIDTH, WIDTH * sizeof *data);
  lk_vectors x = files_vectors(data, PEOPLE * EACH, WIDTH), probes = files_vectors(asked, 3, WIDTH);
  lk_gallery *gallery = enroll_people(LK_L2, data);
  lk_result *result = open_result();
  for (uint32_t s = 0; s < PEOPLE; s++) {
    char name[8];
    snprintf(name, sizeof name, "s%u", s);
    cr_assert_eq(lk_gallery_verify(gallery, &probes, lk_text_of(name), NULL, result, NULL), LK_OK);
    for (uint32_t p = 0; p < 3; p++) {
      lk_hit *hits = rank_all(LK_L2, LK_STORE_F32, &x, &probes, p);
      uint32_t best = 0;
      while (hits[best].number % PEOPLE != s) best++;
      cr_assert_eq(lk_result_count(result, p), 1);
      lk_candidate c = lk_result_candidate(result, p, 0);
      cr_assert_eq(c.found.number, hits[best].number);
      cr_assert_eq(c.score, hits[best].score);
      cr_assert(lk_text_equal(c.found.subject, lk_text_of(name)));
      free(hits);
    }
  }
  lk_result_close(result);
  lk_gallery_close(gallery);
  free(data);
  free(asked);
}

Test(identify, verify_refuses) {
  random_state random = {7};
  float *data = files_random(&random, PEOPLE * EACH, WIDTH), zeros[WIDTH] = {0};
  lk_gallery *gallery = enroll_people(LK_COSINE, data);
  lk_result *result = open_result();
  lk_vectors good = files_vectors(data, 1, WIDTH), bad = files_vectors(zeros, 1, WIDTH),
             wide = files_vectors(data, 1, 1);
  lk_error error;
  cr_assert_eq(lk_gallery_verify(gallery, &good, lk_text_of("s40"), NULL, result, &error), LK_ENOTFOUND);
  cr_assert_str_eq(error.text, "the gallery people has no subject 's40'");
  cr_assert_eq(lk_gallery_verify(gallery, &good, (lk_text){0}, NULL, result, NULL), LK_ENOTFOUND);
  cr_assert_eq(lk_gallery_verify(gallery, &bad, lk_text_of("s1"), NULL, result, NULL), LK_EBADPROBE);
  cr_assert_eq(lk_gallery_verify(gallery, &wide, lk_text_of("s1"), NULL, result, NULL), LK_EDIM);
  lk_result_close(result);
  lk_gallery_close(gallery);
  free(data);
}

typedef struct searcher {
  lk_gallery *gallery;
  const lk_vectors *rows;
  const lk_vectors *probes;
  uint32_t k;
} searcher;

static void *search_again_and_again(void *context) {
  const searcher *s = context;
  lk_result *result = open_result();
  for (int round = 0; round < 10; round++) {
    lk_query query = query_of(s->probes, s->k);
    cr_assert_eq(lk_gallery_identify(s->gallery, &query, result, NULL, NULL), LK_OK);
    for (uint32_t p = 0; p < s->probes->rows; p++)
      check_list(result, p, LK_COSINE, s->rows, s->probes, p, s->k, -INFINITY);
    cr_assert_eq(lk_gallery_verify(s->gallery, s->probes, lk_text_of("11"), NULL, result, NULL), LK_OK);
    uint64_t subjects;
    cr_assert_eq(lk_gallery_subjects(s->gallery, &subjects, NULL), LK_OK);
    cr_assert_eq(lk_gallery_check(s->gallery, NULL), LK_OK);
  }
  lk_result_close(result);
  return NULL;
}

Test(identify, two_threads_one_gallery) {
  enum { ROWS = 700, DIM = 12 };
  random_state random = {8};
  float *data = files_random(&random, ROWS, DIM);
  const char *folder = files_gallery("g", LK_COSINE, DIM);
  enroll_in_runs(folder, data, ROWS, DIM);
  lk_gallery *gallery = open_loaded(folder);
  lk_vectors rows = files_vectors(data, ROWS, DIM), one = files_vectors(data, 3, DIM),
             two = files_vectors(data + 5 * DIM, 11, DIM);
  searcher searchers[2] = {{gallery, &rows, &one, 20}, {gallery, &rows, &two, 3}};
  pthread_t threads[2];
  for (int i = 0; i < 2; i++) cr_assert_eq(pthread_create(&threads[i], NULL, search_again_and_again, &searchers[i]), 0);
  for (int i = 0; i < 2; i++) pthread_join(threads[i], NULL);
  lk_gallery_close(gallery);
  free(data);
}

#ifdef __SSE__
#include <xmmintrin.h>

/* Another library in the process may have set flush-to-zero and another rounding in the calling thread. */
Test(identify, the_callers_floating_point_mode_has_no_part_in_it) {
  enum { DIM = 3 };
  float rows[2 * DIM] = {0x1p-30f, 0x1.8p-139f, 0, 1, 0x1p-130f, 0x1.8p-135f}, asked[DIM] = {0, 0x1p-30f, 3};
  const char *folder = files_gallery("g", LK_IP, DIM);
  files_enroll(folder, rows, 2, DIM, NULL);
  lk_gallery *gallery = open_loaded(folder);
  lk_result *result = open_result();
  lk_vectors probes = files_vectors(asked, 1, DIM);
  lk_query query = query_of(&probes, 2);
  lk_candidate wanted[3], got[3];
  for (int round = 0; round < 2; round++) {
    lk_candidate *list = round == 0 ? wanted : got;
    unsigned saved = _mm_getcsr();
    if (round == 1) _mm_setcsr(saved | 0x8040 | 0x6000); /* flush, denormals are zero, round toward zero */
    cr_assert_eq(lk_gallery_identify(gallery, &query, result, NULL, NULL), LK_OK);
    list[0] = lk_result_candidate(result, 0, 0);
    list[1] = lk_result_candidate(result, 0, 1);
    cr_assert_eq(lk_gallery_verify(gallery, &probes, lk_text_of("1"), NULL, result, NULL), LK_OK);
    list[2] = lk_result_candidate(result, 0, 0);
    if (round == 1) cr_assert_eq(_mm_getcsr() & 0xffc0, (saved | 0x8040 | 0x6000) & 0xffc0, "the caller's is kept");
    _mm_setcsr(saved);
  }
  for (int i = 0; i < 3; i++) {
    cr_assert_eq(got[i].found.number, wanted[i].found.number);
    cr_assert_arr_eq(&got[i].score, &wanted[i].score, sizeof(float), "%d", i);
  }
  lk_result_close(result);
  lk_gallery_close(gallery);
}

Test(identify, nor_in_how_long_probes_are) {
  enum { PROBES = 50, DIM = 7 };
  random_state random = {9};
  float *data = files_random(&random, PROBES, DIM), wanted[PROBES];
  const char *folder = files_gallery("g", LK_COSINE, DIM);
  files_enroll(folder, data, 1, DIM, NULL);
  lk_gallery *gallery = open_loaded(folder);
  lk_vectors probes = files_vectors(data, PROBES, DIM);
  lk_result *result = open_result();
  lk_query query = query_of(&probes, 1);
  unsigned saved = _mm_getcsr();
  cr_assert_eq(lk_gallery_identify(gallery, &query, result, NULL, NULL), LK_OK);
  for (uint32_t p = 0; p < PROBES; p++) wanted[p] = lk_result_candidate(result, p, 0).score;
  _mm_setcsr(saved | 0x6000);
  cr_assert_eq(lk_gallery_identify(gallery, &query, result, NULL, NULL), LK_OK);
  _mm_setcsr(saved);
  for (uint32_t p = 0; p < PROBES; p++) cr_assert_eq(lk_result_candidate(result, p, 0).score, wanted[p]);
  lk_result_close(result);
  lk_gallery_close(gallery);
  free(data);
}
#endif
