/* The seed. It takes a sample of whole tiles and scores exactly each probe's best k visible rows by their codes; the
 * worst of these scores is the probe's first bar. Codes choose so well that this bar is close to the sample's k-th
 * score, and it costs k exact scores where scoring the whole sample would cost several hundred. */
#include "kernels/cpu/internal.h"
#include "kernels/cpu/topk.h"

enum { SAMPLED = 4 }; /* for each row that the plan would score, so many rows' codes are looked at */

/* A row's score, as its code approximates it. */
static float estimate(lk_metric metric, const lk_tile_view *view, const lk_probe_bound *probe, uint32_t row,
                      int32_t sum) {
  double product = probe->scale * view->tile->scale * (sum - LK_CODE_SHIFT * probe->code_sum);
  double norm = view->rows_bounds[row].norm;
  return (float)(probe->offset + (metric == LK_L2 ? 2 * product - norm * norm : product));
}

/* The least sum with which the tile's shortest row is estimated at `score`. */
static int32_t least_sum(lk_metric metric, const lk_tile_view *view, const lk_probe_bound *probe, float score) {
  const lk_tile *tile = view->tile;
  double least = score - probe->offset;
  if (metric == LK_L2) least = (least + (double)tile->norm_min * tile->norm_min) / 2;
  double sum = least / (probe->scale * tile->scale) + LK_CODE_SHIFT * probe->code_sum;
  return !(sum > INT32_MIN) ? INT32_MIN : sum >= INT32_MAX ? INT32_MAX : (int32_t)sum;
}

/* Fills the heap with estimated scores; raise_to_worst replaces them by exact ones. */
static void push_rows(lk_cpu_pass *pass, const lk_tile_view *view, uint32_t probe, const int32_t *sums) {
  lk_metric metric = pass->batch.shape.metric;
  const lk_probe_bound *bound = &view->bounds[probe];
  const lk_hit *worst = &pass->heaps[(size_t)probe * pass->batch.k];
  bool full = pass->heap_counts[probe] == pass->batch.k;
  int32_t least = full ? least_sum(metric, view, bound, worst->score) : INT32_MIN;
  for (uint32_t r = 0; r < view->rows; r++) {
    if (sums[r] < least || !lk_cpu_visible(pass, view->placement, view->first + r)) continue;
    float score = estimate(metric, view, bound, r, sums[r]);
    if (full && score <= worst->score) continue;
    lk_cpu_push(pass, probe, lk_cpu_hit(pass, view->placement, view->first + r, score));
    full = pass->heap_counts[probe] == pass->batch.k;
    if (full) least = least_sum(metric, view, bound, worst->score);
  }
}

static void push_tile(lk_cpu *cpu, lk_cpu_thread *thread, uint32_t tile, uint32_t first, uint32_t count) {
  lk_tile_view view = lk_cpu_view_tile(&cpu->pass, tile);
  uint32_t width = lk_cpu_width(cpu->pass.batch.shape.dim), strips = (view.rows + LK_STRIP_ROWS - 1) / LK_STRIP_ROWS;
  if (!lk_cpu_goes_on(&cpu->pass, thread, (uint64_t)view.rows * width * count)) return;
  int32_t sums[LK_SUM_PROBES * LK_TILE_ROWS];
  cpu->isa->sum(view.packed, strips, width, view.codes + first * lk_probe_stride(width), count, sums);
  for (uint32_t p = 0; p < count; p++) push_rows(&cpu->pass, &view, first + p, sums + p * LK_TILE_ROWS);
}

/* Raises the bar to the worst exact score of the rows in the heap, and empties the heap. */
static void raise_to_worst(lk_cpu *cpu, lk_cpu_thread *thread, uint32_t probe) {
  lk_cpu_pass *pass = &cpu->pass;
  uint32_t k = pass->batch.k, count = pass->heap_counts[probe];
  float worst = INFINITY;
  if (!lk_cpu_goes_on(pass, thread, (uint64_t)count * pass->batch.shape.dim)) return;
  for (uint32_t i = 0; i < count; i++) {
    lk_hit *hit = &pass->heaps[(size_t)probe * k + i];
    const lk_placement *placement = lk_cpu_placement_of_row(pass, hit->row);
    hit->score = lk_cpu_score(cpu, probe, placement, hit->row - placement->first_row);
    lk_cpu_certify(cpu, probe, hit);
    worst = fminf(worst, hit->score);
  }
  thread->rescored += count;
  if (count == k && worst > pass->bars[probe]) pass->bars[probe] = worst;
  pass->heap_counts[probe] = 0;
}

static void seed_probes(void *context, uint32_t thread, uint32_t item) {
  lk_cpu *cpu = context;
  lk_cpu_pass *pass = &cpu->pass;
  uint32_t first = item * LK_SUM_PROBES, left = pass->batch.count - first;
  uint32_t count = left < LK_SUM_PROBES ? left : LK_SUM_PROBES;
  uint64_t last = UINT64_MAX;
  for (uint32_t i = 0; i < pass->seed_count; i += LK_TILE_ROWS / SAMPLED) {
    const lk_placement *placement = lk_cpu_placement_of_row(pass, pass->seed_rows[i]);
    uint64_t tile = placement->first_tile + (pass->seed_rows[i] - placement->first_row) / LK_TILE_ROWS;
    /* A row that comes twice would raise a wrong bar. */
    if (tile != last) push_tile(cpu, &cpu->threads[thread], (uint32_t)tile, first, count);
    last = tile;
  }
  for (uint32_t p = first; p < first + count; p++) raise_to_worst(cpu, &cpu->threads[thread], p);
}

void lk_cpu_seed(lk_backend *backend, const uint64_t *rows, uint32_t rows_count) {
  lk_cpu *cpu = (lk_cpu *)backend;
  cpu->pass.seed_rows = rows;
  cpu->pass.seed_count = rows_count;
  lk_pool_run(cpu->pool, (cpu->pass.batch.count + LK_SUM_PROBES - 1) / LK_SUM_PROBES, seed_probes, cpu);
}
