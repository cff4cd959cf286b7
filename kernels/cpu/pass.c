/* A pass before and after its rounds (round.c): it lays out memory, finds the visible rows and codes the probes; in the
 * end it hands out the lists. */
#include <stdlib.h>
#include <string.h>

#include "kernels/begins.h"
#include "kernels/cpu/internal.h"
#include "kernels/cpu/topk.h"

void lk_cpu_pass_free(lk_cpu_pass *pass) {
  lk_buffer *buffers[] = {&pass->placements_buffer, &pass->visible_buffer, &pass->reciprocals_buffer,
                          &pass->codes_buffer,      &pass->rotated_buffer, &pass->bounds_buffer,
                          &pass->heaps_buffer,      &pass->counts_buffer,  &pass->bars_buffer};
  for (size_t i = 0; i < sizeof buffers / sizeof buffers[0]; i++) lk_buffer_free(buffers[i]);
  lk_centres_free(&pass->centres);
}

static bool lay_out_blocks(lk_cpu_pass *pass) {
  uint32_t blocks = pass->batch.blocks_count;
  pass->placements = lk_buffer_reserve(&pass->placements_buffer, (size_t)blocks + 1, sizeof *pass->placements);
  if (!lk_centres_start(&pass->centres, pass->batch.shape, blocks) || pass->placements == NULL) return false;
  pass->filtered = false;
  lk_placement next = {0};
  for (uint32_t b = 0; b < blocks; b++) {
    next.resident = (const lk_cpu_resident_block *)pass->batch.blocks[b];
    next.centre = lk_centres_add(&pass->centres, next.resident->block.mean);
    pass->placements[b] = next;
    next.first_tile += next.resident->base.tiles;
    next.first_row += next.resident->base.rows;
    next.first_word += (next.resident->base.rows + 63) / 64;
    const uint64_t *allowed = pass->batch.filter.allowed != NULL ? pass->batch.filter.allowed[b] : NULL;
    if (!lk_all_visible(&next.resident->block.visibility, &pass->batch.filter, allowed)) pass->filtered = true;
  }
  pass->placements[blocks] = next;
  return true;
}

const lk_placement *lk_cpu_placement_of_tile(const lk_cpu_pass *pass, uint32_t tile) {
  const lk_placement *first = pass->placements;
  return &first[lk_last_begin(&first->first_tile, sizeof *first, pass->batch.blocks_count, tile)];
}

const lk_placement *lk_cpu_placement_of_row(const lk_cpu_pass *pass, uint32_t row) {
  const lk_placement *first = pass->placements;
  return &first[lk_last_begin(&first->first_row, sizeof *first, pass->batch.blocks_count, row)];
}

static bool lay_out_probes(lk_cpu_pass *pass) {
  size_t count = pass->batch.count, width = lk_cpu_width(pass->batch.shape.dim),
         coded = lk_centres_coded(&pass->centres);
  size_t stride = lk_probe_stride(lk_cpu_width(pass->batch.shape.dim));
  pass->reciprocals = lk_buffer_reserve(&pass->reciprocals_buffer, count, sizeof *pass->reciprocals);
  pass->codes = lk_buffer_reserve(&pass->codes_buffer, (coded * count + LK_PROBE_GROUP) * stride, sizeof *pass->codes);
  pass->rotated = lk_buffer_reserve(&pass->rotated_buffer, coded * count * width, sizeof *pass->rotated);
  pass->bounds = lk_buffer_reserve(&pass->bounds_buffer, pass->centres.count * count, sizeof *pass->bounds);
  pass->heaps = lk_buffer_reserve(&pass->heaps_buffer, pass->batch.k == LK_K_ALL ? 0 : count * pass->batch.k,
                                  sizeof *pass->heaps);
  pass->heap_counts = lk_buffer_reserve(&pass->counts_buffer, count, sizeof *pass->heap_counts);
  pass->bars = lk_buffer_reserve(&pass->bars_buffer, count, sizeof *pass->bars);
  return pass->reciprocals != NULL && pass->codes != NULL && pass->rotated != NULL && pass->bounds != NULL &&
         pass->heaps != NULL && pass->heap_counts != NULL && pass->bars != NULL;
}

/* A round finds some k to 2 k hits a probe, and one thread may find more of them than another. */
static uint32_t pending_room(const lk_batch *batch, uint32_t threads) {
  if (batch->k == LK_K_ALL) return LK_THREAD_HITS_LEAST;
  uint64_t hits = (uint64_t)3 * batch->k * batch->count / threads;
  return hits < LK_THREAD_HITS_LEAST  ? LK_THREAD_HITS_LEAST
         : hits > LK_THREAD_HITS_MOST ? LK_THREAD_HITS_MOST
                                      : (uint32_t)hits;
}

static bool lay_out_threads(lk_cpu *cpu) {
  const lk_batch *batch = &cpu->pass.batch;
  uint32_t threads = lk_pool_threads(cpu->pool), room = pending_room(batch, threads);
  size_t float_bytes = lk_cpu_float_bytes(batch->shape, batch->count);
  for (uint32_t t = 0; t < threads; t++) {
    lk_cpu_thread *thread = &cpu->threads[t];
    thread->pending = lk_buffer_reserve(&thread->pending_buffer, room, sizeof *thread->pending);
    thread->pending_room = room;
    thread->pending_count = 0;
    thread->found_count = 0;
    thread->scanned = thread->survivors = thread->rescored = 0;
    if (thread->pending == NULL || lk_buffer_reserve(&thread->float_buffer, float_bytes, 1) == NULL) return false;
  }
  return true;
}

/* Fills the four words of the bitmap that one tile has. */
static void find_visible(void *context, uint32_t thread, uint32_t tile) {
  lk_cpu *cpu = context;
  lk_cpu_pass *pass = &cpu->pass;
  if (!lk_cpu_goes_on(pass, &cpu->threads[thread], LK_TILE_ROWS * LK_ROW_PRODUCTS)) return;
  const lk_placement *placement = lk_cpu_placement_of_tile(pass, tile);
  const lk_filter *filter = &pass->batch.filter;
  const uint64_t *allowed = filter->allowed != NULL ? filter->allowed[placement - pass->placements] : NULL;
  uint32_t first = (tile - placement->first_tile) * LK_TILE_ROWS, rows = placement->resident->base.rows;
  for (uint32_t begin = first; begin < first + LK_TILE_ROWS && begin < rows; begin += 64) {
    uint32_t count = rows - begin < 64 ? rows - begin : 64;
    uint64_t word = lk_visible_word(&placement->resident->block.visibility, filter, allowed, begin, count);
    pass->visible[placement->first_word + begin / 64] = word;
    cpu->threads[thread].visible += (uint64_t)__builtin_popcountll(word);
  }
}

static bool mark_visible(lk_cpu *cpu, uint64_t *visible) {
  lk_cpu_pass *pass = &cpu->pass;
  const lk_placement *end = &pass->placements[pass->batch.blocks_count];
  *visible = end->first_row;
  if (!pass->filtered) return true;
  pass->visible = lk_buffer_reserve(&pass->visible_buffer, end->first_word, sizeof *pass->visible);
  if (pass->visible == NULL) return false;
  lk_pool_run(cpu->pool, end->first_tile, find_visible, cpu);
  *visible = 0;
  for (uint32_t t = 0; t < lk_pool_threads(cpu->pool); t++) {
    *visible += cpu->threads[t].visible;
    cpu->threads[t].visible = 0;
  }
  return true;
}

/* Codes a probe with as many levels as the kernel's sums can take. */
static void code_fitting(const lk_cpu *cpu, const float *q, double reciprocal, const float *mean, int8_t *code,
                         float *rotated, lk_probe_bound *bound) {
  lk_shape shape = cpu->pass.batch.shape;
  uint32_t width = lk_cpu_width(shape.dim);
  double work[LK_DIM_MAX];
  int limit = cpu->isa->probe_limit, sum = 0; /* of the code before, which was too large */
  memset(code + shape.dim, 0, (lk_probe_stride(width) - shape.dim) * sizeof *code);
  memset(rotated + shape.dim, 0, (width - shape.dim) * sizeof *rotated);
  lk_rotated_probe probe = lk_codes_rotate_probe(shape.metric, q, reciprocal, shape.dim, mean, work, rotated, bound);
  do {
    if (sum > 0) limit = (limit - 1) * LK_RUN_LIMIT / sum;
    lk_codes_encode_probe(&probe, limit, code, bound);
  } while (cpu->isa->adds_runs && (sum = lk_isa_run_sum(code, width)) > LK_RUN_LIMIT);
}

/* Codes a probe for the centres that share its code, and bounds it for each of them. */
static void code_probe(void *context, uint32_t thread, uint32_t item) {
  lk_cpu *cpu = context;
  lk_cpu_pass *pass = &cpu->pass;
  uint32_t dim = pass->batch.shape.dim, width = lk_cpu_width(dim), count = pass->batch.count;
  const float *q = pass->batch.probes + (size_t)(item % count) * dim;
  if (!lk_cpu_goes_on(pass, &cpu->threads[thread], (uint64_t)width * (LK_CODING_PRODUCTS + pass->centres.count)))
    return;
  int8_t *code = pass->codes + item * lk_probe_stride(width);
  float *rotated = pass->rotated + (size_t)item * width;
  double reciprocal = pass->reciprocals[item % count];
  code_fitting(cpu, q, reciprocal, pass->centres.means[item / count], code, rotated, &pass->bounds[item]);
  lk_centres_bound(&pass->centres, q, reciprocal, &pass->bounds[item], count);
}

lk_status lk_cpu_begin(lk_backend *backend, const lk_batch *batch, uint64_t *visible, lk_error *error) {
  lk_cpu *cpu = (lk_cpu *)backend;
  lk_cpu_pass *pass = &cpu->pass;
  pass->batch = *batch;
  if (!lay_out_blocks(pass) || !mark_visible(cpu, visible) || !lay_out_probes(pass) || !lay_out_threads(cpu))
    return lk_fail_memory(error);
  atomic_store(&pass->failed, false);
  atomic_store(&pass->damaged, 0);
  for (uint32_t p = 0; p < batch->count; p++) {
    pass->reciprocals[p] =
        lk_score_reciprocal(batch->shape.metric, batch->probes + (size_t)p * batch->shape.dim, batch->shape.dim);
    pass->bars[p] = batch->thresholds != NULL ? batch->thresholds[p] : -INFINITY;
    pass->heap_counts[p] = 0;
  }
  lk_pool_run(cpu->pool, lk_centres_coded(&pass->centres) * batch->count, code_probe, cpu);
  return LK_OK;
}

/* Sorts a probe's heap and copies it into the probe's list. */
static void copy_out(void *context, uint32_t thread, uint32_t probe) {
  lk_cpu *cpu = context;
  lk_cpu_pass *pass = &cpu->pass;
  uint32_t count = pass->heap_counts[probe];
  if (!lk_cpu_goes_on(pass, &cpu->threads[thread], (uint64_t)count * LK_HIT_PRODUCTS)) return;
  lk_hit *heap = pass->heaps + (size_t)probe * pass->batch.k;
  lk_topk_sort(heap, count);
  memcpy(pass->lists->hits + lk_candidate_lists_begin(pass->lists, pass->first_list + probe), heap,
         count * sizeof *heap);
}

static lk_status finish_heaps(lk_cpu *cpu, lk_candidate_lists *lists, lk_error *error) {
  lk_cpu_pass *pass = &cpu->pass;
  uint32_t count = pass->batch.count;
  uint64_t end = lk_candidate_lists_begin(lists, lists->count), hits = 0;
  for (uint32_t p = 0; p < count; p++) hits += pass->heap_counts[p];
  lk_status status = lk_candidate_lists_reserve(lists, count, hits, error);
  if (status != LK_OK) return status;
  for (uint32_t p = 0; p < count; p++) lists->ends[lists->count + p] = end += pass->heap_counts[p];
  pass->lists = lists;
  pass->first_list = lists->count;
  lists->count += count;
  lk_pool_run(cpu->pool, count, copy_out, cpu);
  return LK_OK;
}

lk_status lk_cpu_finish(lk_backend *backend, lk_candidate_lists *lists, lk_search_stats *stats, lk_error *error) {
  lk_cpu *cpu = (lk_cpu *)backend;
  for (uint32_t t = 0; t < lk_pool_threads(cpu->pool); t++) {
    lk_cpu_thread *thread = &cpu->threads[t];
    stats->scanned += thread->scanned;
    stats->survivors += thread->survivors;
    stats->rescored += thread->rescored;
  }
  lk_status status =
      cpu->pass.batch.k == LK_K_ALL ? lk_cpu_range_finish(cpu, lists, error) : finish_heaps(cpu, lists, error);
  uint64_t damaged = atomic_load(&cpu->pass.damaged);
  return status == LK_OK && damaged > 0 ? lk_batch_fail_damaged(&cpu->pass.batch, damaged - 1, error) : status;
}
