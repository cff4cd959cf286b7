/* Searches that see a part of the gallery: tags, listed keys and subjects, one candidate a subject, all above a bar. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "index/formats/vector.h"
#include "index/gallery/gallery.h"
#include "index/gallery/unchecked.h"
#include "tests/support/files.h"

enum { ROWS = 3000, DIM = 24, PEOPLE = 400, PROBES = 6 };

typedef struct world {
  lk_device *device;
  lk_gallery *gallery;
  lk_result *result;
  float *rows, *probes;
  lk_label labels[ROWS];
  char keys[ROWS][8], subjects[ROWS][8];
} world;

static world w;

/* Three enrollments, so that subjects and filters go across segments. */
static void setup(void) {
  files_setup();
  random_state random = random_fork(3, 1);
  w.rows = files_random(&random, ROWS, DIM);
  w.probes = files_random(&random, PROBES, DIM);
  for (uint32_t r = 0; r < ROWS; r++) {
    snprintf(w.keys[r], sizeof w.keys[r], "k%u", r);
    snprintf(w.subjects[r], sizeof w.subjects[r], "s%u", random_below(&random, PEOPLE));
    w.labels[r] = (lk_label){.key = lk_text_of(w.keys[r]), .subject = lk_text_of(w.subjects[r]), .tags = r % 16};
  }
  memcpy(w.rows + DIM, w.rows, DIM * sizeof *w.rows); /* a tie between rows of different tags */
  const char *folder = files_gallery("g", LK_COSINE, DIM);
  for (uint32_t first = 0; first < ROWS; first += ROWS / 3)
    files_enroll(folder, w.rows + (size_t)first * DIM, ROWS / 3, DIM, w.labels + first);
  w.gallery = files_open(folder);
  cr_assert_eq(lk_device_open("cpu", 2, &w.device, NULL), LK_OK);
  cr_assert_eq(lk_gallery_load(w.gallery, w.device, NULL), LK_OK);
  cr_assert_eq(lk_result_open(&w.result, NULL), LK_OK);
}

static void teardown(void) {
  lk_result_close(w.result);
  lk_gallery_close(w.gallery);
  lk_device_close(w.device);
  free(w.rows);
  free(w.probes);
  files_teardown();
}

TestSuite(view, .init = setup, .fini = teardown);

static bool is_listed(const lk_text *texts, uint32_t count, const char *text) {
  for (uint32_t i = 0; i < count; i++)
    if (lk_text_equal(texts[i], lk_text_of(text))) return true;
  return false;
}

static bool passes(const lk_query *query, uint32_t r) {
  if ((w.labels[r].tags & query->mask) != (query->tags & query->mask)) return false;
  return (query->keys == NULL && query->subjects == NULL) || is_listed(query->keys, query->keys_count, w.keys[r]) ||
         is_listed(query->subjects, query->subjects_count, w.subjects[r]);
}

typedef struct ranked {
  float score;
  uint32_t row;
} ranked;

static int compare_ranked(const void *a, const void *b) {
  const ranked *x = a, *y = b;
  if (x->score != y->score) return x->score > y->score ? -1 : 1;
  return x->row < y->row ? -1 : 1;
}

static uint32_t rank_rows(const lk_query *query, uint32_t probe, ranked *list) {
  lk_vectors rows = files_vectors(w.rows, ROWS, DIM), probes = files_vectors(w.probes, PROBES, DIM);
  float q[DIM], x[DIM];
  uint32_t count = 0;
  lk_vector_prepare(LK_COSINE, &probes, probe, q);
  for (uint32_t r = 0; r < ROWS; r++) {
    lk_vector_prepare(LK_COSINE, &rows, r, x);
    float score = lk_score(LK_COSINE, q, x, DIM);
    if (passes(query, r) && score >= query->threshold) list[count++] = (ranked){.score = score, .row = r};
  }
  qsort(list, count, sizeof *list, compare_ranked);
  return count;
}

static bool is_new(const ranked *list, uint32_t end, uint32_t row) {
  for (uint32_t i = 0; i < end; i++)
    if (strcmp(w.subjects[list[i].row], w.subjects[row]) == 0) return false;
  return true;
}

static void check(lk_query query) {
  lk_vectors probes = files_vectors(w.probes, PROBES, DIM);
  ranked list[ROWS];
  lk_error error = {0};
  query.probes = &probes;
  query.probes_count = 1;
  cr_assert_eq(lk_gallery_identify(w.gallery, &query, w.result, NULL, &error), LK_OK, "%s", error.text);
  for (uint32_t p = 0; p < PROBES; p++) {
    uint32_t all = rank_rows(&query, p, list), wanted = 0;
    for (uint32_t i = 0; i < all && wanted < query.k; i++)
      if (!query.by_subject || is_new(list, wanted, list[i].row)) list[wanted++] = list[i];
    cr_assert_eq(lk_result_count(w.result, p), wanted, "probe %u: %u, wanted %u", p, lk_result_count(w.result, p),
                 wanted);
    for (uint32_t i = 0; i < wanted; i++) {
      lk_candidate c = lk_result_candidate(w.result, p, i);
      cr_assert_eq(c.found.number, list[i].row, "probe %u, rank %u", p, i);
      cr_assert_eq(c.score, list[i].score);
    }
  }
}

static lk_query all_of_it(uint32_t k) { return (lk_query){.k = k, .threshold = -INFINITY}; }

Test(view, by_subject) {
  for (uint32_t k = 1; k < 2 * PEOPLE; k = 3 * k + 1) {
    lk_query query = all_of_it(k);
    query.by_subject = true;
    check(query);
  }
}

Test(view, tags) {
  for (uint64_t mask = 0; mask < 32; mask += 3)
    for (uint64_t tags = 0; tags < 32; tags += 5) {
      lk_query query = all_of_it(7);
      query.tags = tags;
      query.mask = mask;
      query.by_subject = mask % 2;
      check(query);
    }
}

Test(view, listed_keys_and_subjects) {
  lk_text keys[] = {lk_text_of("k0"), lk_text_of("k1"), lk_text_of("k1999"), lk_text_of("k2999"), lk_text_of("nobody")};
  lk_text subjects[] = {lk_text_of("s7"), lk_text_of("s8"), lk_text_of("s399"), lk_text_of("nobody")};
  for (uint32_t k = 2; k < 60; k += 28) {
    lk_query query = all_of_it(k);
    query.keys = keys;
    query.keys_count = 5;
    check(query);
    query.subjects = subjects;
    query.subjects_count = 4;
    check(query);
    query.by_subject = true;
    check(query);
    query.keys_count = 0;
    query.mask = 1;
    check(query);
    check(all_of_it(k)); /* and nothing of the filter stays */
  }
}

Test(view, a_list_of_unknown_keys_matches_nothing) {
  lk_text nobody = lk_text_of("nobody");
  lk_query query = all_of_it(5);
  query.keys = &nobody;
  query.keys_count = 1;
  check(query);
}

/* An empty list must not stand for everybody: neither alone nor beside another that is empty. */
Test(view, an_empty_list_matches_nothing) {
  const lk_text none[1] = {{0}};
  lk_vectors probes = files_vectors(w.probes, PROBES, DIM);
  lk_query query = all_of_it(5);
  for (int given = 1; given <= 3; given++) {
    query.keys = given & 1 ? none : NULL;
    query.subjects = given & 2 ? none : NULL;
    check(query);
    lk_query fused = query;
    fused.probes = &probes;
    fused.probes_count = 1;
    fused.fusion = LK_FUSE_MEAN;
    cr_assert_eq(lk_gallery_identify(w.gallery, &fused, w.result, NULL, NULL), LK_OK);
    cr_assert_eq(lk_result_count(w.result, 0), 0);
  }
}

Test(view, a_list_that_is_missing_is_refused) {
  lk_vectors probes = files_vectors(w.probes, PROBES, DIM);
  lk_query query = {.probes = &probes, .probes_count = 1, .k = 1, .threshold = 0, .keys_count = UINT32_MAX};
  lk_error error;
  cr_assert_eq(lk_gallery_identify(w.gallery, &query, w.result, NULL, &error), LK_EINVAL);
  cr_assert_neq(strstr(error.text, "keys"), NULL, "%s", error.text);
  query.keys_count = 0;
  query.subjects_count = 1;
  cr_assert_eq(lk_gallery_identify(w.gallery, &query, w.result, NULL, &error), LK_EINVAL);
  cr_assert_neq(strstr(error.text, "subjects"), NULL, "%s", error.text);
}

Test(view, all_above_a_threshold) {
  for (float threshold = 0.9f; threshold > -0.2f; threshold -= 0.3f) {
    lk_query query = {.k = LK_K_ALL, .threshold = threshold};
    check(query);
    query.mask = 3;
    query.tags = 2;
    check(query);
  }
  check((lk_query){.k = LK_K_ALL, .threshold = -INFINITY});
}

Test(view, all_by_subject_is_refused) {
  lk_vectors probes = files_vectors(w.probes, PROBES, DIM);
  lk_query query = {.probes = &probes, .probes_count = 1, .k = LK_K_ALL, .by_subject = true, .threshold = 0};
  cr_assert_eq(lk_gallery_identify(w.gallery, &query, w.result, NULL, NULL), LK_EINVAL);
}

Test(view, subjects_are_counted) {
  bool met[PEOPLE] = {false};
  uint64_t wanted = 0, subjects;
  for (uint32_t r = 0; r < ROWS; r++) {
    bool *person = &met[atoi(w.subjects[r] + 1)];
    wanted += !*person;
    *person = true;
  }
  cr_assert_eq(lk_gallery_subjects(w.gallery, &subjects, NULL), LK_OK);
  cr_assert_eq(subjects, wanted);
}

static lk_prepared_run prepare_probes(float *prepared) {
  lk_vectors probes = files_vectors(w.probes, PROBES, DIM);
  cr_assert_eq(lk_gallery_prepare(w.gallery, &probes, (lk_text){0}, prepared, NULL), LK_OK);
  return (lk_prepared_run){.probes = prepared, .count = PROBES, .threshold = -INFINITY};
}

/* A verification among the subject's templates of some tags finds the first of a search for the same. */
Test(view, verify_by_tags) {
  float prepared[PROBES * DIM];
  ranked list[ROWS];
  lk_text subject = w.labels[7].subject;
  lk_prepared_run run = prepare_probes(prepared);
  for (uint64_t mask = 0; mask < 32; mask++) {
    lk_query query = {
        .tags = 7 & mask, .mask = mask, .threshold = -INFINITY, .subjects = &subject, .subjects_count = 1};
    if (mask == 16) query.tags = 16; /* nobody's */
    cr_assert_eq(lk_gallery_verify_prepared(w.gallery, &query, &run, subject, w.result, NULL), LK_OK);
    for (uint32_t p = 0; p < PROBES; p++) {
      uint32_t fit = rank_rows(&query, p, list);
      cr_assert_eq(lk_result_searched(w.result), fit);
      cr_assert(mask == 16 ? fit == 0 : fit > 0);
      cr_assert_eq(lk_result_count(w.result, p), fit > 0 ? 1 : 0);
      if (fit > 0) cr_assert_eq(lk_result_candidate(w.result, p, 0).found.number, list[0].row);
    }
  }
  lk_query tagged = {.tags = 1, .mask = 1};
  cr_assert_eq(lk_gallery_verify_prepared(w.gallery, &tagged, &run, lk_text_of("?"), w.result, NULL), LK_ENOTFOUND);
}

/* Whatever the search, its control is passed on: it counts, and it ends the search. */
Test(view, a_search_that_is_cancelled) {
  float prepared[PROBES * DIM];
  lk_vectors probes = files_vectors(w.probes, PROBES, DIM);
  lk_prepared_run run = prepare_probes(prepared);
  for (lk_fusion fusion = LK_FUSE_NONE; fusion <= LK_FUSE_MEAN + 1; fusion++)
    for (int cancelled = 0; cancelled < 2; cancelled++) {
      lk_search_control control = {0};
      lk_query query = all_of_it(5);
      query.probes = &probes, query.probes_count = 1, query.control = &control;
      query.fusion = fusion <= LK_FUSE_MEAN ? fusion : LK_FUSE_NONE;
      if (cancelled) lk_search_cancel(&control);
      lk_status status = fusion <= LK_FUSE_MEAN
                             ? lk_gallery_identify(w.gallery, &query, w.result, NULL, NULL)
                             : lk_gallery_verify_prepared(w.gallery, &query, &run, w.labels[7].subject, w.result, NULL);
      cr_assert_eq(status, cancelled ? LK_ECANCELLED : LK_OK);
      cr_assert_eq(lk_result_count(w.result, 0) > 0, !cancelled);
      cr_assert_eq(lk_result_searched(w.result) > 0, !cancelled);
      cr_assert_eq(lk_search_progress(&control) > 0, !cancelled);
    }
}
