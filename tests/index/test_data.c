/* Real data, with answers that were computed elsewhere. It is not part of the project: where it is not there, these
 * tests say so and are skipped. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <likeness/label_file.h>
#include <likeness/vector_file.h>
#include "base/text.h"
#include "index/evaluation/trials.h"
#include "index/gallery/gallery.h"
#include "tests/support/files.h"

TestSuite(data, .init = files_setup, .fini = files_teardown);

static lk_vector_file open_data(const char *name, char path[PATH_MAX]) {
  snprintf(path, PATH_MAX, "%s/%s", LIKENESS_DATA_DIR, name);
  if (access(path, R_OK) != 0) cr_skip_test("%s is not there", path);
  lk_vector_file file;
  lk_error error = {0};
  cr_assert_eq(lk_vector_file_open(path, LK_ROLE_TEMPLATES, &file, &error), LK_OK, "%s", error.text);
  return file;
}

static const char *enroll_data(lk_metric metric, const lk_vectors *vectors, const lk_label *labels) {
  const char *folder = files_gallery("g", metric, vectors->dim);
  lk_error error = {0};
  cr_assert_eq(lk_gallery_enroll(folder, vectors, labels, NULL, NULL, NULL, NULL, &error), LK_OK, "%s", error.text);
  return folder;
}

typedef struct loaded {
  lk_device *device;
  lk_gallery *gallery;
  lk_result *result;
} loaded;

static loaded load(const char *folder) {
  loaded l = {.gallery = files_open(folder)};
  cr_assert_eq(lk_device_open("cpu", 0, &l.device, NULL), LK_OK);
  cr_assert_eq(lk_gallery_load(l.gallery, l.device, NULL), LK_OK);
  cr_assert_eq(lk_result_open(&l.result, NULL), LK_OK);
  return l;
}

static void unload(loaded *l) {
  lk_result_close(l->result);
  lk_gallery_close(l->gallery);
  lk_device_close(l->device);
}

static void identify(loaded *l, const lk_vectors *probes, uint32_t k) {
  lk_query query = {.probes = probes, .probes_count = 1, .k = k, .threshold = -INFINITY};
  lk_error error = {0};
  cr_assert_eq(lk_gallery_identify(l->gallery, &query, l->result, NULL, &error), LK_OK, "%s", error.text);
}

enum { PEOPLE = 158, PHOTOGRAPHS = 10 };

/* Every tenth row from `first` on, or all but those, in memory of the caller's. */
static uint64_t pick(const lk_vector_file *file, bool firsts, const lk_label *from, float *data, lk_label *labels) {
  uint64_t picked = 0, dim = file->vectors.dim;
  for (uint64_t r = 0; r < file->vectors.rows; r++) {
    if ((r % PHOTOGRAPHS == 0) != firsts) continue;
    memcpy(data + picked * dim, (const char *)file->vectors.data + r * dim * sizeof *data, dim * sizeof *data);
    labels[picked++] = from[r];
  }
  return picked;
}

Test(data, faces_rank_1_is_right_for_1418_of_1422) {
  char path[PATH_MAX], csv[PATH_MAX];
  lk_vector_file file = open_data("faces158.npy", path);
  snprintf(csv, sizeof csv, "%s/faces158.csv", LIKENESS_DATA_DIR);
  lk_label_file labels;
  lk_error error = {0};
  uint64_t rows = file.vectors.rows;
  cr_assert(rows == PEOPLE * PHOTOGRAPHS && file.vectors.dim == 512);
  cr_assert_eq(lk_label_file_open(csv, NULL, rows, &labels, &error), LK_OK, "%s", error.text);
  float *data = malloc(rows * 512 * sizeof *data);
  lk_label *of_row = malloc(rows * sizeof *of_row);

  cr_assert_eq(pick(&file, true, labels.of_row, data, of_row), PEOPLE);
  lk_vectors enrolled = files_vectors(data, PEOPLE, 512);
  loaded l = load(enroll_data(LK_COSINE, &enrolled, of_row));
  uint64_t probes_count = pick(&file, false, labels.of_row, data, of_row);
  cr_assert_eq(probes_count, 1422);
  lk_vectors probes = files_vectors(data, probes_count, 512);
  identify(&l, &probes, 10);
  uint32_t right = 0;
  for (uint32_t p = 0; p < probes_count; p++)
    right += lk_text_equal(lk_result_candidate(l.result, p, 0).found.subject, of_row[p].subject);
  cr_assert_eq(right, 1418);
  unload(&l);
  free(data);
  free(of_row);
  lk_label_file_close(&labels);
  lk_vector_file_close(&file);
}

/* Counts that were computed elsewhere: overall, and of the groups F and M. */
typedef struct known {
  float threshold;
  uint64_t fpir[3], fnir[3];
} known;

static void check_rates(const lk_trials *trials, const known *wanted) {
  static const uint32_t groups[3] = {LK_GROUP_ALL, 0, 1};
  static const uint64_t non_mated[3] = {790, 180, 610}, mated[3] = {711, 126, 585};
  for (int i = 0; i < 3; i++) {
    lk_rate fpir = lk_trials_fpir(trials, groups[i], wanted->threshold);
    lk_rate fnir = lk_trials_fnir(trials, groups[i], wanted->threshold, 1);
    cr_assert(fpir.of == non_mated[i] && fnir.of == mated[i]);
    cr_assert(fpir.count == wanted->fpir[i] && fnir.count == wanted->fnir[i], "at %g, group %d: %d and %d",
              (double)wanted->threshold, i, (int)fpir.count, (int)fnir.count);
  }
}

/* The first photographs of the first half of the people, against all other photographs. */
Test(data, faces_error_rates_as_known) {
  static const known wanted[] = {
      {0.30F, {61, 2, 59}, {1, 1, 0}}, {0.36F, {11, 1, 10}, {5, 5, 0}}, {0.40F, {3, 0, 3}, {10, 9, 1}}};
  enum { ENROLLED = PEOPLE / 2 };
  char path[PATH_MAX], csv[PATH_MAX];
  lk_vector_file file = open_data("faces158.npy", path);
  snprintf(csv, sizeof csv, "%s/faces158.csv", LIKENESS_DATA_DIR);
  lk_label_file labels;
  lk_error error = {0};
  cr_assert_eq(lk_label_file_open(csv, NULL, file.vectors.rows, &labels, &error), LK_OK, "%s", error.text);
  float *data = malloc(file.vectors.rows * 512 * sizeof *data);
  lk_label *of_row = malloc(file.vectors.rows * sizeof *of_row);
  pick(&file, true, labels.of_row, data, of_row);
  lk_vectors enrolled = files_vectors(data, ENROLLED, 512);
  loaded l = load(enroll_data(LK_COSINE, &enrolled, of_row));

  uint64_t count = pick(&file, false, labels.of_row, data, of_row);
  for (uint64_t r = ENROLLED * PHOTOGRAPHS; r < file.vectors.rows; r += PHOTOGRAPHS) {
    memcpy(data + count * 512, (const float *)file.vectors.data + r * 512, 512 * sizeof *data);
    of_row[count++] = labels.of_row[r];
  }
  cr_assert_eq(count, 1501);
  lk_vectors probes = files_vectors(data, count, 512);
  lk_label_file probe_labels = {.of_row = of_row, .rows = count};
  lk_trials trials;
  cr_assert_eq(lk_trials_open(csv, &probe_labels, &trials, &error), LK_OK, "%s", error.text);
  cr_assert_eq(lk_trials_search(l.gallery, &probes, &probe_labels, 10, NULL, NULL, NULL, &trials, &error), LK_OK, "%s",
               error.text);
  cr_assert_eq(trials.groups_count, 2);
  for (int i = 0; i < 3; i++) check_rates(&trials, &wanted[i]);
  lk_trials_close(&trials);
  unload(&l);
  free(data);
  free(of_row);
  lk_label_file_close(&labels);
  lk_vector_file_close(&file);
}

typedef struct near {
  double distance;
  uint32_t row;
} near;

static int compare_near(const void *a, const void *b) {
  const near *x = a, *y = b;
  if (x->distance != y->distance) return x->distance < y->distance ? -1 : 1;
  return x->row < y->row ? -1 : x->row > y->row;
}

#ifdef __SANITIZE_THREAD__
enum { PART = 50 }; /* of the probes: what is slow there is the brute force */
#else
enum { PART = 1 };
#endif

/* Squared distances of bytes are whole numbers that a float holds: the scores must be them, to the last bit. */
Test(data, sift_every_row_against_brute_force) {
  enum { K = 100 };
  char path[PATH_MAX];
  lk_vector_file file = open_data("sift5k.npy", path);
  const lk_vectors *v = &file.vectors;
  const uint8_t *bytes = v->data;
  loaded l = load(enroll_data(LK_L2, v, NULL));
  lk_vectors probes = *v;
  probes.rows /= PART;
  identify(&l, &probes, K);
  near *all = malloc(v->rows * sizeof *all);
  for (uint32_t p = 0; p < probes.rows; p++) {
    for (uint32_t r = 0; r < v->rows; r++) {
      double sum = 0;
      for (uint32_t i = 0; i < v->dim; i++) {
        double d = (double)bytes[(size_t)p * v->dim + i] - bytes[(size_t)r * v->dim + i];
        sum += d * d;
      }
      all[r] = (near){.distance = sum, .row = r};
    }
    qsort(all, v->rows, sizeof *all, compare_near);
    cr_assert_eq(lk_result_count(l.result, p), K);
    for (uint32_t rank = 0; rank < K; rank++) {
      lk_candidate c = lk_result_candidate(l.result, p, rank);
      if (c.found.number != all[rank].row || c.score != -all[rank].distance)
        cr_assert(false, "probe %u, rank %u: %u at %g, not %u at %g", p, rank, (unsigned)c.found.number,
                  (double)c.score, all[rank].row, -all[rank].distance);
    }
  }
  free(all);
  unload(&l);
  lk_vector_file_close(&file);
}

Test(data, degenerate_rows_are_refused_under_cosine) {
  char path[PATH_MAX];
  lk_vector_file file = open_data("degenerate4400x50.npy", path);
  const char *folder = files_gallery("g", LK_COSINE, 50);
  uint64_t before = files_digest(folder), bad = 0, first = 0;
  for (uint64_t r = file.vectors.rows; r-- > 0;) {
    double largest = 0, x;
    for (uint32_t i = 0; i < 50; i++) {
      memcpy(&x, (const char *)file.vectors.data + (r * 50 + i) * sizeof x, sizeof x);
      if (fabs(x) > largest) largest = fabs(x);
    }
    if (largest > 0) continue;
    bad++;
    first = r;
  }
  cr_assert_eq(bad, 773);
  lk_error error;
  cr_assert_eq(lk_gallery_enroll(folder, &file.vectors, NULL, NULL, NULL, NULL, NULL, &error), LK_EBADPROBE);
  char wanted[128];
  snprintf(wanted, sizeof wanted, "773 of 4400 rows cannot be enrolled: row %u is all zeros; row ", (unsigned)first);
  cr_assert_not_null(strstr(error.text, wanted), "%s", error.text);
  cr_assert_not_null(strstr(error.text, path), "%s", error.text);
  cr_assert_eq(files_digest(folder), before);
  lk_vector_file_close(&file);
}

static int compare_hits(const void *a, const void *b) { return lk_hit_before(a, b) ? -1 : 1; }

Test(data, degenerate_rows_under_l2) {
  enum { K = 40, DIM = 50 };
  char path[PATH_MAX];
  lk_vector_file file = open_data("degenerate4400x50.npy", path);
  uint32_t rows = (uint32_t)file.vectors.rows;
  float *data = malloc((size_t)rows * DIM * sizeof *data);
  for (size_t i = 0; i < (size_t)rows * DIM; i++) {
    double x;
    memcpy(&x, (const char *)file.vectors.data + i * sizeof x, sizeof x);
    data[i] = (float)x;
  }
  loaded l = load(enroll_data(LK_L2, &file.vectors, NULL));
  lk_vectors probes = file.vectors;
  probes.rows /= PART;
  identify(&l, &probes, K);
  lk_hit *all = malloc(rows * sizeof *all);
  for (uint32_t p = 0; p < probes.rows; p += 11) {
    for (uint32_t r = 0; r < rows; r++)
      all[r] = (lk_hit){.number = r, .score = lk_score(LK_L2, data + (size_t)p * DIM, data + (size_t)r * DIM, DIM)};
    qsort(all, rows, sizeof *all, compare_hits);
    for (uint32_t rank = 0; rank < K; rank++) {
      lk_candidate c = lk_result_candidate(l.result, p, rank);
      if (c.found.number != all[rank].number || c.score != all[rank].score)
        cr_assert(false, "probe %u, rank %u: %u, not %u", p, rank, (unsigned)c.found.number,
                  (unsigned)all[rank].number);
    }
  }
  free(all);
  free(data);
  unload(&l);
  lk_vector_file_close(&file);
}
