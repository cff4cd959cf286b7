#include "tests/support/corpus.h"

#include <stdlib.h>
#include <string.h>

#define PROTOTYPES 7

/* What all vectors of one corpus share. */
struct source {
  corpus_kind kind;
  uint32_t dim;
  double unit; /* a factor with 15 significant bits */
  float *prototypes;
};

static void *must(void *memory) {
  if (memory == NULL) abort();
  return memory;
}

static void *allocate(size_t count, size_t size) { return must(calloc(count + 1, size)); }

void corpus_normalise(float *v, uint32_t dim) {
  double squares = 0;
  for (uint32_t i = 0; i < dim; i++) squares += (double)v[i] * v[i];
  double length = sqrt(squares);
  for (uint32_t i = 0; i < dim; i++) v[i] = length > 0 ? (float)(v[i] / length) : (float)(i == 0);
}

void corpus_mean(const float *x, const double *reciprocals, uint32_t rows, uint32_t dim, float *mean) {
  double *sum = allocate(dim, sizeof *sum);
  lk_codes_sum(x, reciprocals, rows, dim, sum);
  lk_codes_mean(sum, rows, dim, mean);
  free(sum);
}

const char *corpus_kind_name(corpus_kind kind) {
  static const char *const names[CORPUS_KINDS] = {"normal",  "ties",      "duplicates", "clustered", "near",
                                                  "one-hot", "all-equal", "lognormal",  "offset",    "far",
                                                  "grid",    "sparse",    "tiny",       "huge"};
  return names[kind];
}

/* v = base + size * noise; base may be NULL. */
static void fill_normal(random_state *random, float *v, uint32_t dim, const float *base, double size) {
  for (uint32_t i = 0; i < dim; i++) v[i] = (float)((base != NULL ? base[i] : 0) + size * random_normal(random));
}

/* Rotated by a Hadamard transform, integers times sqrt(dim) that add up to 127 (or 64) in size give integers with that
 * peak: the codes themselves, with a scale of exactly `unit`. */
static void fill_grid(random_state *random, float *v, uint32_t dim, double unit) {
  static const int peaks[] = {127, 64};
  int left = peaks[random_below(random, 2)];
  double root = unit * sqrt((double)dim);
  memset(v, 0, dim * sizeof *v);
  for (int parts = 4; left > 0; parts--) {
    int part = parts > 1 ? (int)random_below(random, (uint32_t)left + 1) : left;
    float *at = &v[random_below(random, dim)];
    if (*at != 0) at = &v[0], *at = 0;
    *at = (float)((random_one_in(random, 2) ? part : -part) * root);
    left -= part;
    if (parts == 1) break;
  }
}

static void draw(const struct source *source, random_state *random, float *v) {
  uint32_t dim = source->dim;
  const float *prototype = source->prototypes + (size_t)random_below(random, PROTOTYPES) * dim;
  switch (source->kind) {
    case CORPUS_TIES:
      for (uint32_t i = 0; i < dim; i++) v[i] = (float)random_below(random, 5) - 2;
      return;
    case CORPUS_DUPLICATES:
      memcpy(v, prototype, dim * sizeof *v);
      return;
    case CORPUS_CLUSTERED:
      fill_normal(random, v, dim, prototype, 0x1p-10);
      return;
    case CORPUS_NEAR:
      fill_normal(random, v, dim, prototype, 0.125);
      return;
    case CORPUS_ONE_HOT:
      memset(v, 0, dim * sizeof *v);
      v[random_below(random, dim)] = (float)(random_one_in(random, 8) ? -source->unit : source->unit);
      return;
    case CORPUS_ALL_EQUAL:
      memcpy(v, source->prototypes, dim * sizeof *v);
      return;
    case CORPUS_LOGNORMAL:
      fill_normal(random, v, dim, NULL, exp(3 * random_normal(random)));
      return;
    case CORPUS_OFFSET:
      fill_normal(random, v, dim, source->prototypes, 0.25);
      return;
    case CORPUS_FAR:
      fill_normal(random, v, dim, source->prototypes, 0x1p-20);
      return;
    case CORPUS_GRID:
      fill_grid(random, v, dim, source->unit);
      return;
    case CORPUS_SPARSE:
      memset(v, 0, dim * sizeof *v);
      for (uint32_t n = random_below(random, 4); n > 0; n--)
        v[random_below(random, dim)] = (float)random_normal(random);
      return;
    case CORPUS_TINY:
      fill_normal(random, v, dim, NULL, 0x1p-39 / sqrt((double)dim));
      return;
    case CORPUS_HUGE:
      fill_normal(random, v, dim, NULL, 0x1p39 / sqrt((double)dim));
      return;
    default:
      fill_normal(random, v, dim, NULL, 1);
  }
}

static bool is_zero(const float *v, uint32_t dim) {
  while (dim > 0 && v[dim - 1] == 0) dim--;
  return dim == 0;
}

/* Under cosine there is no zero vector. */
static void draw_all(const struct source *source, random_state *random, lk_metric metric, uint32_t count, float *out) {
  for (uint32_t i = 0; i < count; i++) {
    float *v = out + (size_t)i * source->dim;
    draw(source, random, v);
    if (metric == LK_COSINE && is_zero(v, source->dim)) v[0] = 1;
  }
}

/* Of the probes a quarter are rows, and a quarter nearly so. */
static void draw_probes(const struct source *source, random_state *random, corpus *made) {
  uint32_t dim = source->dim;
  draw_all(source, random, made->shape.metric, made->probes_count, made->probes);
  for (uint32_t p = 0; p < made->probes_count && made->rows > 0; p++) {
    uint32_t choice = random_below(random, 4);
    const float *row = made->exact + (size_t)random_below(random, made->rows) * dim;
    float *probe = made->probes + (size_t)p * dim;
    if (choice == 0) memcpy(probe, row, dim * sizeof *row);
    if (choice != 1) continue;
    for (uint32_t i = 0; i < dim; i++) probe[i] = (float)(row[i] * (1 + 0x1p-6 * random_normal(random)));
  }
}

struct ranked {
  float score;
  uint32_t row;
};

static int compare_ranked(const void *a, const void *b) {
  const struct ranked *left = a, *right = b;
  return (left->score > right->score) - (left->score < right->score);
}

static float rank_of(const corpus *made, corpus_order order, const float *row) {
  uint32_t dim = made->shape.dim;
  return order == ORDER_LENGTH ? lk_score(LK_IP, row, row, dim) : lk_score(made->shape.metric, made->probes, row, dim);
}

static void sort_rows(corpus *made, corpus_order order) {
  if (order == ORDER_NONE || (made->probes_count == 0 && order != ORDER_LENGTH)) return;
  uint32_t rows = made->rows, dim = made->shape.dim;
  struct ranked *ranked = allocate(rows, sizeof *ranked);
  float *sorted = allocate((size_t)rows * dim, sizeof *sorted);
  for (uint32_t r = 0; r < rows; r++)
    ranked[r] = (struct ranked){rank_of(made, order, made->exact + (size_t)r * dim), r};
  qsort(ranked, rows, sizeof *ranked, compare_ranked);
  for (uint32_t r = 0; r < rows; r++) {
    uint32_t from = ranked[order == ORDER_DESCENDING ? rows - 1 - r : r].row;
    memcpy(sorted + (size_t)r * dim, made->exact + (size_t)from * dim, dim * sizeof *sorted);
  }
  free(made->exact);
  free(ranked);
  made->exact = sorted;
}

/* Under cosine a row that halves cannot hold is stored times a power of two. */
static void scale_for_halves(float *row, uint32_t dim) {
  float peak = 0;
  int exponent;
  for (uint32_t i = 0; i < dim; i++) peak = fmaxf(peak, fabsf(row[i]));
  if (peak >= 0x1p-8f && peak <= 65504) return;
  frexpf(peak, &exponent);
  for (uint32_t i = 0; i < dim; i++) row[i] = ldexpf(row[i], -exponent);
}

/* Under f16 the halves are the rows, and the floats are made equal to them. Numbers beyond the largest half become it.
 */
static void store_rows(corpus *made, uint32_t first, uint32_t rows) {
  uint32_t dim = made->shape.dim;
  for (uint32_t r = first; r < first + rows; r++) {
    float *row = made->exact + (size_t)r * dim;
    if (made->halves != NULL && made->shape.metric == LK_COSINE) scale_for_halves(row, dim);
    for (uint32_t i = 0; made->halves != NULL && i < dim; i++) {
      made->halves[(size_t)r * dim + i] = lk_half_from_float(fmaxf(fminf(row[i], 65504), -65504));
      row[i] = lk_half_to_float(made->halves[(size_t)r * dim + i]);
    }
    if (made->reciprocals != NULL) made->reciprocals[r] = lk_score_reciprocal(LK_COSINE, row, dim);
  }
}

/* The numbers of a corpus are distinct: an odd factor permutes the 64-bit integers. */
static uint64_t number_of(corpus_numbers numbers, uint32_t rows, uint32_t row) {
  switch (numbers) {
    case NUMBERS_REVERSED:
      return (uint64_t)rows - row;
    case NUMBERS_SCATTERED:
      return (uint64_t)row * UINT64_C(0x9e3779b97f4a7c15);
    default:
      return row;
  }
}

static void make_mean(const corpus_recipe *recipe, random_state *random, const corpus *made, uint32_t first,
                      uint32_t rows, float *mean) {
  uint32_t dim = recipe->dim;
  bool shared = recipe->means == MEANS_SHARED || (recipe->means == MEANS_MIXED && random_one_in(random, 2));
  if (recipe->means == MEANS_ZERO) return;
  if (shared) first = 0, rows = made->rows;
  corpus_mean(made->exact + (size_t)first * dim, made->reciprocals != NULL ? made->reciprocals + first : NULL, rows,
              dim, mean);
  for (uint32_t i = 0; recipe->means == MEANS_ODD && i < dim; i++)
    mean[i] = (float)(mean[i] * (1 + random_normal(random)) + 0.125 * random_normal(random));
}

/* Codes rows first .. first + rows - 1 and returns how many tiles that took. `stored`: it codes them as they are. */
static uint32_t code_block(corpus *made, lk_block *block, uint32_t first, uint32_t rows, const float *mean, bool stored,
                           lk_tile *tiles, double *work) {
  uint32_t dim = made->shape.dim, count = (rows + LK_TILE_ROWS - 1) / LK_TILE_ROWS;
  const double *reciprocals = made->reciprocals;
  *block = (lk_block){.rows = rows,
                      .mean = mean,
                      .exact = made->halves != NULL ? (const void *)(made->halves + (size_t)first * dim)
                                                    : (const void *)(made->exact + (size_t)first * dim),
                      .reciprocals = reciprocals != NULL ? reciprocals + first : NULL,
                      .codes = made->codes + (size_t)first * dim,
                      .tiles = tiles,
                      .bounds = made->bounds + first,
                      .numbers = made->numbers + first,
                      .subjects = made->subjects + first,
                      .visibility = {.born = made->born != NULL ? made->born + first : NULL,
                                     .died = made->died != NULL ? made->died + first : NULL,
                                     .expires_ms = made->expires_ms != NULL ? made->expires_ms + first : NULL,
                                     .tags = made->tags != NULL ? made->tags + first : NULL}};
  for (uint32_t t = 0; t < count; t++) {
    uint32_t row = first + t * LK_TILE_ROWS, left = rows - t * LK_TILE_ROWS;
    if (left > LK_TILE_ROWS) left = LK_TILE_ROWS;
    lk_codes_tile(made->exact + (size_t)row * dim, reciprocals != NULL && !stored ? reciprocals + row : NULL, left, dim,
                  mean, work, made->codes + (size_t)row * dim, &tiles[t], &made->bounds[row]);
    if (reciprocals != NULL && stored) lk_codes_widen(reciprocals + row, left, &tiles[t], &made->bounds[row]);
  }
  return count;
}

static void normalise_rows(corpus *made, uint32_t first, uint32_t rows) {
  for (uint32_t r = first; r < first + rows; r++)
    corpus_normalise(made->exact + (size_t)r * made->shape.dim, made->shape.dim);
  store_rows(made, first, rows);
}

/* Blocks end anywhere, so some blocks are empty and last tiles have every size. */
static void code_blocks(const corpus_recipe *recipe, random_state *random, corpus *made) {
  double *work = allocate((size_t)LK_TILE_ROWS * recipe->dim, sizeof *work);
  lk_tile *tiles = made->tiles;
  for (uint32_t b = 0, first = 0; b < recipe->blocks; b++) {
    uint32_t left = made->rows - first, rows = b + 1 == recipe->blocks ? left : random_below(random, left + 1);
    if (random_one_in(random, 8) && b + 1 < recipe->blocks) rows = 0;
    float *mean = made->means + (size_t)b * recipe->dim;
    bool stored = recipe->coding == CODING_MIXED ? random_one_in(random, 2) : recipe->coding == CODING_STORED;
    if (stored && recipe->metric == LK_COSINE) normalise_rows(made, first, rows);
    make_mean(recipe, random, made, first, rows, mean);
    tiles += code_block(made, &made->blocks[b], first, rows, mean, stored, tiles, work);
    first += rows;
  }
  free(work);
}

/* Values of an array of the visibility, each in 0 .. most; NULL where the recipe has no such array. */
static uint64_t *draw_carried(const corpus_recipe *recipe, random_state *random, uint32_t what, uint32_t most) {
  if ((recipe->carries & what) == 0) return NULL;
  uint64_t *carried = allocate(recipe->rows, sizeof *carried);
  for (uint32_t r = 0; r < recipe->rows; r++) carried[r] = random_below(random, most + 1);
  return carried;
}

static void draw_carried_all(const corpus_recipe *recipe, random_state *random, corpus *made) {
  made->born = draw_carried(recipe, random, CORPUS_BORN, 8);
  made->died = draw_carried(recipe, random, CORPUS_DIED, 8);
  made->expires_ms = draw_carried(recipe, random, CORPUS_EXPIRES, 8);
  made->tags = draw_carried(recipe, random, CORPUS_TAGS, 15);
  for (uint32_t r = 0; r < recipe->rows; r++) {
    if (made->died != NULL && random_one_in(random, 2)) made->died[r] = UINT64_MAX;
    if (made->expires_ms != NULL && random_one_in(random, 2)) made->expires_ms[r] = UINT64_MAX;
    made->subjects[r] = recipe->subject_rows == 0 ? r : random_below(random, recipe->rows / recipe->subject_rows + 1);
  }
}

corpus corpus_make(const corpus_recipe *recipe) {
  random_state random = random_fork(recipe->seed, recipe->kind);
  uint32_t dim = recipe->dim, rows = recipe->rows;
  corpus made = {.shape = {.metric = recipe->metric, .dim = dim, .store = recipe->store},
                 .rows = rows,
                 .blocks_count = recipe->blocks,
                 .probes_count = recipe->probes,
                 .blocks = allocate(recipe->blocks, sizeof *made.blocks),
                 .probes = allocate((size_t)recipe->probes * dim, sizeof *made.probes),
                 .exact = allocate((size_t)rows * dim, sizeof *made.exact),
                 .means = allocate((size_t)recipe->blocks * dim, sizeof *made.means),
                 .codes = allocate((size_t)rows * dim, sizeof *made.codes),
                 .tiles = allocate(rows / LK_TILE_ROWS + recipe->blocks, sizeof *made.tiles),
                 .bounds = allocate(rows, sizeof *made.bounds),
                 .numbers = allocate(rows, sizeof *made.numbers),
                 .subjects = allocate(rows, sizeof *made.subjects)};
  struct source source = {.kind = recipe->kind,
                          .dim = dim,
                          .unit = (random_below(&random, 1 << 14) * 2 + 1) * 0x1p-14,
                          .prototypes = allocate((size_t)PROTOTYPES * dim, sizeof *source.prototypes)};
  if (recipe->metric == LK_COSINE) made.reciprocals = allocate(rows, sizeof *made.reciprocals);
  if (recipe->store == LK_STORE_F16) made.halves = allocate((size_t)rows * dim, sizeof *made.halves);
  fill_normal(&random, source.prototypes, PROTOTYPES * dim, NULL, 1);
  draw_all(&source, &random, recipe->metric, rows, made.exact);
  draw_probes(&source, &random, &made);
  sort_rows(&made, recipe->order);
  store_rows(&made, 0, rows);
  for (uint32_t r = 0; r < rows; r++) made.numbers[r] = number_of(recipe->numbers, rows, r);
  draw_carried_all(recipe, &random, &made);
  code_blocks(recipe, &random, &made);
  free(source.prototypes);
  return made;
}

void corpus_free(corpus *made) {
  free(made->blocks);
  free(made->probes);
  free(made->exact);
  free(made->halves);
  free(made->reciprocals);
  free(made->means);
  free(made->codes);
  free(made->tiles);
  free(made->bounds);
  free(made->numbers);
  free(made->subjects);
  free(made->born);
  free(made->died);
  free(made->expires_ms);
  free(made->tags);
}
