#include "bench/pairs.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "bench/bench.h"
#include "kernels/bound.h"

enum { SAMPLED_TILES = 16 };

/* A probe as one block sees it. */
typedef struct coded_probe {
  int8_t *code;
  float *rotated; /* as wide as packed codes */
  double *exact;  /* the same before its rounding: p of kernels/bound.h */
  lk_probe_bound bound;
} coded_probe;

/* The sum and the sum of squares of a probe's scores, up to factors that all rows share; the sum of its losses. */
typedef struct moments {
  double sum, squares, losses;
  size_t count;
} moments;

typedef struct measuring {
  const gallery *gallery;
  const lk_isa *isa;
  const float *probes;
  uint32_t probes_count, width, float_width;
  coded_probe *coded;
  float *float_probes; /* of float_width elements each, as the next */
  float *float_rows;
  float *products; /* rows of the tile x probes */
  double *rows;    /* y of kernels/bound.h, rows of the tile x dim */
  uint8_t *packed;
  moments *moments;
  pairs found;
} measuring;

/* One tile of the gallery. */
typedef struct tile_view {
  const lk_block *block;
  uint32_t tile, first, rows;
} tile_view;

static tile_view view_tile(const gallery *g, uint32_t sampled, uint32_t of) {
  uint32_t tiles = (g->rows + LK_TILE_ROWS - 1) / LK_TILE_ROWS, tile = (uint32_t)((uint64_t)sampled * tiles / of);
  const lk_block *block = g->blocks;
  for (; tile * LK_TILE_ROWS >= block->rows; block++) tile -= block->rows / LK_TILE_ROWS;
  uint32_t first = tile * LK_TILE_ROWS, left = block->rows - first;
  return (tile_view){.block = block, .tile = tile, .first = first, .rows = left < LK_TILE_ROWS ? left : LK_TILE_ROWS};
}

/* v - mean in float, or v where there is no mean; of v as a vector of length 1 under cosine. */
static void centre(const float *v, double reciprocal, const float *mean, uint32_t dim, float *out) {
  for (uint32_t i = 0; i < dim; i++) out[i] = (float)(v[i] * reciprocal - (mean != NULL ? (double)mean[i] : 0));
}

static void code_probes(measuring *m, const lk_block *block) {
  lk_shape shape = m->gallery->shape;
  const float *mean = shape.metric == LK_L2 ? block->mean : NULL;
  for (uint32_t p = 0; p < m->probes_count; p++) {
    const float *q = m->probes + (size_t)p * shape.dim;
    coded_probe *coded = &m->coded[p];
    double reciprocal = lk_score_reciprocal(shape.metric, q, shape.dim);
    lk_codes_probe(shape.metric, q, reciprocal, shape.dim, block->mean, m->isa->probe_limit, coded->exact, coded->code,
                   coded->rotated, &coded->bound);
    centre(q, reciprocal, mean, shape.dim, m->float_probes + (size_t)p * m->float_width);
  }
}

static void take_rows(measuring *m, const tile_view *view) {
  uint32_t dim = m->gallery->shape.dim;
  const lk_block *block = view->block;
  for (uint32_t r = 0; r < view->rows; r++) {
    const float *x = (const float *)block->exact + (size_t)(view->first + r) * dim;
    double *y = m->rows + (size_t)r * dim;
    double reciprocal = lk_score_reciprocal(m->gallery->shape.metric, x, dim);
    for (uint32_t i = 0; i < dim; i++) y[i] = x[i] * reciprocal - (double)block->mean[i];
    lk_rotate(y, dim);
    centre(x, reciprocal, block->mean, dim, m->float_rows + (size_t)r * m->float_width);
  }
  lk_isa_pack(block->codes + (size_t)view->first * dim, view->rows, dim, m->width, m->packed);
  m->isa->multiply(m->float_rows, view->rows, m->float_probes, m->probes_count, m->float_width, m->products);
}

static double dot(const double *a, const double *b, uint32_t dim) {
  double sum = 0;
  for (uint32_t i = 0; i < dim; i++) sum += a[i] * b[i];
  return sum;
}

static int32_t dot_codes(const int8_t *a, const int8_t *b, uint32_t dim) {
  int32_t sum = 0;
  for (uint32_t i = 0; i < dim; i++) sum += a[i] * b[i];
  return sum;
}

static void note(pairs *found, pairs_test test, double error, double bound) {
  found->ratios[test][found->counts[test]++] = fabs(error) / bound;
}

static void measure_pair(measuring *m, const tile_view *view, uint32_t row, uint32_t probe) {
  uint32_t dim = m->gallery->shape.dim;
  const coded_probe *q = &m->coded[probe];
  const lk_tile *tile = &view->block->tiles[view->tile];
  const lk_row_bound *bound = &view->block->bounds[view->first + row];
  const double *y = m->rows + (size_t)row * dim;
  const uint8_t *packed =
      m->packed + (size_t)(row / LK_STRIP_ROWS) * LK_STRIP_ROWS * m->width + (size_t)(row % LK_STRIP_ROWS) * LK_STEP;
  double product = dot(q->exact, y, dim), loss = lk_bound_tile_loss(&q->bound, tile);
  int32_t acc = dot_codes(q->code, view->block->codes + (size_t)(view->first + row) * dim, dim);
  if (lk_row_fits(tile, bound)) note(&m->found, PAIRS_SCAN, product - q->bound.scale * tile->scale * acc, loss);
  note(&m->found, PAIRS_RESCREEN, product - (double)tile->scale * m->isa->dot(packed, m->width, q->rotated),
       lk_bound_row_loss(dim, &q->bound, tile, bound));
  note(&m->found, PAIRS_FLOAT, product - m->products[(size_t)row * m->probes_count + probe],
       lk_bound_float_loss(m->float_width / LK_FLOAT_STEP, &q->bound, bound->norm));
  double score = m->gallery->shape.metric == LK_L2 ? product - dot(y, y, dim) / 2 : product;
  moments *of = &m->moments[probe];
  *of = (moments){of->sum + score, of->squares + score * score, of->losses + loss, of->count + 1};
}

static double mean_loss(const measuring *m) {
  double sum = 0;
  for (uint32_t p = 0; p < m->probes_count; p++) {
    const moments *of = &m->moments[p];
    double mean = of->sum / (double)of->count, variance = of->squares / (double)of->count - mean * mean;
    sum += of->losses / (double)of->count / sqrt(variance);
  }
  return sum / m->probes_count;
}

static void allocate(measuring *m) {
  uint32_t dim = m->gallery->shape.dim, probes = m->probes_count;
  m->width = (dim + LK_STEP - 1) / LK_STEP * LK_STEP;
  m->float_width = (dim + LK_FLOAT_STEP - 1) / LK_FLOAT_STEP * LK_FLOAT_STEP;
  m->float_probes = bench_allocate((size_t)probes * m->float_width, sizeof *m->float_probes);
  m->float_rows = bench_allocate((size_t)LK_TILE_ROWS * m->float_width, sizeof *m->float_rows);
  m->products = bench_allocate((size_t)LK_TILE_ROWS * probes, sizeof *m->products);
  m->rows = bench_allocate((size_t)LK_TILE_ROWS * dim, sizeof *m->rows);
  m->packed = bench_allocate((size_t)LK_TILE_ROWS * m->width, sizeof *m->packed);
  m->moments = bench_allocate(probes, sizeof *m->moments);
  m->coded = bench_allocate(probes, sizeof *m->coded);
  for (uint32_t p = 0; p < probes; p++) {
    m->coded[p].code = bench_allocate(m->width, sizeof *m->coded[p].code);
    m->coded[p].rotated = bench_allocate(m->width, sizeof *m->coded[p].rotated);
    m->coded[p].exact = bench_allocate(dim, sizeof *m->coded[p].exact);
  }
  for (int t = 0; t < PAIRS_TESTS; t++)
    m->found.ratios[t] = bench_allocate((size_t)SAMPLED_TILES * LK_TILE_ROWS * probes, sizeof(double));
}

static void release(measuring *m) {
  for (uint32_t p = 0; p < m->probes_count; p++) {
    free(m->coded[p].code);
    free(m->coded[p].rotated);
    free(m->coded[p].exact);
  }
  void *memory[] = {m->float_probes, m->float_rows, m->products, m->rows, m->packed, m->moments, m->coded};
  for (size_t i = 0; i < sizeof memory / sizeof memory[0]; i++) free(memory[i]);
}

pairs pairs_measure(const gallery *g, const lk_isa *isa, const float *probes, uint32_t probes_count) {
  measuring m = {.gallery = g, .isa = isa, .probes = probes, .probes_count = probes_count};
  allocate(&m);
  uint32_t tiles = (g->rows + LK_TILE_ROWS - 1) / LK_TILE_ROWS;
  if (tiles > SAMPLED_TILES) tiles = SAMPLED_TILES;
  for (uint32_t t = 0; t < tiles; t++) {
    tile_view view = view_tile(g, t, tiles);
    code_probes(&m, view.block);
    take_rows(&m, &view);
    for (uint32_t r = 0; r < view.rows; r++)
      for (uint32_t p = 0; p < probes_count; p++) measure_pair(&m, &view, r, p);
  }
  m.found.loss = mean_loss(&m);
  release(&m);
  return m.found;
}

void pairs_free(pairs *found) {
  for (int t = 0; t < PAIRS_TESTS; t++) free(found->ratios[t]);
}
