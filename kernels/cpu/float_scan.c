/* The float scan multiplies a tile's exact rows, centred, with the probes in float. It costs several times as much as
 * the scan of codes and loses next to nothing, so it pays where codes cannot tell the rows apart and many pairs would
 * be rescored in vain.
 *
 * The product is our own: its order of additions is known, which bounds its error eight times more closely than any
 * order would. And a BLAS library would start threads of its own. */
#include <string.h>

#include "kernels/bound.h"
#include "kernels/cpu/internal.h"

enum { FLOAT_PROBES = 64 }; /* of one product; at 512 dimensions they fit the second-level cache */

/* How a thread uses its buffer. */
struct scratch {
  float *rows;    /* LK_TILE_ROWS x width, centred */
  float *probes;  /* FLOAT_PROBES x width, centred under l2 */
  float *product; /* LK_TILE_ROWS x FLOAT_PROBES */
};

static uint32_t width_of(lk_shape shape) { return (shape.dim + LK_FLOAT_STEP - 1) / LK_FLOAT_STEP * LK_FLOAT_STEP; }

/* One element's product goes through at most so many additions that depend on the dimension. */
static uint32_t terms_of(lk_shape shape) { return width_of(shape) / LK_FLOAT_STEP; }

static uint32_t most_at_once(uint32_t probes) { return probes < FLOAT_PROBES ? probes : FLOAT_PROBES; }

size_t lk_cpu_float_bytes(lk_shape shape, uint32_t probes) {
  size_t count = most_at_once(probes);
  return ((LK_TILE_ROWS + count) * width_of(shape) + LK_TILE_ROWS * count) * sizeof(float);
}

static struct scratch lay_out(const lk_cpu *cpu, const lk_cpu_thread *thread) {
  uint32_t width = width_of(cpu->pass.batch.shape);
  struct scratch scratch = {.rows = thread->float_buffer.data};
  scratch.probes = scratch.rows + (size_t)LK_TILE_ROWS * width;
  scratch.product = scratch.probes + (size_t)most_at_once(cpu->pass.batch.count) * width;
  return scratch;
}

/* Writes v, or v - mean, and zeros up to the width; under cosine of v as a vector of length 1. What is centred is
 * rounded to float once: near the mean a rounding before that would be all that is left. */
static void take(lk_shape shape, const float *v, double reciprocal, const float *mean, float *out) {
  if (shape.metric != LK_COSINE)
    for (uint32_t i = 0; i < shape.dim; i++) out[i] = mean != NULL ? v[i] - mean[i] : v[i];
  else if (mean != NULL)
    for (uint32_t i = 0; i < shape.dim; i++) out[i] = (float)(v[i] * reciprocal - (double)mean[i]);
  else
    for (uint32_t i = 0; i < shape.dim; i++) out[i] = (float)(v[i] * reciprocal);
  memset(out + shape.dim, 0, (width_of(shape) - shape.dim) * sizeof *out);
}

static void take_rows(const lk_cpu *cpu, const lk_tile_view *view, float *out) {
  lk_shape shape = cpu->pass.batch.shape;
  const lk_block *block = &view->placement->resident->block;
  float room[LK_DIM_MAX];
  for (uint32_t r = 0; r < view->rows; r++)
    take(shape, lk_cpu_row(cpu, block, view->first + r, room), lk_cpu_reciprocal(block, view->first + r), block->mean,
         out + (size_t)r * width_of(shape));
}

static void take_probes(const lk_cpu *cpu, const lk_tile_view *view, uint32_t first, uint32_t count, float *out) {
  const lk_batch *batch = &cpu->pass.batch;
  const float *mean = batch->shape.metric == LK_L2 ? view->placement->resident->block.mean : NULL;
  for (uint32_t p = 0; p < count; p++)
    take(batch->shape, batch->probes + (size_t)(first + p) * batch->shape.dim, cpu->pass.reciprocals[first + p], mean,
         out + (size_t)p * width_of(batch->shape));
}

/* Rescores the pairs of one row whose product reaches the tile's bound, which takes one comparison but does not hold
 * for an outlier, and the row's own bound. */
static void rescore_row(lk_cpu *cpu, lk_cpu_thread *thread, const lk_tile_view *view, uint32_t first, uint32_t count,
                        const float *tile_bounds, const float *product, uint32_t row) {
  lk_shape shape = cpu->pass.batch.shape;
  const lk_row_bound *bound = &view->rows_bounds[row];
  bool fits = lk_row_fits(view->tile, bound);
  if (!lk_cpu_visible(&cpu->pass, view->placement, view->first + row)) return;
  for (uint32_t p = 0; p < count; p++) {
    if (fits && product[p] < tile_bounds[p]) continue;
    thread->survivors++;
    if (product[p] >= lk_bound_float(shape.metric, terms_of(shape), &view->bounds[first + p], lk_bound_shortest(bound),
                                     bound->norm, cpu->pass.bars[first + p]))
      lk_cpu_rescore(cpu, thread, view, first + p, row, lk_cpu_dot(cpu, view, first + p, row));
  }
}

static void scan_probes(lk_cpu *cpu, lk_cpu_thread *thread, const lk_tile_view *view, const struct scratch *scratch,
                        uint32_t first, uint32_t count) {
  lk_shape shape = cpu->pass.batch.shape;
  take_probes(cpu, view, first, count, scratch->probes);
  float bounds[FLOAT_PROBES];
  for (uint32_t p = 0; p < count; p++)
    bounds[p] = lk_bound_float(shape.metric, terms_of(shape), &view->bounds[first + p], view->tile->norm_min,
                               view->tile->norm_max, cpu->pass.bars[first + p]);
  cpu->isa->multiply(scratch->rows, view->rows, scratch->probes, count, width_of(shape), scratch->product);
  for (uint32_t r = 0; r < view->rows; r++)
    rescore_row(cpu, thread, view, first, count, bounds, scratch->product + (size_t)r * count, r);
}

void lk_cpu_float_scan(lk_cpu *cpu, lk_cpu_thread *thread, const lk_tile_view *view) {
  struct scratch scratch = lay_out(cpu, thread);
  uint32_t probes = cpu->pass.batch.count;
  take_rows(cpu, view, scratch.rows);
  for (uint32_t first = 0; first < probes; first += FLOAT_PROBES) {
    uint32_t count = most_at_once(probes - first);
    uint64_t products = (uint64_t)view->rows * width_of(cpu->pass.batch.shape) * count;
    if (!lk_cpu_goes_on(&cpu->pass, thread, products) || !lk_cpu_has_room(&cpu->pass, thread, count)) return;
    scan_probes(cpu, thread, view, &scratch, first, count);
  }
  thread->scanned += (uint64_t)view->rows * probes;
}
