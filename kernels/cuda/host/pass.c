/* A pass before and after its rounds (round.c): it lays out memory, finds the visible rows and sends what the kernels
 * read; in the end it hands out the lists. */
#include <string.h>

#include "kernels/cuda/host/internal.h"
#include "kernels/plan.h"

/* One product of the float scan has so many elements, few enough to stay in a GPU's second-level cache. */
static const size_t float_elements = (size_t)4 << 20;

static lk_status lay_out_blocks(lk_cuda *cuda, lk_error *error) {
  const lk_batch *batch = &cuda->batch;
  uint32_t blocks = batch->blocks_count;
  cuda->placements = lk_cuda_reserve_host(cuda, LK_BUFFER_PLACEMENTS, blocks * sizeof *cuda->placements);
  if (!lk_centres_start(&cuda->centres, batch->shape, blocks) || cuda->placements == NULL) return lk_fail_memory(error);
  uint32_t tiles = 0, words = 0;
  uint64_t rows = 0;
  cuda->filtered = false;
  for (uint32_t b = 0; b < blocks; b++) {
    const lk_cuda_resident_block *resident = (const lk_cuda_resident_block *)batch->blocks[b];
    lk_cuda_placement *placement = &cuda->placements[b];
    *placement = resident->placement;
    placement->centre = lk_centres_add(&cuda->centres, resident->block.mean);
    placement->first_tile = tiles;
    placement->first_row = (uint32_t)rows;
    placement->first_word = words;
    tiles += resident->base.tiles;
    rows += resident->base.rows;
    words += (resident->base.rows + 31) / 32;
    const uint64_t *allowed = batch->filter.allowed != NULL ? batch->filter.allowed[b] : NULL;
    if (!lk_all_visible(&resident->block.visibility, &batch->filter, allowed)) cuda->filtered = true;
  }
  cuda->all_tiles = tiles;
  cuda->all_rows = rows;
  cuda->pass.words = words;
  return LK_OK;
}

/* Sends the bitmaps of allowed rows, one behind the other. */
static lk_status send_allowed(lk_cuda *cuda, size_t words, lk_error *error) {
  const uint64_t *const *allowed = cuda->batch.filter.allowed;
  uint64_t *lists = lk_cuda_reserve_host(cuda, LK_BUFFER_ALLOWED, words * sizeof *lists);
  void *memory;
  if (lists == NULL) return lk_fail_memory(error);
  lk_status status = lk_cuda_reserve(cuda, LK_BUFFER_ALLOWED, words * sizeof *lists, &memory, error);
  if (status != LK_OK) return status;
  size_t end = 0;
  for (uint32_t b = 0; b < cuda->batch.blocks_count; b++) {
    size_t count = (cuda->placements[b].rows + 63) / 64;
    if (allowed[b] == NULL) continue;
    memcpy(lists + end, allowed[b], count * sizeof *lists);
    cuda->placements[b].allowed = (const uint64_t *)memory + end;
    end += count;
  }
  cuda->gpu->ops->write(cuda->gpu, memory, lists, end * sizeof *lists);
  return LK_OK;
}

/* Sends the placements, and the bitmaps of allowed rows that they point to. */
static lk_status send_placements(lk_cuda *cuda, lk_error *error) {
  const lk_batch *batch = &cuda->batch;
  lk_gpu *gpu = cuda->gpu;
  size_t words = 0, bytes = batch->blocks_count * sizeof *cuda->placements;
  for (uint32_t b = 0; b < batch->blocks_count; b++) words += (cuda->placements[b].rows + 63) / 64;
  void *placements;
  lk_status status = LK_OK;
  if (batch->filter.allowed != NULL) status = send_allowed(cuda, words, error);
  if (status == LK_OK) status = lk_cuda_reserve(cuda, LK_BUFFER_PLACEMENTS, bytes, &placements, error);
  if (status != LK_OK) return status;
  gpu->ops->write(gpu, placements, cuda->placements, bytes);
  cuda->pass.placements = placements;
  cuda->pass.placements_count = batch->blocks_count;
  return LK_OK;
}

/* Room for the pairs that a round may leave: for twice as many as data without structure leaves, and at least for those
 * of the seed and of one tile. */
static uint64_t pairs_room(const lk_cuda *cuda) {
  uint64_t probes = cuda->batch.count, least = probes * LK_TILE_ROWS, most = cuda->gpu->pairs_room;
  uint64_t wanted = cuda->batch.k == LK_K_ALL ? most : probes * (4 * (uint64_t)cuda->batch.k + 2048);
  uint64_t seed =
      cuda->batch.k == LK_K_ALL ? 0 : lk_plan_seed_pairs(cuda->batch.k, cuda->batch.count, cuda->base.tiles_at_once);
  if (wanted < seed) wanted = seed;
  if (wanted > most) wanted = most;
  return wanted > least ? wanted : least;
}

static lk_status lay_out_lists(lk_cuda *cuda, lk_error *error) {
  lk_cuda_pass *pass = &cuda->pass;
  size_t probes = pass->probes, best = pass->k == LK_K_ALL ? 0 : probes * pass->k;
  size_t sorted = pass->k == LK_K_ALL ? 0 : best + pass->room;
  const struct {
    lk_cuda_buffer buffer;
    size_t bytes;
    void *out;
  } buffers[] = {{LK_BUFFER_BARS, probes * sizeof *pass->bars, &pass->bars},
                 {LK_BUFFER_BEST, best * sizeof *pass->best, &pass->best},
                 {LK_BUFFER_COUNTS, 2 * probes * sizeof *pass->best_counts, &pass->best_counts},
                 {LK_BUFFER_STARTS, probes * sizeof *pass->starts, &pass->starts},
                 {LK_BUFFER_COUNTERS, LK_CUDA_SLOTS * sizeof *pass->counters, &pass->counters},
                 {LK_BUFFER_DAMAGED, sizeof *pass->damaged, &pass->damaged},
                 {LK_BUFFER_PAIRS, pass->room * sizeof *pass->pairs, &pass->pairs},
                 {LK_BUFFER_SCORED, pass->room * sizeof *pass->scored, &pass->scored},
                 {LK_BUFFER_SORTED, sorted * sizeof *pass->sorted, &pass->sorted},
                 {LK_BUFFER_TILES, cuda->all_tiles * sizeof *pass->tiles, &pass->tiles},
                 {LK_BUFFER_SEEDS, LK_SEED_ROWS_MAX * sizeof *pass->seeds, &pass->seeds}};
  for (size_t i = 0; i < sizeof buffers / sizeof buffers[0]; i++) {
    void *memory;
    lk_status status = lk_cuda_reserve(cuda, buffers[i].buffer, buffers[i].bytes, &memory, error);
    if (status != LK_OK) return status;
    memcpy(buffers[i].out, &memory, sizeof memory);
  }
  pass->new_counts = pass->best_counts + probes;
  cuda->gpu->ops->clear(cuda->gpu, pass->damaged, sizeof *pass->damaged);
  if (lk_cuda_reserve_host(cuda, LK_BUFFER_COUNTERS, LK_CUDA_SLOTS * sizeof *pass->counters) == NULL ||
      lk_cuda_reserve_host(cuda, LK_BUFFER_DAMAGED, sizeof *pass->damaged) == NULL ||
      lk_cuda_reserve_host(cuda, LK_BUFFER_SEEDS, LK_SEED_ROWS_MAX * sizeof *pass->seeds) == NULL)
    return lk_fail_memory(error);
  return LK_OK;
}

static lk_status lay_out_float_scan(lk_cuda *cuda, lk_error *error) {
  lk_cuda_pass *pass = &cuda->pass;
  size_t widest = pass->dim > pass->probes ? pass->dim : pass->probes;
  size_t tiles = float_elements / (LK_TILE_ROWS * widest) > 0 ? float_elements / (LK_TILE_ROWS * widest) : 1;
  if (tiles > cuda->all_tiles) tiles = cuda->all_tiles;
  cuda->float_tiles = (uint32_t)tiles;
  void *rows, *product;
  lk_status status =
      lk_cuda_reserve(cuda, LK_BUFFER_FLOAT_ROWS, tiles * LK_TILE_ROWS * pass->dim * sizeof(float), &rows, error);
  if (status == LK_OK)
    status = lk_cuda_reserve(cuda, LK_BUFFER_FLOAT_PRODUCT, tiles * LK_TILE_ROWS * pass->probes * sizeof(float),
                             &product, error);
  if (status != LK_OK) return status;
  pass->float_rows = rows;
  pass->float_product = product;
  return LK_OK;
}

/* Makes the bitmap of visible rows, and room for a list of them where they are few. */
static lk_status mark_visible(lk_cuda *cuda, uint64_t *visible, lk_error *error) {
  lk_cuda_pass *pass = &cuda->pass;
  lk_gpu *gpu = cuda->gpu;
  void *memory;
  *visible = cuda->all_rows;
  pass->visible = NULL;
  if (cuda->filtered) {
    lk_status status = lk_cuda_reserve(cuda, LK_BUFFER_VISIBLE, pass->words * sizeof *pass->visible, &memory, error);
    if (status != LK_OK) return status;
    pass->visible = memory;
    gpu->ops->clear(gpu, pass->counters, sizeof *pass->counters);
    gpu->ops->launch(gpu, LK_KERNEL_VISIBLE, gpu->processors * 4, pass);
    *visible = lk_cuda_count(cuda).rows;
  }
  size_t rows = lk_plan_wants_exact_scan(cuda->all_rows, *visible, pass->k) ? (size_t)*visible : 0;
  if (rows < LK_SEED_ROWS_MAX) rows = LK_SEED_ROWS_MAX;
  lk_status status = lk_cuda_reserve(cuda, LK_BUFFER_ROWS, rows * sizeof *pass->rows, &memory, error);
  pass->rows = memory;
  pass->filter = (lk_filter){0}; /* the bitmap replaces it, so that passes of one shape are equal (round.c) */
  return status;
}

static lk_status send_bars(lk_cuda *cuda, lk_error *error) {
  const lk_batch *batch = &cuda->batch;
  size_t bytes = batch->count * sizeof(float);
  float *bars = lk_cuda_reserve_host(cuda, LK_BUFFER_BARS, bytes);
  if (bars == NULL) return lk_fail_memory(error);
  for (uint32_t p = 0; p < batch->count; p++) bars[p] = batch->thresholds != NULL ? batch->thresholds[p] : -INFINITY;
  cuda->gpu->ops->write(cuda->gpu, cuda->pass.bars, bars, bytes);
  cuda->gpu->ops->clear(cuda->gpu, cuda->pass.best_counts, 2 * batch->count * sizeof *cuda->pass.best_counts);
  return LK_OK;
}

lk_status lk_cuda_begin(lk_backend *backend, const lk_batch *batch, uint64_t *visible, lk_error *error) {
  lk_cuda *cuda = (lk_cuda *)backend;
  cuda->batch = *batch;
  lk_cuda_pass *pass = &cuda->pass;
  memset(pass, 0, sizeof *pass); /* its bytes are compared (round.c), padding included */
  pass->metric = batch->shape.metric;
  pass->store = batch->shape.store;
  pass->dim = batch->shape.dim;
  pass->chunks = lk_chunks(batch->shape.dim);
  pass->filter = batch->filter;
  pass->probes = batch->count;
  pass->group = lk_group_probes(batch->count);
  pass->k = batch->k;
  pass->by_subject = batch->by_subject;
  pass->room = pairs_room(cuda);
  cuda->found_count = 0;
  cuda->found_failed = false;
  cuda->scanned = cuda->seeded = false;
  cuda->stats = (lk_search_stats){0};
  lk_status status = lay_out_blocks(cuda, error);
  if (status == LK_OK) status = send_placements(cuda, error);
  if (status == LK_OK) status = lay_out_lists(cuda, error);
  if (status == LK_OK) status = lay_out_float_scan(cuda, error);
  if (status == LK_OK) status = mark_visible(cuda, visible, error);
  if (status == LK_OK) status = lk_cuda_send_probes(cuda, error);
  if (status == LK_OK) status = send_bars(cuda, error);
  if (status == LK_OK) status = cuda->gpu->ops->check(cuda->gpu, error);
  return status;
}

/* Appends each probe's best hits, which are in order already. */
static lk_status finish_best(lk_cuda *cuda, lk_candidate_lists *lists, lk_error *error) {
  const lk_cuda_pass *pass = &cuda->pass;
  lk_gpu *gpu = cuda->gpu;
  size_t k = pass->k, counts_bytes = pass->probes * sizeof *pass->best_counts;
  size_t best_bytes = pass->probes * k * sizeof *pass->best;
  uint32_t *counts = lk_cuda_reserve_host(cuda, LK_BUFFER_COUNTS, counts_bytes);
  lk_hit *best = lk_cuda_reserve_host(cuda, LK_BUFFER_BEST, best_bytes);
  if (counts == NULL || best == NULL) return lk_fail_memory(error);
  memset(counts, 0, counts_bytes);
  gpu->ops->read(gpu, counts, pass->best_counts, counts_bytes);
  gpu->ops->read(gpu, best, pass->best, best_bytes);
  gpu->ops->wait(gpu);
  uint64_t end = lk_candidate_lists_begin(lists, lists->count), hits = 0;
  for (uint32_t p = 0; p < pass->probes; p++) hits += counts[p];
  lk_status status = lk_candidate_lists_reserve(lists, pass->probes, hits, error);
  if (status != LK_OK) return status;
  for (uint32_t p = 0; p < pass->probes; p++) {
    memcpy(lists->hits + end, best + p * k, counts[p] * sizeof *best);
    lists->ends[lists->count++] = end += counts[p];
  }
  return LK_OK;
}

lk_status lk_cuda_finish(lk_backend *backend, lk_candidate_lists *lists, lk_search_stats *stats, lk_error *error) {
  lk_cuda *cuda = (lk_cuda *)backend;
  if (cuda->scanned) stats->scanned += cuda->all_rows * cuda->pass.probes;
  stats->survivors += cuda->stats.survivors;
  stats->rescored += cuda->stats.rescored;
  lk_gpu *gpu = cuda->gpu;
  uint64_t *damaged = cuda->host[LK_BUFFER_DAMAGED].data;
  lk_status status = gpu->ops->check(gpu, error);
  if (status != LK_OK) return status;
  *damaged = 0;
  gpu->ops->read(gpu, damaged, cuda->pass.damaged, sizeof *damaged);
  status = cuda->pass.k == LK_K_ALL ? lk_cuda_range_finish(cuda, lists, error) : finish_best(cuda, lists, error);
  gpu->ops->wait(gpu);
  if (status == LK_OK) status = gpu->ops->check(gpu, error);
  return status == LK_OK && *damaged > 0 ? lk_batch_fail_damaged(&cuda->batch, *damaged - 1, error) : status;
}
