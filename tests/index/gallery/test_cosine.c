/* What a cosine gallery says of vectors that are alike, whatever their length, in both stores and in all versions of
 * segments. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "index/formats/vector.h"
#include "index/gallery/gallery.h"
#include "index/gallery/scrub.h"
#include "index/gallery/unchecked.h"
#include "tests/support/files.h"
#include "tests/support/older.h"

enum { ROWS = 60, COPIES = 3 }; /* each vector is enrolled so many times */

static lk_device *device;
static lk_result *result;

static void setup(void) {
  files_setup();
  cr_assert_eq(lk_device_open("cpu", 2, &device, NULL), LK_OK);
  cr_assert_eq(lk_result_open(&result, NULL), LK_OK);
}

static void teardown(void) {
  lk_result_close(result);
  lk_device_close(device);
  files_teardown();
}

TestSuite(cosine, .init = setup, .fini = teardown);

static const char *make_gallery(const char *name, lk_store store, uint32_t dim) {
  lk_gallery_options options = {.dim = dim, .metric = LK_COSINE, .store = store};
  const char *folder = files_path(name);
  lk_error error;
  cr_assert_eq(lk_gallery_create(folder, &options, &error), LK_OK, "%s", error.text);
  return folder;
}

static lk_gallery *open_loaded(const char *folder) {
  lk_gallery *gallery = files_open(folder);
  lk_error error = {0};
  cr_assert_eq(lk_gallery_load(gallery, device, &error), LK_OK, "%s", error.text);
  return gallery;
}

/* The templates as they are stored, in the order of their numbers; the caller frees them. */
static float *stored_rows(const lk_gallery *gallery) {
  uint32_t dim = gallery->manifest.dim;
  float *rows = malloc(gallery->contents->catalog->rows * dim * sizeof *rows);
  lk_error error;
  for (uint64_t r = 0; r < gallery->contents->catalog->rows; r++)
    cr_assert_eq(lk_gallery_export_unchecked(gallery, r, rows + r * dim, &error), LK_OK, "%s", error.text);
  return rows;
}

static void search(lk_gallery *gallery, const float *probes, uint64_t count, uint32_t k, float threshold,
                   lk_fusion fusion) {
  lk_vectors vectors = files_vectors(probes, count, gallery->manifest.dim);
  lk_query query = {.probes = &vectors, .probes_count = 1, .k = k, .threshold = threshold, .fusion = fusion};
  lk_error error;
  cr_assert_eq(lk_gallery_identify(gallery, &query, result, NULL, &error), LK_OK, "%s", error.text);
}

/* ---- equal vectors ---- */

static bool lists(uint32_t probe, uint64_t number) {
  for (uint32_t i = 0; i < lk_result_count(result, probe); i++)
    if (lk_result_candidate(result, probe, i).found.number == number) return true;
  return false;
}

/* Probes are what is stored: each finds itself and its copies with exactly 1, and nobody above. From four dimensions on
 * no other random vector comes so near. */
static void check_copies(lk_gallery *gallery, const float *probes, const char *what) {
  uint32_t dim = gallery->manifest.dim;
  search(gallery, probes, ROWS, LK_K_ALL, 1, LK_FUSE_NONE);
  for (uint32_t p = 0; p < ROWS; p++) {
    for (uint32_t i = 0; i < lk_result_count(result, p); i++)
      cr_assert_eq(lk_result_candidate(result, p, i).score, 1, "%s, probe %u: %a", what, p,
                   (double)lk_result_candidate(result, p, i).score);
    for (uint32_t copy = 0; copy < COPIES; copy++)
      cr_assert(lists(p, copy * ROWS + p), "%s: copy %u of probe %u is not found", what, copy, p);
    if (dim >= 4) cr_assert_eq(lk_result_count(result, p), COPIES, "%s, probe %u", what, p);
    if (dim >= 4) cr_assert_eq(lk_result_candidate(result, p, 0).found.number, p, "%s, probe %u", what, p);
  }
}

/* Of an f16 gallery the original is not the half, but next to it. */
static void check_originals(lk_gallery *gallery, const float *data, const char *what) {
  search(gallery, data, ROWS, 1, -INFINITY, LK_FUSE_NONE);
  for (uint32_t p = 0; p < ROWS; p++) {
    float score = lk_result_candidate(result, p, 0).score;
    cr_assert(score >= 0.99999988f && score <= 1, "%s, probe %u: %a", what, p, (double)score);
  }
}

static void check_equal(lk_store store, uint32_t dim, int scale) {
  char name[64], what[96];
  snprintf(name, sizeof name, "g%d-%u-%d", (int)store, dim, scale + 40);
  snprintf(what, sizeof what, "store %d, dim %u, scale 2^%d", (int)store, dim, scale);
  const char *folder = make_gallery(name, store, dim);
  random_state random = {dim + (uint64_t)(scale + 40) * 5000};
  float *data = files_random(&random, ROWS, dim);
  for (uint32_t r = 0; r < ROWS; r++) {
    if (fabsf(data[r * dim]) < 0.25f) data[r * dim] = 0.5f; /* no vector is too short */
    for (uint32_t i = 0; i < dim; i++) data[r * dim + i] = ldexpf(data[r * dim + i] / sqrtf((float)dim), scale);
  }
  for (int copy = 0; copy < COPIES; copy++) files_enroll(folder, data, ROWS, dim, NULL);
  lk_gallery *gallery = open_loaded(folder);
  float *stored = stored_rows(gallery);
  if (store == LK_STORE_F32) cr_assert_arr_eq(stored, data, ROWS * dim * sizeof *data, "%s: not as it came", what);
  check_copies(gallery, stored, what);
  check_originals(gallery, data, what);
  free(data);
  free(stored);
  lk_gallery_close(gallery);
  files_remove_folder(folder);
}

Test(cosine, equal_vectors_of_every_length_score_exactly_one) {
  static const uint32_t dims[] = {1, 2, 3, 4, 7, 33, 128, 512, 1000, 4096};
  static const int scales[] = {-37, -17, -14, -12, -10, 0, 37}; /* halves are subnormal from some of these on */
  for (size_t d = 0; d < sizeof dims / sizeof dims[0]; d++)
    for (size_t s = 0; s < sizeof scales / sizeof scales[0]; s++) {
      check_equal(LK_STORE_F32, dims[d], scales[s]);
      check_equal(LK_STORE_F16, dims[d], scales[s]);
    }
}

/* ---- the ranking ---- */

static double cosine(const float *a, const float *b, uint32_t dim) {
  long double ab = 0, aa = 0, bb = 0;
  for (uint32_t i = 0; i < dim; i++) {
    ab += (long double)a[i] * b[i];
    aa += (long double)a[i] * a[i];
    bb += (long double)b[i] * b[i];
  }
  return (double)(ab / sqrtl(aa * bb));
}

/* No candidate comes before one whose cosine is larger by more than floats tell apart. */
Test(cosine, an_f16_gallery_ranks_by_the_cosine_of_its_halves) {
  enum { MANY = 500, DIM = 24, PROBES = 20 };
  const char *folder = make_gallery("g", LK_STORE_F16, DIM);
  random_state random = {8};
  float *data = files_random(&random, MANY, DIM), *probes = files_random(&random, PROBES, DIM);
  for (uint32_t r = 0; r < MANY; r++)
    for (uint32_t i = 0; i < DIM; i++) data[r * DIM + i] *= (float)exp2((int)(r % 21) - 10);
  files_enroll(folder, data, MANY, DIM, NULL);
  lk_gallery *gallery = open_loaded(folder);
  float *stored = stored_rows(gallery);
  search(gallery, probes, PROBES, MANY, -INFINITY, LK_FUSE_NONE);
  for (uint32_t p = 0; p < PROBES; p++) {
    double before = 2;
    cr_assert_eq(lk_result_count(result, p), MANY);
    for (uint32_t i = 0; i < MANY; i++) {
      lk_candidate c = lk_result_candidate(result, p, i);
      double exact = cosine(probes + p * DIM, stored + c.found.number * DIM, DIM);
      cr_assert_leq(exact, before + 0x1p-24, "probe %u, rank %u", p, i);
      cr_assert_eq(c.score, (float)exact, "probe %u, rank %u: %a, not %a", p, i, (double)c.score, exact);
      before = exact;
    }
  }
  free(data);
  free(probes);
  free(stored);
  lk_gallery_close(gallery);
}

/* ---- segments of both versions ---- */

static int compare_hits(const void *a, const void *b) { return lk_hit_before(a, b) ? -1 : 1; }

static float fused(lk_fusion fusion, const float *probes, uint32_t count, const float *x, uint32_t dim) {
  float most = -INFINITY;
  double sum = 0;
  for (uint32_t p = 0; p < count; p++) {
    float score = lk_score(LK_COSINE, probes + p * dim, x, dim);
    most = fmaxf(most, score);
    sum += score;
  }
  return fusion == LK_FUSE_MEAN ? (float)(sum / count) + 0.0f : most;
}

/* List `list` of the result has the best of all rows for `count` probes. */
static void check_list(uint32_t list, const float *probes, uint32_t count, const float *rows, uint32_t rows_count,
                       uint32_t dim, uint32_t k, float threshold, lk_fusion fusion, const char *what) {
  lk_hit *want = malloc(rows_count * sizeof *want);
  uint32_t found = 0;
  for (uint32_t r = 0; r < rows_count; r++) {
    float score = fused(fusion, probes, count, rows + r * dim, dim);
    if (score >= threshold) want[found++] = (lk_hit){.number = r, .score = score};
  }
  qsort(want, found, sizeof *want, compare_hits);
  for (uint32_t i = 0; i < lk_result_count(result, list); i++) {
    lk_candidate c = lk_result_candidate(result, list, i);
    cr_assert(c.found.number == want[i].number && c.score == want[i].score,
              "%s, list %u, rank %u: %u (%a), not %u (%a)", what, list, i, (unsigned)c.found.number, (double)c.score,
              (unsigned)want[i].number, (double)want[i].score);
  }
  cr_assert_eq(lk_result_count(result, list), found < k ? found : k, "%s, list %u", what, list);
  free(want);
}

/* Just below the best of all fused scores: under a mean that is nearly nothing, not much above its rounding. */
static float high_threshold(const float *probes, uint32_t count, const float *rows, uint32_t rows_count, uint32_t dim) {
  float best = -INFINITY;
  for (uint32_t r = 0; r < rows_count; r++) best = fmaxf(best, fused(LK_FUSE_MEAN, probes, count, rows + r * dim, dim));
  return best > 0 ? best * 0.8f : best;
}

static void check_searches(lk_gallery *gallery, const float *probes, uint32_t count, const char *what) {
  uint32_t dim = gallery->manifest.dim, rows_count = (uint32_t)gallery->contents->catalog->rows;
  float *rows = stored_rows(gallery), threshold = lk_score(LK_COSINE, probes, rows, dim);
  search(gallery, probes, count, 10, -INFINITY, LK_FUSE_NONE);
  for (uint32_t p = 0; p < count; p++)
    check_list(p, probes + p * dim, 1, rows, rows_count, dim, 10, -INFINITY, LK_FUSE_NONE, what);
  search(gallery, probes, count, LK_K_ALL, threshold, LK_FUSE_NONE);
  for (uint32_t p = 0; p < count; p++)
    check_list(p, probes + p * dim, 1, rows, rows_count, dim, LK_K_ALL, threshold, LK_FUSE_NONE, what);
  threshold = high_threshold(probes, count, rows, rows_count, dim);
  search(gallery, probes, count, LK_K_ALL, threshold, LK_FUSE_MEAN);
  check_list(0, probes, count, rows, rows_count, dim, LK_K_ALL, threshold, LK_FUSE_MEAN, what);
  for (lk_fusion fusion = LK_FUSE_MAX; fusion <= LK_FUSE_MEAN; fusion++)
    for (uint32_t k = 10; k < rows_count; k = k * 2 + rows_count / 2) { /* the k-th score is above zero, and below */
      search(gallery, probes, count, k, -INFINITY, fusion);
      check_list(0, probes, count, rows, rows_count, dim, k, -INFINITY, fusion, what);
    }
  free(rows);
}

static void check_versions(uint32_t version, lk_store store, uint32_t dim) {
  enum { EACH = 700, PROBES = 5 };
  char name[32], what[64];
  lk_error error;
  snprintf(name, sizeof name, "v%u-%d-%u", version, (int)store, dim);
  snprintf(what, sizeof what, "version %u, store %d, dim %u", version, (int)store, dim);
  const char *folder = make_gallery(name, store, dim);
  random_state random = {dim};
  float *data = files_random(&random, EACH, dim), *probes = files_random(&random, PROBES, dim);
  for (uint32_t i = 0; i < EACH * dim; i++) data[i] *= 3;
  memcpy(probes, data, dim * sizeof *probes);
  files_enroll(folder, data, EACH, dim, NULL);
  older_rewrite(folder, version);
  for (int versions = 1; versions <= 2; versions++) {
    lk_gallery *gallery = open_loaded(folder);
    cr_assert_eq(lk_gallery_check(gallery, &error), LK_OK, "%s: %s", what, error.text);
    check_searches(gallery, probes, PROBES, what);
    cr_assert_eq(lk_gallery_load(gallery, device, &error), LK_OK, "once more: %s", error.text);
    lk_gallery_close(gallery);
    if (versions == 1) files_enroll(folder, data, EACH, dim, NULL);
  }
  free(data);
  free(probes);
}

Test(cosine, segments_of_all_versions_are_searched_alike) {
  static const uint32_t dims[] = {1, 2, 5, 64, 300};
  for (size_t d = 0; d < sizeof dims / sizeof dims[0]; d++)
    for (uint32_t version = 2; version <= 3; version++) {
      check_versions(version, LK_STORE_F32, dims[d]);
      check_versions(version, LK_STORE_F16, dims[d]);
    }
}

/* r(x) is computed from rows whose checksum nobody reads at load: a row of another length would make its bounds void.
 * Of several the first is named. */
Test(cosine, an_older_row_that_is_not_of_length_one_is_named) {
  enum { DIM = 6, BAD = 41, LATER = 57 };
  const char *folder = make_gallery("g", LK_STORE_F32, DIM);
  random_state random = {3};
  float *data = files_random(&random, ROWS, DIM), three = 3;
  size_t size;
  char path[PATH_MAX];
  lk_error error;
  files_enroll(folder, data, ROWS, DIM, NULL);
  older_rewrite(folder, 2);
  snprintf(path, sizeof path, "%s/segment-000001.lks", folder);
  char *image = files_read(path, &size);
  uint64_t offset = ((lk_segment_header *)image)->sections[LK_SECTION_EXACT].offset;
  memcpy(image + offset + BAD * DIM * sizeof(float), &three, sizeof three);
  memcpy(image + offset + LATER * DIM * sizeof(float), &three, sizeof three);
  files_write(path, image, size);
  lk_gallery *gallery = files_open(folder);
  cr_assert_eq(lk_gallery_load(gallery, device, &error), LK_ECORRUPT);
  cr_assert_not_null(strstr(error.text, "row 41: the vector is not of length 1"), "%s", error.text);
  lk_gallery_close(gallery);
  free(image);
  free(data);
}

/* ---- fusion ---- */

/* Probes that cancel out, or nearly, and probes of very different lengths. */
Test(cosine, the_mean_of_probes_that_cancel_out) {
  enum { MANY = 400, DIM = 12 };
  const char *folder = make_gallery("g", LK_STORE_F32, DIM);
  random_state random = {4};
  float *data = files_random(&random, MANY, DIM), probes[4 * DIM];
  files_enroll(folder, data, MANY, DIM, NULL);
  lk_gallery *gallery = open_loaded(folder);
  for (int round = 0; round < 12; round++) {
    for (int i = 0; i < DIM; i++) {
      float v = (float)random_normal(&random), w = (float)random_normal(&random);
      probes[i] = v, probes[DIM + i] = -ldexpf(v, 20);
      probes[2 * DIM + i] = round % 3 == 0 ? w : ldexpf(v, -9), probes[3 * DIM + i] = -w;
      if (round % 3 == 1) probes[3 * DIM + i] = -v + ldexpf(w, -round - 9);
      if (round % 3 == 2) probes[2 * DIM + i] = ldexpf(w, 30);
    }
    check_searches(gallery, probes, 4, "cancel");
  }
  free(data);
  lk_gallery_close(gallery);
}
