/* The float scan: a tile's exact rows, centred, times the probes, in float. It costs several times the scan of codes
 * and loses next to nothing, so it pays where codes cannot tell the rows apart and many pairs would be rescored in
 * vain.
 *
 * The product is our own and not a BLAS library's because a known order of its additions bounds its error eight times
 * more closely than any order does, and because a BLAS brings threads of its own. */
#include <string.h>

#include "kernels/bound.h"
#include "kernels/cpu/internal.h"

enum { WIDE_PROBES = 64 }; /* in one product; at 512 dimensions they fit the second-level cache */

/* A lane's part of the buffer. */
struct wide {
  float *rows;    /* LK_TILE_ROWS x width, centred */
  float *probes;  /* WIDE_PROBES x width, centred under l2 */
  float *product; /* LK_TILE_ROWS x WIDE_PROBES */
};

static uint32_t width_of(lk_shape shape) { return (shape.dim + LK_FLOAT_STEP - 1) / LK_FLOAT_STEP * LK_FLOAT_STEP; }

/* The most additions that one element's product goes through, of those that depend on the dimension. */
static uint32_t terms_of(lk_shape shape) { return width_of(shape) / LK_FLOAT_STEP; }

static uint32_t most_at_once(uint32_t probes) { return probes < WIDE_PROBES ? probes : WIDE_PROBES; }

size_t lk_cpu_float_bytes(lk_shape shape, uint32_t probes) {
  size_t count = most_at_once(probes);
  return ((LK_TILE_ROWS + count) * width_of(shape) + LK_TILE_ROWS * count) * sizeof(float);
}

static struct wide lay_out(const lk_cpu *cpu, const lk_cpu_thread *lane) {
  uint32_t width = width_of(cpu->pass.batch.shape);
  struct wide wide = {.rows = lane->wide_buffer.data};
  wide.probes = wide.rows + (size_t)LK_TILE_ROWS * width;
  wide.product = wide.probes + (size_t)most_at_once(cpu->pass.batch.count) * width;
  return wide;
}

/* Writes v, or v - mean, and zeros up to the width. */
static void take(lk_shape shape, const float *v, const float *mean, float *out) {
  for (uint32_t i = 0; i < shape.dim; i++) out[i] = mean != NULL ? v[i] - mean[i] : v[i];
  memset(out + shape.dim, 0, (width_of(shape) - shape.dim) * sizeof *out);
}

static void take_rows(const lk_cpu *cpu, const lk_tile_view *view, float *out) {
  lk_shape shape = cpu->pass.batch.shape;
  const lk_block *block = &view->place->hold->block;
  float room[LK_DIM_MAX];
  for (uint32_t r = 0; r < view->rows; r++)
    take(shape, lk_cpu_row(cpu, block, view->first + r, room), block->mean, out + (size_t)r * width_of(shape));
}

static void take_probes(const lk_cpu *cpu, const lk_tile_view *view, uint32_t first, uint32_t count, float *out) {
  const lk_batch *batch = &cpu->pass.batch;
  const float *mean = batch->shape.metric == LK_L2 ? view->place->hold->block.mean : NULL;
  for (uint32_t p = 0; p < count; p++)
    take(batch->shape, batch->probes + (size_t)(first + p) * batch->shape.dim, mean,
         out + (size_t)p * width_of(batch->shape));
}

/* Settles the pairs of one row whose product reaches both the tile's bound, which is quickly looked at and which a
 * outlier does not have, and the row's own. */
static void settle_row(const lk_cpu *cpu, lk_cpu_thread *lane, const lk_tile_view *view, uint32_t first, uint32_t count,
                       const float *tile_bounds, const float *product, uint32_t row) {
  lk_shape shape = cpu->pass.batch.shape;
  const lk_row_bound *bound = &view->rows_bounds[row];
  bool fits = lk_row_fits(view->tile, bound);
  if (!lk_cpu_visible(&cpu->pass, view->place, view->first + row)) return;
  for (uint32_t p = 0; p < count; p++) {
    if (fits && product[p] < tile_bounds[p]) continue;
    lane->survivors++;
    if (product[p] >= lk_bound_float(shape.metric, terms_of(shape), &view->bounds[first + p], lk_bound_shortest(bound),
                                     bound->norm, cpu->pass.bars[first + p]))
      lk_cpu_rescore(cpu, lane, view, first + p, row);
  }
}

static void scan_probes(lk_cpu *cpu, lk_cpu_thread *lane, const lk_tile_view *view, const struct wide *wide,
                        uint32_t first, uint32_t count) {
  lk_shape shape = cpu->pass.batch.shape;
  take_probes(cpu, view, first, count, wide->probes);
  float bounds[WIDE_PROBES];
  for (uint32_t p = 0; p < count; p++)
    bounds[p] = lk_bound_float(shape.metric, terms_of(shape), &view->bounds[first + p], view->tile->norm_min,
                               view->tile->norm_max, cpu->pass.bars[first + p]);
  cpu->isa->multiply(wide->rows, view->rows, wide->probes, count, width_of(shape), wide->product);
  for (uint32_t r = 0; r < view->rows; r++)
    settle_row(cpu, lane, view, first, count, bounds, wide->product + (size_t)r * count, r);
}

void lk_cpu_float_scan(lk_cpu *cpu, lk_cpu_thread *lane, const lk_tile_view *view) {
  struct wide wide = lay_out(cpu, lane);
  uint32_t probes = cpu->pass.batch.count;
  take_rows(cpu, view, wide.rows);
  for (uint32_t first = 0; first < probes; first += WIDE_PROBES) {
    uint32_t count = most_at_once(probes - first);
    if (!lk_cpu_has_room(&cpu->pass, lane, count)) return;
    scan_probes(cpu, lane, view, &wide, first, count);
  }
  lane->scanned += (uint64_t)view->rows * probes;
}
