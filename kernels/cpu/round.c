/* The rounds of a pass. A thread scans a tile for a few probes at a time, and looks at the survivors at once, while the
 * tile's codes are in its cache. Hits wait in their thread's list until the round is over, since the bars stand still
 * during a round; then each probe's hits go to its heap and raise its bar. */
#include "kernels/bound.h"
#include "kernels/cpu/internal.h"
#include "kernels/cpu/topk.h"

/* A bar never falls: the seed's bar stays until the heap's k-th score is above it. */
static void raise_bar(lk_cpu_pass *pass, uint32_t probe) {
  uint32_t k = pass->batch.k;
  if (pass->heap_counts[probe] < k) return;
  float kth = pass->heaps[(size_t)probe * k].score;
  if (kth > pass->bars[probe]) pass->bars[probe] = kth;
}

void lk_cpu_push(lk_cpu_pass *pass, uint32_t probe, lk_hit hit) {
  uint32_t k = pass->batch.k;
  lk_hit *heap = pass->heaps + (size_t)probe * k;
  if (pass->batch.by_subject)
    lk_topk_push_subject(heap, &pass->heap_counts[probe], k, hit);
  else
    lk_topk_push(heap, &pass->heap_counts[probe], k, hit);
}

lk_hit lk_cpu_hit(const lk_cpu_pass *pass, const lk_placement *placement, uint32_t row, float score) {
  const lk_block *block = &placement->resident->block;
  return (lk_hit){.number = block->numbers[row],
                  .row = (uint32_t)(placement->first_row + row),
                  .subject = pass->batch.by_subject ? block->subjects[row] : 0,
                  .score = score};
}

float lk_cpu_score(const lk_cpu *cpu, uint32_t probe, const lk_placement *placement, uint32_t row) {
  lk_shape shape = cpu->pass.batch.shape;
  float room[LK_DIM_MAX];
  const float *x = lk_cpu_row(cpu, &placement->resident->block, row, room);
  double reciprocals = cpu->pass.reciprocals[probe] * lk_cpu_reciprocal(&placement->resident->block, row);
  return cpu->isa->score(shape.metric, cpu->pass.batch.probes + (size_t)probe * shape.dim, x, shape.dim, reciprocals);
}

/* A hit of the exact scan goes to its probe's heap at once; a range search leaves it with the thread. */
static void take(lk_cpu *cpu, lk_cpu_thread *thread, uint32_t probe, lk_hit hit) {
  if (cpu->pass.batch.k != LK_K_ALL) {
    lk_cpu_push(&cpu->pass, probe, hit);
    return;
  }
  lk_cpu_certify(cpu, probe, &hit);
  if (thread->pending_count == thread->pending_room) lk_cpu_range_keep(cpu, thread);
  thread->pending[thread->pending_count++] = (lk_pending){.probe = probe, .hit = hit};
}

/* Scores the visible rows of a block from `row` on and before `end`. The bar is still the caller's threshold. False:
 * the search was cancelled. */
static bool score_rows(lk_cpu *cpu, lk_cpu_thread *thread, uint32_t probe, const lk_placement *placement, uint64_t row,
                       uint64_t end) {
  lk_cpu_pass *pass = &cpu->pass;
  uint64_t rescored = 0, looked = (end - row) / 64;
  for (; row < end; row++) {
    if (pass->filtered) {
      uint64_t word = pass->visible[placement->first_word + row / 64] >> row % 64;
      if (word == 0)
        row |= 63;
      else
        row += (uint64_t)__builtin_ctzll(word);
      if (word == 0 || row >= end) continue;
    }
    float score = lk_cpu_score(cpu, probe, placement, (uint32_t)row);
    if (score >= pass->bars[probe]) take(cpu, thread, probe, lk_cpu_hit(pass, placement, (uint32_t)row, score));
    rescored++;
  }
  thread->rescored += rescored;
  return lk_cpu_goes_on(pass, thread, rescored * pass->batch.shape.dim + looked * LK_ROW_PRODUCTS);
}

/* The exact scan scores a group of probes with one slice of rows after the other: a slice stays in the cache. */
enum { GROUP_PROBES = 32, SLICE_ROWS = 4096 };

/* A group is smaller where probes are few, so that each thread has one. */
static uint32_t group_size(const lk_cpu *cpu) {
  uint32_t share = cpu->pass.batch.count / lk_pool_threads(cpu->pool);
  return share < 1 ? 1 : share < GROUP_PROBES ? share : GROUP_PROBES;
}

/* Runs `task` once for each group. */
static void run_groups(lk_cpu *cpu, void (*task)(void *context, uint32_t thread, uint32_t group)) {
  uint32_t size = group_size(cpu);
  lk_pool_run(cpu->pool, (cpu->pass.batch.count + size - 1) / size, task, cpu);
}

static uint32_t least(uint32_t a, uint32_t b) { return a < b ? a : b; }

/* Packed codes lie so that a row's are spread over 8 KiB and more. To read them for every row would take longer than to
 * score it, so the exact scan certifies what is in the answer. False: the search was cancelled. */
static bool certify_heap(lk_cpu *cpu, lk_cpu_thread *thread, uint32_t probe) {
  const lk_hit *heap = cpu->pass.heaps + (size_t)probe * cpu->pass.batch.k;
  uint32_t count = cpu->pass.heap_counts[probe];
  for (uint32_t i = 0; i < count; i++) lk_cpu_certify(cpu, probe, &heap[i]);
  return lk_cpu_goes_on(&cpu->pass, thread, (uint64_t)count * cpu->pass.batch.shape.dim);
}

static void score_group(void *context, uint32_t thread, uint32_t group) {
  lk_cpu *cpu = context;
  uint32_t size = group_size(cpu), first = group * size, end = least(first + size, cpu->pass.batch.count);
  for (uint32_t h = 0; h < cpu->pass.batch.blocks_count; h++) {
    const lk_placement *placement = &cpu->pass.placements[h];
    for (uint64_t row = 0, rows = placement->resident->base.rows; row < rows; row += SLICE_ROWS)
      for (uint32_t p = first; p < end; p++)
        if (!score_rows(cpu, &cpu->threads[thread], p, placement, row,
                        rows - row < SLICE_ROWS ? rows : row + SLICE_ROWS))
          return;
  }
  for (uint32_t p = first; cpu->pass.batch.k != LK_K_ALL && p < end; p++)
    if (!certify_heap(cpu, &cpu->threads[thread], p)) return;
}

void lk_cpu_exact_scan(lk_backend *backend) { run_groups((lk_cpu *)backend, score_group); }

lk_tile_view lk_cpu_view_tile(const lk_cpu_pass *pass, uint32_t tile) {
  const lk_placement *placement = lk_cpu_placement_of_tile(pass, tile);
  const lk_cpu_resident_block *resident = placement->resident;
  uint32_t t = tile - placement->first_tile, left = resident->base.rows - t * LK_TILE_ROWS;
  uint32_t outliers = t == 0 ? 0 : resident->outliers.ends[t - 1];
  size_t width = lk_cpu_width(pass->batch.shape.dim), probes = (size_t)placement->centre * pass->batch.count;
  size_t coded = pass->batch.shape.metric == LK_L2 ? probes : 0;
  return (lk_tile_view){.placement = placement,
                        .tile = &resident->tiles[t],
                        .packed = resident->packed + (size_t)t * LK_TILE_ROWS * width,
                        .rows = left < LK_TILE_ROWS ? left : LK_TILE_ROWS,
                        .first = t * LK_TILE_ROWS,
                        .rows_bounds = resident->block.bounds + (size_t)t * LK_TILE_ROWS,
                        .outliers = resident->outliers.rows + outliers,
                        .outliers_count = resident->outliers.ends[t] - outliers,
                        .codes = pass->codes + coded * lk_probe_stride(lk_cpu_width(pass->batch.shape.dim)),
                        .rotated = pass->rotated + coded * width,
                        .bounds = pass->bounds + probes};
}

/* The threshold for a kernel's sum, which is the product of codes plus a constant of the probe. */
static int32_t shifted_threshold(lk_metric metric, const lk_probe_bound *probe, const lk_tile *tile, float bar) {
  int32_t threshold = lk_bound_threshold(metric, probe, tile, bar);
  int64_t shifted = (int64_t)threshold + (int64_t)LK_CODE_SHIFT * probe->code_sum;
  if (threshold == INT32_MIN || shifted < INT32_MIN) return INT32_MIN;
  return threshold == INT32_MAX || shifted > INT32_MAX ? INT32_MAX : (int32_t)shifted;
}

float lk_cpu_dot(const lk_cpu *cpu, const lk_tile_view *view, uint32_t probe, uint32_t row) {
  uint32_t width = lk_cpu_width(cpu->pass.batch.shape.dim);
  const uint8_t *packed =
      view->packed + (size_t)(row / LK_STRIP_ROWS) * LK_STRIP_ROWS * width + (size_t)(row % LK_STRIP_ROWS) * LK_STEP;
  return cpu->isa->dot(packed, width, view->rotated + (size_t)probe * width);
}

/* One damaged row is enough to name; the row may have changed since its code was made, or the code. */
static void certify(lk_cpu *cpu, const lk_tile_view *view, uint32_t probe, uint32_t row, float score, float dot) {
  lk_shape shape = cpu->pass.batch.shape;
  if (!lk_bound_allows(shape.metric, shape.dim, &view->bounds[probe], view->tile, &view->rows_bounds[row], score, dot))
    atomic_store(&cpu->pass.damaged, UINT64_C(1) + view->placement->first_row + view->first + row);
}

void lk_cpu_certify(lk_cpu *cpu, uint32_t probe, const lk_hit *hit) {
  const lk_placement *placement = lk_cpu_placement_of_row(&cpu->pass, hit->row);
  uint32_t row = hit->row - placement->first_row;
  lk_tile_view view = lk_cpu_view_tile(&cpu->pass, placement->first_tile + row / LK_TILE_ROWS);
  row %= LK_TILE_ROWS;
  certify(cpu, &view, probe, row, hit->score, lk_cpu_dot(cpu, &view, probe, row));
}

void lk_cpu_rescore(lk_cpu *cpu, lk_cpu_thread *thread, const lk_tile_view *view, uint32_t probe, uint32_t row,
                    float dot) {
  thread->rescored++;
  float score = lk_cpu_score(cpu, probe, view->placement, view->first + row);
  certify(cpu, view, probe, row, score, dot);
  if (score >= cpu->pass.bars[probe])
    thread->pending[thread->pending_count++] =
        (lk_pending){.probe = probe, .hit = lk_cpu_hit(&cpu->pass, view->placement, view->first + row, score)};
}

/* Prefetches a stored row, which is seldom in a cache. */
static void fetch(const lk_cpu *cpu, const lk_block *block, uint32_t row) {
  lk_shape shape = cpu->pass.batch.shape;
  size_t bytes = shape.dim * (shape.store == LK_STORE_F32 ? sizeof(float) : sizeof(uint16_t));
  for (size_t i = 0; i < bytes; i += 64) __builtin_prefetch((const char *)block->exact + row * bytes + i);
  if (block->reciprocals != NULL) __builtin_prefetch(&block->reciprocals[row]);
}

/* Whether the row is visible and can still reach the bar, now by its product with the float probe. */
static bool rescreen(const lk_cpu *cpu, lk_cpu_thread *thread, const lk_tile_view *view, uint32_t probe, uint32_t row,
                     float *dot) {
  const lk_cpu_pass *pass = &cpu->pass;
  if (!lk_cpu_visible(pass, view->placement, view->first + row)) return false;
  thread->survivors++;
  *dot = lk_cpu_dot(cpu, view, probe, row);
  bool reaches = lk_bound_reaches(pass->batch.shape.metric, pass->batch.shape.dim, &view->bounds[probe], view->tile,
                                  &view->rows_bounds[row], pass->bars[probe], *dot);
  if (reaches) fetch(cpu, &view->placement->resident->block, view->first + row);
  return reaches;
}

bool lk_cpu_has_room(lk_cpu_pass *pass, const lk_cpu_thread *thread, uint32_t probes) {
  if (thread->pending_count + probes * LK_TILE_ROWS > thread->pending_room) atomic_store(&pass->overflow, true);
  return !atomic_load_explicit(&pass->overflow, memory_order_relaxed);
}

/* The pairs of a tile that are rescored, and their products with the float probe. */
struct kept {
  size_t count;
  uint16_t pairs[LK_SCAN_PROBES * LK_TILE_ROWS];
  float dots[LK_SCAN_PROBES * LK_TILE_ROWS];
};

/* Keeps a pair if it is not rescreened away. */
static void keep_pair(const lk_cpu *cpu, lk_cpu_thread *thread, const lk_tile_view *view, uint32_t first,
                      struct kept *kept, uint16_t pair) {
  if (!rescreen(cpu, thread, view, first + pair / LK_TILE_ROWS, pair % LK_TILE_ROWS, &kept->dots[kept->count])) return;
  kept->pairs[kept->count++] = pair;
}

/* Scans a tile's codes for `count` probes from `first` on. */
static void scan_probes(lk_cpu *cpu, lk_cpu_thread *thread, const lk_tile_view *view, uint32_t first, uint32_t count) {
  lk_cpu_pass *pass = &cpu->pass;
  uint32_t width = lk_cpu_width(pass->batch.shape.dim), strips = (view->rows + LK_STRIP_ROWS - 1) / LK_STRIP_ROWS;
  uint16_t survivors[LK_SCAN_PROBES * LK_TILE_ROWS];
  int32_t thresholds[LK_SCAN_PROBES];
  bool any = false;
  for (uint32_t p = 0; p < count; p++) {
    thresholds[p] =
        shifted_threshold(pass->batch.shape.metric, &view->bounds[first + p], view->tile, pass->bars[first + p]);
    any |= thresholds[p] != INT32_MAX;
  }
  size_t found = 0;
  if (any) {
    found = cpu->isa->scan(view->packed, strips, width, view->codes + first * lk_probe_stride(width), count, thresholds,
                           survivors);
    thread->scanned += (uint64_t)view->rows * count;
  }
  struct kept kept;
  kept.count = 0;
  for (size_t i = 0; i < found; i++) {
    uint32_t row = survivors[i] % LK_TILE_ROWS;
    if (row < view->rows && lk_row_fits(view->tile, &view->rows_bounds[row]))
      keep_pair(cpu, thread, view, first, &kept, survivors[i]);
  }
  for (uint32_t i = 0; i < view->outliers_count; i++)
    for (uint32_t p = 0; p < count; p++)
      keep_pair(cpu, thread, view, first, &kept, (uint16_t)(p * LK_TILE_ROWS + view->outliers[i] - view->first));
  for (size_t i = 0; i < kept.count; i++)
    lk_cpu_rescore(cpu, thread, view, first + kept.pairs[i] / LK_TILE_ROWS, kept.pairs[i] % LK_TILE_ROWS, kept.dots[i]);
}

static void scan_tile(void *context, uint32_t number, uint32_t item) {
  lk_cpu *cpu = context;
  lk_cpu_pass *pass = &cpu->pass;
  lk_cpu_thread *thread = &cpu->threads[number];
  lk_tile_view view = lk_cpu_view_tile(pass, pass->round_tiles[item]);
  if (pass->in_float) {
    lk_cpu_float_scan(cpu, thread, &view);
    return;
  }
  uint64_t products = (uint64_t)view.rows * lk_cpu_width(pass->batch.shape.dim);
  for (uint32_t first = 0; first < pass->batch.count; first += cpu->isa->scan_probes) {
    uint32_t left = pass->batch.count - first, most = cpu->isa->scan_probes, count = left < most ? left : most;
    if (!lk_cpu_goes_on(pass, thread, products * count) || !lk_cpu_has_room(pass, thread, count)) return;
    scan_probes(cpu, thread, &view, first, count);
  }
}

static void keep(void *context, uint32_t thread, uint32_t item) {
  (void)thread;
  lk_cpu *cpu = context;
  lk_cpu_range_keep(cpu, &cpu->threads[item]);
}

/* Gives every `threads`-th probe its hits of the round, and raises its bar. */
static void collect(void *context, uint32_t thread, uint32_t item) {
  lk_cpu *cpu = context;
  uint32_t threads = lk_pool_threads(cpu->pool);
  uint64_t products = cpu->pass.batch.by_subject ? LK_HIT_PRODUCTS + cpu->pass.batch.k : LK_HIT_PRODUCTS;
  for (uint32_t t = 0; t < threads; t++)
    for (uint32_t i = 0; i < cpu->threads[t].pending_count; i++) {
      const lk_pending *pending = &cpu->threads[t].pending[i];
      if (pending->probe % threads != item) continue;
      if (!lk_cpu_goes_on(&cpu->pass, &cpu->threads[thread], products)) return;
      lk_cpu_push(&cpu->pass, pending->probe, pending->hit);
    }
  for (uint32_t p = item; p < cpu->pass.batch.count; p += threads) raise_bar(&cpu->pass, p);
}

/* False: a thread had no room for its hits. */
static bool run_round(lk_cpu *cpu, const uint32_t *tiles, uint32_t tiles_count, bool in_float, lk_round *done) {
  uint32_t threads = lk_pool_threads(cpu->pool);
  uint64_t rescored_before = 0;
  for (uint32_t t = 0; t < threads; t++) rescored_before += cpu->threads[t].rescored;
  cpu->pass.round_tiles = tiles;
  cpu->pass.in_float = in_float;
  atomic_store(&cpu->pass.overflow, false);
  lk_pool_run(cpu->pool, tiles_count, scan_tile, cpu);
  *done = (lk_round){.rescored = -rescored_before};
  for (uint32_t t = 0; t < threads; t++) {
    done->rescored += cpu->threads[t].rescored;
    done->hits += cpu->threads[t].pending_count;
  }
  bool complete = !atomic_load(&cpu->pass.overflow);
  if (complete) lk_pool_run(cpu->pool, threads, cpu->pass.batch.k == LK_K_ALL ? keep : collect, cpu);
  for (uint32_t t = 0; t < threads; t++) cpu->threads[t].pending_count = 0;
  return complete;
}

uint32_t lk_cpu_rounds(lk_backend *backend, const lk_scan_order *order, const lk_run *runs, uint32_t count,
                       bool in_float, lk_round *done) {
  lk_cpu *cpu = (lk_cpu *)backend;
  for (uint32_t i = 0; i < count; i++) {
    uint32_t tiles = runs[i].end - runs[i].begin;
    if (!lk_control_goes_on(cpu->pass.batch.control)) return i;
    if (!run_round(cpu, order->tiles + runs[i].begin, tiles, in_float, &done[i])) return i;
    if (!in_float && lk_plan_wants_float_scan(tiles, cpu->pass.batch.count, done[i].rescored, done[i].hits))
      return i + 1;
  }
  return count;
}
