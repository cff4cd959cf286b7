/* Fused searches against the definition: every template's fused score, all of them sorted. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "index/formats/vector.h"
#include "index/gallery/gallery.h"
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

TestSuite(fuse, .init = setup, .fini = teardown);

/* How rows and probes are drawn. */
typedef enum drawn { NORMAL, LOGNORMAL, TIES, CLUSTER, FAR, OPPOSITE, KINDS } drawn;

enum { MOST_RUNS = 5, SUBJECTS = 40 };

typedef struct setting {
  lk_metric metric;
  lk_store store;
  drawn kind;
  uint32_t rows, dim, runs, probes_most;
  uint64_t seed;
} setting;

typedef struct world {
  setting s;
  float *rows, *probes;
  lk_vectors x, runs[MOST_RUNS];
  uint32_t subjects[8192];
  lk_gallery *gallery;
} world;

static void draw(random_state *random, drawn kind, const float *centre, uint32_t dim, float *v) {
  double size = kind == LOGNORMAL ? exp(2 * random_normal(random)) : 1;
  for (uint32_t i = 0; i < dim; i++) {
    double normal = random_normal(random);
    v[i] = kind == TIES      ? (float)random_below(random, 3) - (i > 0)
           : kind == CLUSTER ? (float)(centre[i] + 0x1p-9 * normal)
           : kind == FAR     ? (float)(1000 * centre[i] + normal)
                             : (float)(size * normal);
  }
  if (kind == TIES) v[0] = 1;
}

static void draw_probes(random_state *random, world *w, const float *centre) {
  uint32_t dim = w->s.dim, first = 0;
  w->probes = malloc((size_t)w->s.runs * w->s.probes_most * dim * sizeof *w->probes);
  for (uint32_t run = 0; run < w->s.runs; run++) {
    uint32_t count = 1 + random_below(random, w->s.probes_most);
    for (uint32_t p = 0; p < count; p++) {
      float *probe = w->probes + (size_t)(first + p) * dim;
      draw(random, w->s.kind, centre, dim, probe);
      if (random_one_in(random, 3))
        memcpy(probe, w->rows + (size_t)random_below(random, w->s.rows) * dim, dim * sizeof *probe);
      if (w->s.kind == OPPOSITE && p % 2 == 1)
        for (uint32_t i = 0; i < dim; i++) probe[i] = -probe[(ptrdiff_t)i - (ptrdiff_t)dim];
    }
    w->runs[run] = files_vectors(w->probes + (size_t)first * dim, count, dim);
    first += count;
  }
}

static world make(const setting *s) {
  world w = {.s = *s};
  random_state random = random_fork(s->seed, s->kind);
  static char names[8192][8];
  static lk_label labels[8192];
  float *centre = files_random(&random, 1, s->dim);
  w.rows = malloc((size_t)s->rows * s->dim * sizeof *w.rows);
  for (uint32_t r = 0; r < s->rows; r++) {
    draw(&random, s->kind, centre, s->dim, w.rows + (size_t)r * s->dim);
    w.subjects[r] = random_below(&random, SUBJECTS);
    snprintf(names[r], sizeof names[r], "s%u", w.subjects[r]);
    labels[r] = (lk_label){.subject = lk_text_of(names[r]), .tags = r};
  }
  draw_probes(&random, &w, centre);
  free(centre);
  char name[64];
  snprintf(name, sizeof name, "g-%d-%d-%d-%u", (int)s->metric, (int)s->store, (int)s->kind, (unsigned)s->seed);
  const char *folder = files_path(name);
  lk_gallery_options options = {.dim = s->dim, .metric = s->metric, .store = s->store};
  cr_assert_eq(lk_gallery_create(folder, &options, NULL), LK_OK);
  files_enroll(folder, w.rows, s->rows / 2, s->dim, labels);
  files_enroll(folder, w.rows + (size_t)(s->rows / 2) * s->dim, s->rows - s->rows / 2, s->dim, labels + s->rows / 2);
  w.gallery = files_open(folder);
  cr_assert_eq(lk_gallery_load(w.gallery, device, NULL), LK_OK);
  w.x = files_vectors(w.rows, s->rows, s->dim);
  return w;
}

static void unmake(world *w) {
  lk_gallery_close(w->gallery);
  free(w->rows);
  free(w->probes);
}

static float fused_score(const world *w, const lk_vectors *run, const float *x, lk_fusion fusion) {
  float q[LK_DIM_MAX], largest = -INFINITY;
  double sum = 0;
  for (uint64_t p = 0; p < run->rows; p++) {
    cr_assert_null(lk_vector_prepare(w->s.metric, run, p, q));
    float score = lk_score(w->s.metric, q, x, w->s.dim);
    largest = fmaxf(largest, score);
    sum += score;
  }
  return fusion == LK_FUSE_MAX ? largest : (float)(sum / (double)run->rows) + 0.0f;
}

static int compare_hits(const void *a, const void *b) { return lk_hit_before(a, b) ? -1 : 1; }

/* Returns how many; `hits` has room for all rows. */
static uint32_t rank(const world *w, const lk_query *query, const lk_vectors *run, lk_hit *hits) {
  float x[LK_DIM_MAX];
  bool taken[SUBJECTS] = {false};
  uint32_t found = 0, kept = 0;
  for (uint32_t r = 0; r < w->s.rows; r++) {
    if ((r & query->mask) != (query->tags & query->mask)) continue;
    lk_vector_prepare(w->s.metric, &w->x, r, x);
    lk_vector_round(w->s.metric, w->s.store, x, w->s.dim);
    lk_hit hit = {.number = r, .score = fused_score(w, run, x, query->fusion), .subject = w->subjects[r]};
    if (hit.score >= query->threshold) hits[found++] = hit;
  }
  qsort(hits, found, sizeof *hits, compare_hits);
  for (uint32_t i = 0; i < found && kept < query->k; i++) {
    if (query->by_subject && taken[hits[i].subject]) continue;
    taken[hits[i].subject] = true;
    hits[kept++] = hits[i];
  }
  return kept;
}

static void check(const world *w, lk_query query, lk_result *result) {
  lk_error error = {0};
  query.probes = w->runs;
  query.probes_count = w->s.runs;
  cr_assert_eq(lk_gallery_identify(w->gallery, &query, result, NULL, &error), LK_OK, "%s", error.text);
  lk_hit *want = malloc(w->s.rows * sizeof *want);
  for (uint32_t run = 0; run < w->s.runs; run++) {
    uint32_t count = rank(w, &query, &w->runs[run], want);
    cr_assert_eq(lk_result_count(result, run), count,
                 "metric %d store %d kind %d seed %u fusion %d k %u run %u: %u, not %u", (int)w->s.metric,
                 (int)w->s.store, (int)w->s.kind, (unsigned)w->s.seed, (int)query.fusion, query.k, run,
                 lk_result_count(result, run), count);
    for (uint32_t i = 0; i < count; i++) {
      lk_candidate c = lk_result_candidate(result, run, i);
      cr_assert(c.found.number == want[i].number && memcmp(&c.score, &want[i].score, sizeof c.score) == 0,
                "metric %d store %d kind %d seed %u fusion %d k %u run %u rank %u: %u (%a), not %u (%a)",
                (int)w->s.metric, (int)w->s.store, (int)w->s.kind, (unsigned)w->s.seed, (int)query.fusion, query.k, run,
                i, (unsigned)c.found.number, (double)c.score, (unsigned)want[i].number, (double)want[i].score);
    }
  }
  free(want);
}

static float some_score(const world *w, lk_fusion fusion) {
  float x[LK_DIM_MAX];
  lk_vector_prepare(w->s.metric, &w->x, w->s.rows / 3, x);
  lk_vector_round(w->s.metric, w->s.store, x, w->s.dim);
  return fused_score(w, &w->runs[0], x, fusion);
}

static void check_all(const setting *s) {
  world w = make(s);
  lk_result *result;
  cr_assert_eq(lk_result_open(&result, NULL), LK_OK);
  for (lk_fusion fusion = LK_FUSE_MAX; fusion <= LK_FUSE_MEAN; fusion++) {
    float threshold = some_score(&w, fusion);
    for (int by_subject = 0; by_subject < 2; by_subject++)
      for (uint32_t k = 1; k < 5000; k = k * 8 + 3) {
        lk_query query = {.fusion = fusion, .k = k, .by_subject = by_subject, .threshold = -INFINITY};
        check(&w, query, result);
        query.threshold = threshold;
        check(&w, query, result);
        query.mask = 3;
        check(&w, query, result);
      }
    check(&w, (lk_query){.fusion = fusion, .k = LK_K_ALL, .threshold = threshold}, result);
    check(&w, (lk_query){.fusion = fusion, .k = LK_K_ALL, .threshold = nextafterf(threshold, INFINITY)}, result);
  }
  lk_result_close(result);
  unmake(&w);
}

static void check_kind(drawn kind) {
  for (lk_metric metric = LK_COSINE; metric <= LK_L2; metric++)
    for (uint64_t seed = 0; seed < 6; seed++) {
      setting s = {.metric = metric,
                   .store = seed % 3 == 2 && kind != FAR ? LK_STORE_F16 : LK_STORE_F32,
                   .kind = kind,
                   .rows = 20 + 300 * (uint32_t)seed,
                   .dim = seed == 0 ? 1 : 3 + 9 * (uint32_t)seed,
                   .runs = 1 + seed % MOST_RUNS,
                   .probes_most = seed % 2 == 0 ? 2 : 9,
                   .seed = seed};
      check_all(&s);
    }
}

Test(fuse, normal) { check_kind(NORMAL); }
Test(fuse, lognormal) { check_kind(LOGNORMAL); }
Test(fuse, ties) { check_kind(TIES); }
Test(fuse, near_duplicates) { check_kind(CLUSTER); }
Test(fuse, far_from_the_origin) { check_kind(FAR); }
Test(fuse, probes_that_cancel) { check_kind(OPPOSITE); }

Test(fuse, what_cannot_be_fused) {
  const char *folder = files_gallery("g", LK_IP, 2);
  files_enroll(folder, (float[]){1, 2, 3, 4}, 2, 2, NULL);
  lk_gallery *gallery = files_open(folder);
  lk_result *result;
  lk_error error;
  cr_assert_eq(lk_gallery_load(gallery, device, NULL), LK_OK);
  cr_assert_eq(lk_result_open(&result, NULL), LK_OK);
  float *many = calloc(2 * (LK_FUSED_PROBES_MAX + 1), sizeof *many);
  lk_vectors runs[2] = {files_vectors(many, LK_FUSED_PROBES_MAX, 2), files_vectors(many, 0, 2)};
  lk_query query = {.probes = runs, .probes_count = 1, .fusion = LK_FUSE_MEAN, .k = 1, .threshold = -INFINITY};
  cr_assert_eq(lk_gallery_identify(gallery, &query, result, NULL, NULL), LK_OK);
  query.probes_count = 2;
  cr_assert_eq(lk_gallery_identify(gallery, &query, result, NULL, &error), LK_EINVAL);
  cr_assert_not_null(strstr(error.text, "0 probes; 1 to 4096 can be fused"), "%s", error.text);
  runs[1] = files_vectors(many, LK_FUSED_PROBES_MAX + 1, 2);
  cr_assert_eq(lk_gallery_identify(gallery, &query, result, NULL, &error), LK_EINVAL);
  query.fusion = (lk_fusion)3;
  cr_assert_eq(lk_gallery_identify(gallery, &query, result, NULL, &error), LK_EINVAL);
  free(many);
  lk_result_close(result);
  lk_gallery_close(gallery);
}
