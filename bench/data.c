#include "bench/data.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "bench/bench.h"
#include "index/formats/vector.h"
#include "kernels/codes.h"
#include "tests/support/random.h"

enum { PROTOTYPES = 7, FILE_PROBES_ONE_IN = 10 };
enum { SEED_ROWS = 1, SEED_PEOPLE, SEED_PROBES, SEED_PROTOTYPES };

static const struct {
  const char *name;
  uint32_t dim;
  lk_metric metric;
} kinds[DATA_KINDS] = {{"unit", 512, LK_COSINE}, {"face", 512, LK_COSINE},  {"text", 512, LK_COSINE},
                       {"sift", 128, LK_L2},     {"lognormal", 512, LK_IP}, {"near", 512, LK_COSINE}};

bool data_kind_find(const char *name, data_kind *kind) {
  for (*kind = 0; *kind < DATA_KINDS; (*kind)++)
    if (strcmp(name, kinds[*kind].name) == 0) return true;
  return false;
}

/* Cosines of different people in faces158 have a standard deviation of 0.085, as in 138 dimensions: variances that
 * fall by exp(-7.4) over 512 axes give that. Variances of SIFT descriptors fall about as 1 / (axis + 4)^1.5, to an
 * effective dimension of 21; one axis has 30^2 on average. */
static void make_spread(data *d) {
  double sum = 0;
  for (uint32_t i = 0; i < d->dim; i++) {
    d->spread[i] = d->kind == DATA_FACE ? exp(-7.4 * i / d->dim) : pow(i + 4, -1.5);
    sum += d->spread[i];
  }
  double total = d->kind == DATA_FACE ? 1 : 30.0 * 30.0 * d->dim;
  for (uint32_t i = 0; i < d->dim; i++) d->spread[i] = sqrt(d->spread[i] / sum * total);
}

static void open_file(data *d, const char *path) {
  lk_error error;
  if (lk_vector_file_open(path, LK_ROLE_TEMPLATES, &d->file, &error) != LK_OK) bench_fail(error.text);
  const char *slash = strrchr(path, '/');
  d->name = slash != NULL ? slash + 1 : path;
  d->dim = d->file.vectors.dim;
  d->most = (uint32_t)(d->file.vectors.rows - d->file.vectors.rows / FILE_PROBES_ONE_IN);
  if (d->file.vectors.rows < FILE_PROBES_ONE_IN) bench_fail("a file of fewer than ten rows has no probes");
}

data data_open(const data_recipe *recipe) {
  data d = {.kind = recipe->kind,
            .dim = recipe->dim != 0 ? recipe->dim : kinds[recipe->kind].dim,
            .metric = recipe->metric_given || recipe->file != NULL ? recipe->metric : kinds[recipe->kind].metric,
            .name = kinds[recipe->kind].name,
            .most = UINT32_MAX};
  if (recipe->file != NULL) open_file(&d, recipe->file);
  d.prototypes = bench_allocate((size_t)PROTOTYPES * d.dim, sizeof *d.prototypes);
  random_state random = random_fork(SEED_PROTOTYPES, d.kind);
  for (uint32_t i = 0; i < PROTOTYPES * d.dim; i++) d.prototypes[i] = (float)random_normal(&random);
  d.spread = bench_allocate(d.dim, sizeof *d.spread);
  make_spread(&d);
  return d;
}

void data_close(data *d) {
  if (d->file.map != NULL) lk_vector_file_close(&d->file);
  free(d->prototypes);
  free(d->spread);
}

/* v = base + size * noise; base may be NULL. */
static void fill_normal(random_state *random, uint32_t dim, const float *base, double size, float *v) {
  for (uint32_t i = 0; i < dim; i++) v[i] = (float)((base != NULL ? base[i] : 0) + size * random_normal(random));
}

/* Adds size * noise that is spread unevenly over mixed axes. */
static void add_spread(const data *d, random_state random, double size, float *v) {
  double noise[LK_DIM_MAX];
  for (uint32_t i = 0; i < d->dim; i++) noise[i] = size * d->spread[i] * random_normal(&random);
  lk_rotate(noise, d->dim);
  for (uint32_t i = 0; i < d->dim; i++) v[i] = (float)(v[i] + noise[i]);
}

static double length_of(const float *v, uint32_t dim) {
  double squares = 0;
  for (uint32_t i = 0; i < dim; i++) squares += (double)v[i] * v[i];
  return sqrt(squares);
}

static void scale_to(double length, float *v, uint32_t dim) {
  double factor = length / length_of(v, dim);
  for (uint32_t i = 0; i < dim; i++) v[i] = (float)(v[i] * factor);
}

/* SIFT descriptors have a length of 512 and are bytes. */
static void round_descriptor(float *v, uint32_t dim) {
  for (uint32_t i = 0; i < dim; i++) v[i] = fmaxf(v[i], 0);
  scale_to(512, v, dim);
  for (uint32_t i = 0; i < dim; i++) v[i] = fminf(nearbyintf(v[i]), 255);
}

/* What a vector of this kind and metric must be. */
static void shape(const data *d, float *v) {
  if (d->kind == DATA_SIFT && d->file.map == NULL) round_descriptor(v, d->dim);
  if (d->metric == LK_COSINE) scale_to(1, v, d->dim);
}

/* A person and a photograph; two photographs of one person have a cosine of about 1 / (1 + 0.68^2). */
static void draw_face(const data *d, uint64_t person, random_state photograph, float *out) {
  memset(out, 0, d->dim * sizeof *out);
  add_spread(d, random_fork(SEED_PEOPLE, person), 1, out);
  add_spread(d, photograph, 0.68, out);
}

static void draw(const data *d, uint64_t row, float *out) {
  random_state random = random_fork(SEED_ROWS, row);
  const float *prototype;
  switch (d->kind) {
    case DATA_FACE:
      draw_face(d, row / DATA_SUBJECT_ROWS, random, out);
      return;
    case DATA_TEXT:
      fill_normal(&random, d->dim, d->prototypes, sqrt(0.3 / 0.7), out);
      return;
    case DATA_SIFT:
      for (uint32_t i = 0; i < d->dim; i++) out[i] = 34 + 20 * d->prototypes[i];
      add_spread(d, random, 1, out);
      return;
    case DATA_LOGNORMAL:
      fill_normal(&random, d->dim, NULL, exp(random_normal(&random)), out);
      return;
    case DATA_NEAR:
      prototype = d->prototypes + (size_t)random_below(&random, PROTOTYPES) * d->dim;
      fill_normal(&random, d->dim, prototype, 0.125, out);
      return;
    default:
      fill_normal(&random, d->dim, NULL, 1, out);
  }
}

static void read_row(const data *d, uint64_t row, float *out) {
  if (lk_vector_prepare(d->metric, &d->file.vectors, row, out) != NULL) bench_fail("the file has a bad row");
}

void data_row(const data *d, uint64_t row, float *out) {
  if (d->file.map != NULL) {
    read_row(d, row + row / (FILE_PROBES_ONE_IN - 1), out);
    return;
  }
  draw(d, row, out);
  shape(d, out);
}

void data_probe(const data *d, uint32_t probe, uint32_t rows, float *out) {
  random_state random = random_fork(SEED_PROBES, probe);
  if (d->file.map != NULL) {
    uint64_t tenth = probe % (d->file.vectors.rows / FILE_PROBES_ONE_IN);
    read_row(d, tenth * FILE_PROBES_ONE_IN + FILE_PROBES_ONE_IN - 1, out);
  } else if (probe % 2 == 0) {
    data_row(d, (uint64_t)UINT32_MAX + probe, out);
  } else if (d->kind == DATA_FACE) {
    draw_face(d, random_below(&random, rows) / DATA_SUBJECT_ROWS, random, out);
    shape(d, out);
  } else {
    data_row(d, random_below(&random, rows), out);
    double size = 0.1 * length_of(out, d->dim) / sqrt(d->dim);
    fill_normal(&random, d->dim, out, size, out);
    shape(d, out);
  }
}
