/* The codes, and the theorem of kernels/bound.h itself: whatever row scores at least a bar passes both tests
 * under that bar. The bars are the rows' own scores, so that a rounding left out of the certificate shows. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/bound.h"
#include "tests/support/corpus.h"

static const int limits[] = {LK_CODE_MAX, 64}; /* what the kernels allow a probe's codes */

static void *must(void *memory) {
  cr_assert_not_null(memory);
  return memory;
}

static double dot_of(const double *a, const double *b, uint32_t dim) {
  double sum = 0;
  for (uint32_t i = 0; i < dim; i++) sum += a[i] * b[i];
  return sum;
}

/* ---- rotation and codes ---- */

Test(codes, rotation_is_orthogonal) {
  random_state random = {1};
  static double a[LK_DIM_MAX], b[LK_DIM_MAX];
  for (uint32_t dim = 1; dim <= LK_DIM_MAX; dim += 1 + dim / 20) {
    for (uint32_t i = 0; i < dim; i++) a[i] = random_normal(&random), b[i] = random_normal(&random);
    double aa = dot_of(a, a, dim), bb = dot_of(b, b, dim), ab = dot_of(a, b, dim), slack = 1e-12 * sqrt(aa * bb);
    lk_rotate(a, dim);
    lk_rotate(b, dim);
    cr_assert_float_eq(dot_of(a, a, dim), aa, 1e-12 * aa);
    cr_assert_float_eq(dot_of(a, b, dim), ab, slack, "dim %u", dim);
  }
}

/* Part of the file format. */
Test(codes, rotation_never_changes) {
  static const double want[6] = {1, -5, -6.5, 1.5, 4.5, 0.5};
  double v[6] = {1, 2, 3, 4, 5, 6};
  lk_rotate(v, 6);
  for (int i = 0; i < 6; i++) cr_assert_eq(v[i], want[i], "element %d is %.17g", i, v[i]);
}

Test(codes, rotation_spreads_one_element) {
  static double v[512];
  v[77] = 1;
  lk_rotate(v, 512);
  for (int i = 0; i < 512; i++) cr_assert_float_eq(fabs(v[i]), 1 / sqrt(512), 1e-15);
}

static void check_lengths(const corpus *data, const lk_block *block) {
  uint32_t dim = data->shape.dim;
  const float *exact = block->exact;
  double *y = must(malloc(dim * sizeof *y));
  for (uint32_t r = 0; r < block->rows; r++) {
    const lk_tile *tile = &block->tiles[r / LK_TILE_ROWS];
    double lost = 0;
    for (uint32_t i = 0; i < dim; i++) y[i] = (double)exact[(size_t)r * dim + i] - (double)block->mean[i];
    double norm = sqrt(dot_of(y, y, dim));
    lk_rotate(y, dim);
    for (uint32_t i = 0; i < dim; i++) {
      double difference = y[i] - (double)tile->scale * block->codes[(size_t)r * dim + i];
      lost += difference * difference;
    }
    cr_assert(block->bounds[r].norm >= norm && block->bounds[r].residual >= sqrt(lost));
    if (!lk_row_fits(tile, &block->bounds[r])) continue;
    cr_assert(tile->norm_max >= norm && tile->norm_min <= norm * (1 + LK_SQUARES_ERROR));
    cr_assert_leq(block->bounds[r].residual, tile->scale * sqrt(dim) / 2 * 1.001 + norm * 0x1p-20, "loose");
  }
  free(y);
}

Test(codes, lengths_are_bounds) {
  for (int kind = 0; kind < CORPUS_KINDS; kind++)
    for (uint32_t dim = 1; dim <= LK_DIM_MAX; dim = dim * 5 / 2 + 1) {
      corpus_recipe recipe = {
          .metric = LK_L2, .kind = (corpus_kind)kind, .dim = dim, .rows = 300, .blocks = 1, .seed = dim};
      corpus data = corpus_make(&recipe);
      check_lengths(&data, &data.blocks[0]);
      corpus_free(&data);
    }
}

/* ---- the theorem ---- */

/* One probe, coded. */
struct coded {
  lk_probe_bound bound;
  int8_t code[LK_DIM_MAX];
  float rotated[LK_DIM_MAX];
};

static int32_t product_of(const int8_t *a, const int8_t *b, uint32_t dim) {
  int32_t sum = 0;
  for (uint32_t i = 0; i < dim; i++) sum += a[i] * b[i];
  return sum;
}

#define DOTS 4

/* A product summed in float, in one of several orders, with and without fma: the theorem is true for all of them. */
static float float_dot(const float *p, const float *y, uint32_t dim, uint32_t order) {
  float sum[8] = {0};
  uint32_t lanes = order % 2 == 0 ? 1 : 8;
  for (uint32_t j = 0; j < dim; j++) {
    uint32_t i = order < 2 ? j : dim - 1 - j;
    float *lane = &sum[i % lanes];
    *lane = order == 3 ? fmaf(p[i], y[i], *lane) : *lane + p[i] * y[i];
  }
  return ((sum[0] + sum[1]) + (sum[2] + sum[3])) + ((sum[4] + sum[5]) + (sum[6] + sum[7]));
}

struct comparison {
  lk_metric metric;
  uint32_t dim;
  const struct coded *probe;
  const lk_tile *tile;
  const lk_row_bound *bound;
  const int8_t *code;
  const float *mean;
  const char *what;
};

/* Elements as the theorem has them: of a vector of length 1 under cosine. */
static void scale(lk_metric metric, const float *v, uint32_t dim, double *out) {
  double reciprocal = lk_score_reciprocal(metric, v, dim);
  for (uint32_t i = 0; i < dim; i++) out[i] = v[i] * reciprocal;
}

/* The products that a search may see of one pair. */
struct products {
  int32_t acc;
  float coded[DOTS];    /* of float probe and code */
  float in_float[DOTS]; /* of centred vectors */
};

static void check_bar(const struct comparison *c, float score, const struct products *products, float bar) {
  const lk_probe_bound *probe = &c->probe->bound;
  int32_t threshold = lk_bound_threshold(c->metric, probe, c->tile, bar);
  cr_assert(!lk_row_fits(c->tile, c->bound) || products->acc >= threshold,
            "%s: metric %d dim %u: a row that scores %a is lost under the bar %a: %d below %d", c->what, (int)c->metric,
            c->dim, (double)score, (double)bar, products->acc, threshold);
  for (uint32_t i = 0; i < DOTS; i++) {
    cr_assert(lk_bound_reaches(c->metric, c->dim, probe, c->tile, c->bound, bar, products->coded[i]),
              "%s: metric %d dim %u: a row that scores %a is rescreened away under the bar %a (dot %a)", c->what,
              (int)c->metric, c->dim, (double)score, (double)bar, (double)products->coded[i]);
    uint32_t terms = i % 2 == 0 ? c->dim : (c->dim + 7) / 8;
    float in_float = lk_bound_float(c->metric, terms, probe, lk_bound_shortest(c->bound), c->bound->norm, bar);
    cr_assert(products->in_float[i] >= in_float, "%s: metric %d dim %u: a row that scores %a is lost, %a below %a",
              c->what, (int)c->metric, c->dim, (double)score, (double)products->in_float[i], (double)in_float);
  }
}

static struct products multiply(const struct comparison *c, const float *q, const float *x) {
  static float code[LK_DIM_MAX], p[LK_DIM_MAX], y[LK_DIM_MAX];
  static double unit_q[LK_DIM_MAX], unit_x[LK_DIM_MAX];
  scale(c->metric, q, c->dim, unit_q);
  scale(c->metric, x, c->dim, unit_x);
  struct products made = {.acc = product_of(c->probe->code, c->code, c->dim)};
  for (uint32_t i = 0; i < c->dim; i++) {
    code[i] = c->code[i];
    p[i] = c->metric == LK_L2 ? q[i] - c->mean[i] : (float)unit_q[i];
    y[i] = c->metric == LK_COSINE ? (float)(unit_x[i] - (double)c->mean[i]) : x[i] - c->mean[i];
  }
  for (uint32_t i = 0; i < DOTS; i++) {
    made.coded[i] = float_dot(c->probe->rotated, code, c->dim, i);
    made.in_float[i] = float_dot(p, y, c->dim, i);
  }
  return made;
}

static void check_row(const struct comparison *c, const float *q, const float *x) {
  float score = lk_score(c->metric, q, x, c->dim);
  struct products products = multiply(c, q, x);
  check_bar(c, score, &products, score);
  check_bar(c, score, &products, nextafterf(score, -INFINITY));
  check_bar(c, score, &products, (float)(score - fabs(score) * 0.01));
  check_bar(c, score, &products, -INFINITY);
  for (uint32_t i = 0; i < DOTS; i++)
    cr_assert(lk_bound_allows(c->metric, c->dim, &c->probe->bound, c->tile, c->bound, score, products.coded[i]),
              "%s: metric %d dim %u: the score %a counts as damage (dot %a)", c->what, (int)c->metric, c->dim,
              (double)score, (double)products.coded[i]);
}

static void code_probe(lk_metric metric, const float *q, uint32_t dim, const float *mean, int limit,
                       struct coded *probe) {
  static double work[LK_DIM_MAX];
  lk_codes_probe(metric, q, lk_score_reciprocal(metric, q, dim), dim, mean, limit, work, probe->code, probe->rotated,
                 &probe->bound);
}

static void check_one_side(lk_metric metric, const char *what, const float *q, uint32_t probes, const float *x,
                           uint32_t rows, uint32_t dim, const float *mean) {
  static double work[LK_DIM_MAX];
  static int8_t code[LK_DIM_MAX];
  static struct coded probe;
  for (uint32_t p = 0; p < probes * 2; p++) {
    code_probe(metric, q + (size_t)(p / 2) * dim, dim, mean, limits[p % 2], &probe);
    for (uint32_t r = 0; r < rows * 2; r++) {
      const float *row = x + (size_t)(r / 2) * dim;
      bool stored = r % 2 == 1;
      double reciprocal = lk_score_reciprocal(metric, row, dim);
      lk_tile tile;
      lk_row_bound bound;
      lk_codes_tile(row, metric == LK_COSINE && !stored ? &reciprocal : NULL, 1, dim, mean, work, code, &tile, &bound);
      if (metric == LK_COSINE && stored) lk_codes_widen(&reciprocal, 1, &tile, &bound);
      struct comparison c = {metric, dim, &probe, &tile, &bound, code, mean, what};
      check_row(&c, q + (size_t)(p / 2) * dim, row);
    }
  }
}

/* Rows in a tile each, under cosine coded in both ways, where the bound is tightest, against each probe and, for
 * products, against its negative: what makes a score round up makes that one round down. */
static void check_alone(lk_metric metric, const char *what, const float *q, uint32_t probes, const float *x,
                        uint32_t rows, uint32_t dim, const float *mean) {
  check_one_side(metric, what, q, probes, x, rows, dim, mean);
  if (metric == LK_L2) return;
  float *negative = must(malloc((size_t)probes * dim * sizeof *negative));
  for (size_t i = 0; i < (size_t)probes * dim; i++) negative[i] = -q[i];
  check_one_side(metric, what, negative, probes, x, rows, dim, mean);
  free(negative);
}

/* Every row of a corpus in the tiles it has. */
static void check_corpus(const corpus *data, const char *what) {
  static struct coded probe;
  uint32_t dim = data->shape.dim;
  for (uint32_t p = 0; p < data->probes_count * 2; p++)
    for (uint32_t b = 0; b < data->blocks_count; b++) {
      const lk_block *block = &data->blocks[b];
      const float *q = data->probes + (size_t)(p / 2) * dim;
      code_probe(data->shape.metric, q, dim, block->mean, limits[p % 2], &probe);
      for (uint32_t r = 0; r < block->rows; r++) {
        struct comparison c = {data->shape.metric,
                               dim,
                               &probe,
                               &block->tiles[r / LK_TILE_ROWS],
                               &block->bounds[r],
                               block->codes + (size_t)r * dim,
                               block->mean,
                               what};
        check_row(&c, q, (const float *)block->exact + (size_t)r * dim);
      }
    }
}

static void check_kind(corpus_kind kind, uint32_t dim, uint32_t rows, uint64_t seed) {
  for (int metric = LK_COSINE; metric <= LK_L2; metric++)
    for (int means = 0; means < MEANS_COUNT; means++) {
      corpus_recipe recipe = {.metric = (lk_metric)metric,
                              .kind = kind,
                              .dim = dim,
                              .rows = rows,
                              .blocks = 2,
                              .probes = 6,
                              .means = (corpus_means)means,
                              .coding = (corpus_coding)(means % CODING_COUNT),
                              .seed = seed};
      corpus data = corpus_make(&recipe);
      check_corpus(&data, corpus_kind_name(kind));
      check_alone((lk_metric)metric, corpus_kind_name(kind), data.probes, data.probes_count, data.exact,
                  rows < 20 ? rows : 20, dim, data.means);
      corpus_free(&data);
    }
}

Test(codes, theorem_holds_at_round_dimensions) {
  static const uint32_t dims[] = {1, 4, 16, 64, 256, 1024};
  for (int kind = 0; kind < CORPUS_KINDS; kind++)
    for (size_t d = 0; d < sizeof dims / sizeof dims[0]; d++)
      check_kind((corpus_kind)kind, dims[d], 20 + 8000 / dims[d] % 300, d);
}

Test(codes, theorem_holds_at_odd_dimensions) {
  random_state random = {9};
  for (int kind = 0; kind < CORPUS_KINDS; kind++)
    for (int i = 0; i < 6; i++)
      check_kind((corpus_kind)kind, random_log_uniform(&random, 1, 1500), 40, random_bits(&random));
}

/* ---- adversaries: rows for which one term of the certificate is all that keeps them ---- */

/* v = transposed rotation of y. Exact where y is of few bits and the dimension is a power of four. */
static void rotate_back(const double *y, uint32_t dim, float *v) {
  double *column = must(malloc(dim * sizeof *column));
  for (uint32_t i = 0; i < dim; i++) {
    memset(column, 0, dim * sizeof *column);
    column[i] = 1;
    lk_rotate(column, dim);
    v[i] = (float)dot_of(column, y, dim);
  }
  free(column);
}

/* Codes of both that lose nothing, and a product of 25 bits, so that a score may round up to a bar that the exact sum
 * does not reach. */
Test(codes, a_score_that_rounds_up_to_the_bar) {
  enum { DIM = 1024, PAIRS = 24 };
  static double y[DIM], p[DIM];
  static float x[DIM], q[DIM], mean[DIM];
  random_state random = {11};
  for (int pair = 0; pair < PAIRS; pair++) {
    for (int i = 0; i < DIM; i++) {
      y[i] = i == 0 ? 127 : 1 + random_below(&random, 127);
      p[i] = i == 0 ? 64 : 1 + random_below(&random, 64);
      if (random_one_in(&random, 2)) y[i] = -y[i], p[i] = -p[i];
      y[i] *= 9; /* a scale that is no power of two: more bits */
      p[i] *= 11;
    }
    rotate_back(y, DIM, x);
    rotate_back(p, DIM, q);
    check_alone(LK_IP, "rounds up", q, 1, x, 1, DIM, mean);
  }
}

/* The row loses a part along the probe's code, the probe loses nothing, and the score is nearly zero: the row's product
 * of codes lies exactly |q^||r_x| below it. */
Test(codes, a_residual_along_the_probe) {
  enum { DIM = 64, PAIRS = 400 };
  static double y[DIM], p[DIM];
  static float x[DIM], q[DIM], mean[DIM];
  random_state random = {12};
  for (int pair = 0; pair < PAIRS; pair++) {
    double product = 0, squares = 0;
    for (int i = 0; i < DIM; i++) {
      p[i] = (int)random_below(&random, 129) - 64;
      y[i] = 0;
      squares += p[i] * p[i];
    }
    squares -= p[0] * p[0] + p[1] * p[1] + p[2] * p[2];
    p[0] = 0, p[1] = 64, p[2] = 1;
    squares += 64 * 64 + 1;
    y[0] = 127;
    int target = -(int)(squares / 256); /* so that p.(y + p/256) is between 0 and 1 */
    y[1] = target / 64;
    y[2] = target % 64;
    for (int i = 0; i < DIM; i++) {
      product += p[i] * y[i];
      y[i] += p[i] / 256;
    }
    cr_assert_eq(product, target);
    rotate_back(y, DIM, x);
    rotate_back(p, DIM, q);
    check_alone(LK_IP, "residual along the probe", q, 1, x, 1, DIM, mean);
    check_alone(LK_IP, "residual along the row", x, 1, q, 1, DIM, mean);
  }
}

/* The rotation rounds the small element away, and the score is that element: only the terms for the rotation's
 * and the score's own rounding keep the row. */
Test(codes, an_element_that_the_rotation_absorbs) {
  static float x[16], q[16], mean[16];
  for (int peak = 40; peak <= 70; peak++)
    for (int sign = -1; sign <= 1; sign += 2) {
      x[3] = ldexpf(127, peak - 30);
      x[7] = (float)sign * 0x1p-37f;
      q[7] = (float)sign;
      check_alone(LK_IP, "absorbed", q, 1, x, 1, 16, mean);
      check_alone(LK_L2, "absorbed", q, 1, x, 1, 16, mean);
      check_alone(LK_IP, "absorbed", x, 1, q, 1, 16, mean);
    }
}

/* Large terms cancel in the score's lanes, so its double sum is off by far more than its own last place. Every other
 * row is its own mean: then nothing but the slack of the offset keeps it. */
Test(codes, a_score_of_cancelled_terms) {
  enum { DIM = 128, PAIRS = 300 };
  static float x[DIM], q[DIM], mean[DIM];
  random_state random = {13};
  for (int pair = 0; pair < PAIRS; pair++) {
    double left = pair % 4 < 2 ? 0 : 0x1p-22;
    for (int i = 0; i < DIM / 2; i++) {
      x[i] = x[i + DIM / 2] = (float)ldexp(random_normal(&random), 20);
      q[i] = (float)ldexp(random_normal(&random), 20);
      q[i + DIM / 2] = (float)(-q[i] * (1 + left * random_below(&random, 3)));
    }
    for (int i = 0; i < DIM; i++) mean[i] = pair % 2 == 0 ? 0 : x[i];
    check_alone(LK_IP, "cancelled", q, 1, x, 1, DIM, mean);
    check_alone(LK_L2, "cancelled", q, 1, x, 1, DIM, mean);
  }
}

Test(codes, thresholds_saturate) {
  float x[4] = {1, 2, 3, 4}, mean[4] = {0}, rotated[4];
  double work[4];
  int8_t code[4], probe_code[4];
  lk_tile tile;
  lk_row_bound row;
  lk_probe_bound probe;
  lk_codes_tile(x, NULL, 1, 4, mean, work, code, &tile, &row);
  lk_codes_probe(LK_IP, x, 1, 4, mean, LK_CODE_MAX, work, probe_code, rotated, &probe);
  cr_assert_eq(lk_bound_threshold(LK_IP, &probe, &tile, -INFINITY), INT32_MIN);
  cr_assert_eq(lk_bound_threshold(LK_IP, &probe, &tile, -0x1p127f), INT32_MIN);
  cr_assert_eq(lk_bound_threshold(LK_IP, &probe, &tile, 0x1p127f), INT32_MAX);
  cr_assert_eq(lk_bound_threshold(LK_IP, &probe, &tile, INFINITY), INT32_MAX);
  cr_assert(lk_bound_reaches(LK_IP, 4, &probe, &tile, &row, -INFINITY, -0x1p100f));
  cr_assert(!lk_bound_reaches(LK_IP, 4, &probe, &tile, &row, 0x1p127f, 1));
}

/* Scores of other rows, which is what a row that was written over has. */
Test(codes, a_score_of_another_row_is_not_allowed) {
  for (int metric = LK_COSINE; metric <= LK_L2; metric++) {
    corpus_recipe recipe = {
        .metric = (lk_metric)metric, .kind = CORPUS_NORMAL, .dim = 128, .rows = 256, .blocks = 1, .probes = 1};
    corpus data = corpus_make(&recipe);
    const lk_block *block = &data.blocks[0];
    static struct coded probe;
    uint32_t above = 0, below = 0, refused_above = 0, refused_below = 0;
    code_probe((lk_metric)metric, data.probes, 128, block->mean, LK_CODE_MAX, &probe);
    for (uint32_t r = 0; r < 256; r++) {
      const float *x = block->exact, *other = x + (size_t)((r + 1) % 256) * 128;
      struct comparison c = {(lk_metric)metric,      128,         &probe,     block->tiles, &block->bounds[r],
                             block->codes + r * 128, block->mean, "other row"};
      struct products products = multiply(&c, data.probes, x + (size_t)r * 128);
      float own = lk_score((lk_metric)metric, data.probes, x + (size_t)r * 128, 128);
      float score = lk_score((lk_metric)metric, data.probes, other, 128);
      bool allowed = lk_bound_allows((lk_metric)metric, 128, &probe.bound, block->tiles, &block->bounds[r], score,
                                     products.coded[0]);
      above += score > own, below += score < own;
      refused_above += !allowed && score > own, refused_below += !allowed && score < own;
    }
    cr_assert(refused_above > above * 9 / 10 && refused_below > below * 9 / 10, "metric %d: %u of %u, %u of %u", metric,
              refused_above, above, refused_below, below);
    cr_assert(!lk_bound_allows((lk_metric)metric, 128, &probe.bound, block->tiles, block->bounds, NAN, 0));
    cr_assert(!lk_bound_allows((lk_metric)metric, 128, &probe.bound, block->tiles, block->bounds, INFINITY, 0));
    cr_assert(!lk_bound_allows((lk_metric)metric, 128, &probe.bound, block->tiles, block->bounds, -INFINITY, 0));
    corpus_free(&data);
  }
}

/* A certificate that passes everything would prove nothing: the slack must stay near what the codes lose. */
Test(codes, the_bound_is_tight) {
  corpus_recipe recipe = {
      .metric = LK_COSINE, .kind = CORPUS_NORMAL, .dim = 256, .rows = 256, .blocks = 1, .probes = 1};
  corpus data = corpus_make(&recipe);
  static struct coded probe;
  code_probe(LK_COSINE, data.probes, 256, data.means, LK_CODE_MAX, &probe);
  const lk_tile *tile = data.blocks[0].tiles;
  double least = lk_bound_threshold(LK_COSINE, &probe.bound, tile, 0.5f) * probe.bound.scale * tile->scale;
  cr_assert(least > 0.5 - 0.05 && least < 0.5 + 0.05, "a bar of 0.5 becomes %g", least);
  corpus_free(&data);
}
