/* One pass of probes over the held blocks: scan a tile for a few probes at a time, and look at its survivors at once,
 * while its codes are in the cache. Hits wait in their thread's list until the round is over, because the bar stands
 * still during a round; then each probe's hits go to its heap and raise its bar. */
#include <stdlib.h>
#include <string.h>

#include "kernels/cpu/device.h"
#include "kernels/cpu/topk.h"
#include "kernels/plan.h"
#include "kernels/quant_bound.h"

static bool reserve(lk_buffer *buffer, size_t count, size_t size) {
  size_t bytes = count * size;
  if (buffer->size >= bytes) return true;
  free(buffer->data);
  buffer->data = aligned_alloc(64, (bytes + 63) / 64 * 64);
  buffer->size = buffer->data != NULL ? bytes : 0;
  return buffer->data != NULL;
}

void lk_cpu_pass_free(lk_cpu_pass *pass) {
  lk_buffer *buffers[] = {
      &pass->hold_first_tile, &pass->hold_first_row, &pass->hold_frame, &pass->frame_mean,  &pass->codes,
      &pass->rotated,         &pass->bounds,         &pass->heaps,      &pass->heap_counts, &pass->bars};
  for (size_t i = 0; i < sizeof buffers / sizeof buffers[0]; i++) free(buffers[i]->data);
}

static const lk_cpu_hold *hold_at(const lk_cpu_pass *pass, uint32_t h) {
  return (const lk_cpu_hold *)pass->batch.holds[h];
}

/* The hold that `place` falls into, first[] being where each begins. */
static uint32_t find_hold(const uint64_t *first, uint32_t holds, uint64_t place) {
  uint32_t low = 0, high = holds;
  while (high - low > 1) {
    uint32_t middle = low + (high - low) / 2;
    if (first[middle] <= place)
      low = middle;
    else
      high = middle;
  }
  return low;
}

static uint32_t frame_of(lk_cpu_pass *pass, const float *mean) {
  const float **means = pass->frame_mean.data;
  for (uint32_t f = 0; f < pass->frames; f++)
    if (memcmp(means[f], mean, pass->batch.shape.dim * sizeof *mean) == 0) return f;
  means[pass->frames] = mean;
  return pass->frames++;
}

static bool lay_out_holds(lk_cpu_pass *pass) {
  uint32_t holds = pass->batch.holds_count;
  if (!reserve(&pass->hold_first_tile, holds, sizeof(uint64_t)) ||
      !reserve(&pass->hold_first_row, holds, sizeof(uint64_t)) ||
      !reserve(&pass->hold_frame, holds, sizeof(uint32_t)) || !reserve(&pass->frame_mean, holds, sizeof(float *)))
    return false;
  uint64_t *first_tile = pass->hold_first_tile.data, *first_row = pass->hold_first_row.data, tiles = 0;
  uint32_t *frame = pass->hold_frame.data;
  pass->rows = 0;
  pass->frames = 0;
  for (uint32_t h = 0; h < holds; h++) {
    first_tile[h] = tiles;
    first_row[h] = pass->rows;
    frame[h] = frame_of(pass, hold_at(pass, h)->block.mean);
    tiles += hold_at(pass, h)->base.tiles;
    pass->rows += hold_at(pass, h)->base.rows;
  }
  return true;
}

static bool lay_out_probes(lk_cpu_pass *pass) {
  size_t count = pass->batch.count, width = lk_cpu_width(pass->batch.shape.dim), frames = pass->frames;
  return reserve(&pass->codes, frames * count * width, sizeof(int8_t)) &&
         reserve(&pass->rotated, frames * count * width, sizeof(float)) &&
         reserve(&pass->bounds, frames * count, sizeof(lk_probe_bound)) &&
         reserve(&pass->heaps, count * pass->batch.k, sizeof(lk_hit)) &&
         reserve(&pass->heap_counts, count, sizeof(uint32_t)) && reserve(&pass->bars, count, sizeof(float));
}

static void code_probe(void *context, uint32_t thread, uint32_t item) {
  (void)thread;
  lk_cpu *cpu = context;
  lk_cpu_pass *pass = &cpu->pass;
  uint32_t dim = pass->batch.shape.dim, width = lk_cpu_width(dim), probe = item % pass->batch.count;
  const float *mean = ((const float **)pass->frame_mean.data)[item / pass->batch.count];
  int8_t *code = (int8_t *)pass->codes.data + (size_t)item * width;
  float *rotated = (float *)pass->rotated.data + (size_t)item * width;
  double work[LK_DIM_MAX];
  lk_quant_probe(pass->batch.shape.metric, pass->batch.probes + (size_t)probe * dim, dim, mean, cpu->isa->probe_limit,
                 work, code, rotated, (lk_probe_bound *)pass->bounds.data + item);
  memset(code + dim, 0, (width - dim) * sizeof *code);
  memset(rotated + dim, 0, (width - dim) * sizeof *rotated);
}

lk_status lk_cpu_begin(lk_backend *backend, const lk_batch *batch, lk_error *error) {
  lk_cpu *cpu = (lk_cpu *)backend;
  lk_cpu_pass *pass = &cpu->pass;
  pass->batch = *batch;
  if (!lay_out_holds(pass) || !lay_out_probes(pass)) return lk_fail_memory(error);
  float *bars = pass->bars.data;
  uint32_t *heap_counts = pass->heap_counts.data;
  for (uint32_t p = 0; p < batch->count; p++) {
    bars[p] = batch->threshold;
    heap_counts[p] = 0;
  }
  lk_pool_run(cpu->pool, pass->frames * batch->count, code_probe, cpu);
  return LK_OK;
}

/* Only ever upwards: after the seed a heap starts empty again, but its bar stays. */
static void raise_bar(lk_cpu_pass *pass, uint32_t probe) {
  uint32_t k = pass->batch.k;
  float *bar = (float *)pass->bars.data + probe;
  if (((uint32_t *)pass->heap_counts.data)[probe] < k) return;
  float kth = ((lk_hit *)pass->heaps.data)[(size_t)probe * k].score;
  if (kth > *bar) *bar = kth;
}

static void push(lk_cpu_pass *pass, uint32_t probe, lk_hit hit) {
  uint32_t k = pass->batch.k;
  lk_topk_push((lk_hit *)pass->heaps.data + (size_t)probe * k, (uint32_t *)pass->heap_counts.data + probe, k, hit);
}

static void seed_probe(void *context, uint32_t thread, uint32_t probe) {
  lk_cpu *cpu = context;
  lk_cpu_pass *pass = &cpu->pass;
  lk_shape shape = pass->batch.shape;
  const uint64_t *first_row = pass->hold_first_row.data;
  for (uint32_t i = 0; i < pass->seed_count; i++) {
    uint64_t row = pass->seed_rows[i];
    uint32_t h = find_hold(first_row, pass->batch.holds_count, row);
    const lk_block *block = &hold_at(pass, h)->block;
    uint64_t r = row - first_row[h];
    float score = cpu->isa->score(shape.metric, pass->batch.probes + (size_t)probe * shape.dim,
                                  block->exact + r * shape.dim, shape.dim);
    push(pass, probe, (lk_hit){.number = block->numbers[r], .score = score, .row = (uint32_t)row});
  }
  cpu->lanes[thread].settled += pass->seed_count;
  raise_bar(pass, probe);
  ((uint32_t *)pass->heap_counts.data)[probe] = 0;
}

void lk_cpu_seed(lk_backend *backend, const uint64_t *rows, uint32_t rows_count) {
  lk_cpu *cpu = (lk_cpu *)backend;
  cpu->pass.seed_rows = rows;
  cpu->pass.seed_count = rows_count;
  lk_pool_run(cpu->pool, cpu->pass.batch.count, seed_probe, cpu);
}

/* One tile as its scan needs it. */
struct tile_view {
  const lk_block *block;
  const lk_tile *tile;
  const uint8_t *packed;
  uint32_t rows;      /* of the tile */
  uint32_t first;     /* its first row in the block */
  uint64_t block_row; /* the block's first row among all */
  const int8_t *codes;
  const float *rotated;
  const lk_probe_bound *bounds;
};

static struct tile_view view_tile(const lk_cpu_pass *pass, uint32_t tile) {
  const uint64_t *first_tile = pass->hold_first_tile.data;
  uint32_t h = find_hold(first_tile, pass->batch.holds_count, tile), t = tile - (uint32_t)first_tile[h];
  const lk_cpu_hold *hold = hold_at(pass, h);
  uint32_t width = lk_cpu_width(pass->batch.shape.dim), left = hold->base.rows - t * LK_TILE_ROWS;
  size_t frame_probes = (size_t)((const uint32_t *)pass->hold_frame.data)[h] * pass->batch.count;
  return (struct tile_view){.block = &hold->block,
                            .tile = &hold->tiles[t],
                            .packed = hold->packed + (size_t)t * LK_TILE_ROWS * width,
                            .rows = left < LK_TILE_ROWS ? left : LK_TILE_ROWS,
                            .first = t * LK_TILE_ROWS,
                            .block_row = ((const uint64_t *)pass->hold_first_row.data)[h],
                            .codes = (const int8_t *)pass->codes.data + frame_probes * width,
                            .rotated = (const float *)pass->rotated.data + frame_probes * width,
                            .bounds = (const lk_probe_bound *)pass->bounds.data + frame_probes};
}

/* The threshold on a kernel's sum, which is the product of codes plus a constant of the probe. */
static int32_t shifted_threshold(lk_metric metric, const lk_probe_bound *probe, const lk_tile *tile, float bar) {
  int32_t threshold = lk_bound_threshold(metric, probe, tile, bar);
  int64_t shifted = (int64_t)threshold + (int64_t)LK_CODE_SHIFT * probe->code_sum;
  if (threshold == INT32_MIN || shifted < INT32_MIN) return INT32_MIN;
  return threshold == INT32_MAX || shifted > INT32_MAX ? INT32_MAX : (int32_t)shifted;
}

static void settle(const lk_cpu *cpu, lk_cpu_lane *lane, const struct tile_view *view, uint32_t probe, uint32_t row) {
  const lk_cpu_pass *pass = &cpu->pass;
  lk_shape shape = pass->batch.shape;
  uint32_t width = lk_cpu_width(shape.dim), r = view->first + row;
  float bar = ((const float *)pass->bars.data)[probe];
  lane->survivors++;
  const uint8_t *packed =
      view->packed + (size_t)(row / LK_STRIP_ROWS) * LK_STRIP_ROWS * width + (size_t)(row % LK_STRIP_ROWS) * LK_STEP;
  float dot = cpu->isa->dot(packed, width, view->rotated + (size_t)probe * width);
  if (!lk_bound_reaches(shape.metric, shape.dim, &view->bounds[probe], view->tile, &view->block->bounds[r], bar, dot))
    return;
  lane->settled++;
  float score = cpu->isa->score(shape.metric, pass->batch.probes + (size_t)probe * shape.dim,
                                view->block->exact + (size_t)r * shape.dim, shape.dim);
  if (score < bar) return;
  lane->pending[lane->pending_count++] =
      (lk_pending){.probe = probe,
                   .hit = {.number = view->block->numbers[r], .score = score, .row = (uint32_t)(view->block_row + r)}};
}

static void scan_tile(void *context, uint32_t thread, uint32_t item) {
  lk_cpu *cpu = context;
  lk_cpu_pass *pass = &cpu->pass;
  lk_cpu_lane *lane = &cpu->lanes[thread];
  struct tile_view view = view_tile(pass, pass->round_tiles[item]);
  uint32_t width = lk_cpu_width(pass->batch.shape.dim), strips = (view.rows + LK_STRIP_ROWS - 1) / LK_STRIP_ROWS;
  uint16_t survivors[LK_SCAN_PROBES * LK_TILE_ROWS];
  for (uint32_t first = 0; first < pass->batch.count; first += LK_SCAN_PROBES) {
    uint32_t left = pass->batch.count - first, count = left < LK_SCAN_PROBES ? left : LK_SCAN_PROBES;
    int32_t thresholds[LK_SCAN_PROBES];
    for (uint32_t p = 0; p < count; p++)
      thresholds[p] = shifted_threshold(pass->batch.shape.metric, &view.bounds[first + p], view.tile,
                                        ((float *)pass->bars.data)[first + p]);
    if (lane->pending_count + LK_SCAN_PROBES * LK_TILE_ROWS > LK_LANE_PENDING) atomic_store(&pass->overflow, true);
    if (atomic_load_explicit(&pass->overflow, memory_order_relaxed)) return;
    size_t found =
        cpu->isa->scan(view.packed, strips, width, view.codes + (size_t)first * width, count, thresholds, survivors);
    for (size_t i = 0; i < found; i++) {
      uint32_t row = survivors[i] % LK_TILE_ROWS;
      if (row < view.rows) settle(cpu, lane, &view, first + survivors[i] / LK_TILE_ROWS, row);
    }
  }
  lane->scanned += (uint64_t)view.rows * pass->batch.count;
}

/* Gives every `threads`-th probe its hits of the round. */
static void collect(void *context, uint32_t thread, uint32_t item) {
  (void)thread;
  lk_cpu *cpu = context;
  uint32_t threads = lk_pool_threads(cpu->pool);
  for (uint32_t t = 0; t < threads; t++)
    for (uint32_t i = 0; i < cpu->lanes[t].pending_count; i++) {
      const lk_pending *pending = &cpu->lanes[t].pending[i];
      if (pending->probe % threads == item) push(&cpu->pass, pending->probe, pending->hit);
    }
  for (uint32_t p = item; p < cpu->pass.batch.count; p += threads) raise_bar(&cpu->pass, p);
}

bool lk_cpu_round(lk_backend *backend, const uint32_t *tiles, uint32_t tiles_count) {
  lk_cpu *cpu = (lk_cpu *)backend;
  uint32_t threads = lk_pool_threads(cpu->pool);
  cpu->pass.round_tiles = tiles;
  atomic_store(&cpu->pass.overflow, false);
  lk_pool_run(cpu->pool, tiles_count, scan_tile, cpu);
  bool complete = !atomic_load(&cpu->pass.overflow);
  if (complete) lk_pool_run(cpu->pool, threads, collect, cpu);
  for (uint32_t t = 0; t < threads; t++) cpu->lanes[t].pending_count = 0;
  return complete;
}

static void copy_out(void *context, uint32_t thread, uint32_t probe) {
  (void)thread;
  lk_cpu_pass *pass = &((lk_cpu *)context)->pass;
  uint32_t k = pass->batch.k, count = ((uint32_t *)pass->heap_counts.data)[probe];
  lk_hit *heap = (lk_hit *)pass->heaps.data + (size_t)probe * k;
  lk_topk_sort(heap, count);
  memcpy(pass->out + (size_t)probe * k, heap, count * sizeof *heap);
  pass->out_counts[probe] = count;
}

void lk_cpu_finish(lk_backend *backend, lk_hit *hits, uint32_t *counts, lk_search_stats *stats) {
  lk_cpu *cpu = (lk_cpu *)backend;
  cpu->pass.out = hits;
  cpu->pass.out_counts = counts;
  lk_pool_run(cpu->pool, cpu->pass.batch.count, copy_out, cpu);
  for (uint32_t t = 0; t < lk_pool_threads(cpu->pool); t++) {
    lk_cpu_lane *lane = &cpu->lanes[t];
    stats->scanned += lane->scanned;
    stats->survivors += lane->survivors;
    stats->settled += lane->settled;
    lane->scanned = lane->survivors = lane->settled = 0;
  }
}
