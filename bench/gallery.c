#include "bench/gallery.h"

#include <stdlib.h>
#include <string.h>

#include "bench/bench.h"

enum { BLOCK_ROWS = 262144 };

static uint32_t rows_from(uint32_t first, uint32_t rows, uint32_t most) {
  return rows - first < most ? rows - first : most;
}

static float *row_at(const gallery *g, uint32_t row) { return g->exact + (size_t)row * g->shape.dim; }

static const double *reciprocals_from(const gallery *g, uint32_t row) {
  return g->reciprocals != NULL ? g->reciprocals + row : NULL;
}

static void fill_tile(void *context, uint32_t thread, uint32_t tile) {
  (void)thread;
  gallery *g = context;
  uint32_t first = tile * LK_TILE_ROWS, end = first + rows_from(first, g->rows, LK_TILE_ROWS);
  for (uint32_t r = first; r < end; r++) {
    data_row(g->data, r, row_at(g, r));
    g->numbers[r] = r;
    if (g->reciprocals != NULL) g->reciprocals[r] = lk_score_reciprocal(g->shape.metric, row_at(g, r), g->shape.dim);
  }
}

/* Puts the rows of a block into their order, in place: along each cycle of the permutation. */
static void permute(gallery *g, uint32_t first, uint32_t rows) {
  size_t bytes = g->shape.dim * sizeof(float);
  lk_ordered_row *order = g->order + first;
  float *spare = bench_allocate(g->shape.dim, sizeof *spare);
  for (uint32_t start = 0; start < rows; start++) {
    if (order[start].row == start) continue;
    memcpy(spare, row_at(g, first + start), bytes);
    uint32_t at = start, from;
    for (; (from = order[at].row) != start; at = from) {
      memcpy(row_at(g, first + at), row_at(g, first + from), bytes);
      g->numbers[first + at] = first + from;
      order[at].row = at;
    }
    memcpy(row_at(g, first + at), spare, bytes);
    g->numbers[first + at] = first + start;
    order[at].row = at;
  }
  free(spare);
}

static void order_rows(gallery *g, uint32_t first, uint32_t rows, const float *mean) {
  for (uint32_t r = 0; r < rows; r++)
    g->order[first + r] =
        (lk_ordered_row){.length = lk_codes_length(row_at(g, first + r), g->shape.dim, mean), .row = r};
  lk_codes_order(g->order + first, rows);
  permute(g, first, rows);
}

static void make_block(void *context, uint32_t thread, uint32_t b) {
  (void)thread;
  gallery *g = context;
  uint32_t dim = g->shape.dim, first = b * BLOCK_ROWS, rows = rows_from(first, g->rows, BLOCK_ROWS);
  float *mean = g->means + (size_t)b * dim;
  double *sum = bench_allocate(dim, sizeof *sum);
  lk_codes_sum(row_at(g, first), reciprocals_from(g, first), rows, dim, sum);
  lk_codes_mean(sum, rows, dim, mean);
  free(sum);
  if (g->shape.metric != LK_COSINE) order_rows(g, first, rows, mean);
  for (uint32_t r = first; r < first + rows; r++) g->subjects[r] = (uint32_t)(g->numbers[r] / DATA_SUBJECT_ROWS);
  g->blocks[b] = (lk_block){.rows = rows,
                            .mean = mean,
                            .exact = row_at(g, first),
                            .reciprocals = reciprocals_from(g, first),
                            .codes = g->codes + (size_t)first * dim,
                            .tiles = g->tiles + first / LK_TILE_ROWS,
                            .bounds = g->bounds + first,
                            .numbers = g->numbers + first,
                            .subjects = g->subjects + first};
}

static void code_tile(void *context, uint32_t thread, uint32_t tile) {
  gallery *g = context;
  uint32_t dim = g->shape.dim, first = tile * LK_TILE_ROWS;
  lk_codes_tile(row_at(g, first), reciprocals_from(g, first), rows_from(first, g->rows, LK_TILE_ROWS), dim,
                g->means + (size_t)(first / BLOCK_ROWS) * dim, g->work + (size_t)thread * LK_TILE_ROWS * dim,
                g->codes + (size_t)first * dim, g->tiles + tile, g->bounds + first);
}

gallery gallery_make(const data *d, uint32_t rows, lk_pool *pool) {
  if (rows > d->most) rows = d->most;
  uint32_t tiles = (rows + LK_TILE_ROWS - 1) / LK_TILE_ROWS, blocks = (rows + BLOCK_ROWS - 1) / BLOCK_ROWS;
  size_t elements = (size_t)rows * d->dim;
  gallery g = {.data = d, .shape = {.metric = d->metric, .dim = d->dim}, .rows = rows, .blocks_count = blocks};
  g.exact = bench_allocate(elements, sizeof *g.exact);
  if (d->metric == LK_COSINE) g.reciprocals = bench_allocate(rows, sizeof *g.reciprocals);
  g.means = bench_allocate((size_t)blocks * d->dim, sizeof *g.means);
  g.codes = bench_allocate(elements, sizeof *g.codes);
  g.tiles = bench_allocate(tiles, sizeof *g.tiles);
  g.bounds = bench_allocate(rows, sizeof *g.bounds);
  g.order = bench_allocate(rows, sizeof *g.order);
  g.numbers = bench_allocate(rows, sizeof *g.numbers);
  g.subjects = bench_allocate(rows, sizeof *g.subjects);
  g.blocks = bench_allocate(blocks, sizeof *g.blocks);
  g.work = bench_allocate((size_t)lk_pool_threads(pool) * LK_TILE_ROWS * d->dim, sizeof *g.work);
  lk_pool_run(pool, tiles, fill_tile, &g);
  lk_pool_run(pool, blocks, make_block, &g);
  lk_pool_run(pool, tiles, code_tile, &g);
  return g;
}

void gallery_free(gallery *g) {
  void *memory[] = {g->exact, g->reciprocals, g->means,    g->codes,  g->tiles, g->bounds,
                    g->order, g->numbers,     g->subjects, g->blocks, g->work};
  for (size_t i = 0; i < sizeof memory / sizeof memory[0]; i++) free(memory[i]);
}

lk_resident_block **gallery_load(const gallery *g, lk_device *device, lk_visibility carried) {
  lk_resident_block **residents = bench_allocate(g->blocks_count, sizeof *residents);
  lk_error error;
  for (uint32_t b = 0; b < g->blocks_count; b++) {
    lk_block block = g->blocks[b];
    if (carried.tags != NULL) block.visibility.tags = carried.tags + (size_t)b * BLOCK_ROWS;
    if (carried.died != NULL) block.visibility.died = carried.died + (size_t)b * BLOCK_ROWS;
    if (lk_device_load_block(device, g->shape, &block, &residents[b], &error) != LK_OK) bench_fail(error.text);
  }
  return residents;
}

void gallery_unload(const gallery *g, lk_device *device, lk_resident_block **residents) {
  for (uint32_t b = 0; b < g->blocks_count; b++) lk_device_unload_block(device, residents[b]);
  free(residents);
}

float *gallery_probes(const gallery *g, uint32_t count) {
  float *probes = bench_allocate((size_t)count * g->shape.dim, sizeof *probes);
  for (uint32_t p = 0; p < count; p++) data_probe(g->data, p, g->rows, probes + (size_t)p * g->shape.dim);
  return probes;
}
