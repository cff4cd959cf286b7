/* The rounds of a pass. The scan leaves pairs in a list on the GPU, settle makes hits of those that reach their bars,
 * select brings the hits to their probes and raises the bars. The host reads four counts a round: whether all pairs
 * found room decides if the round counts. */
#include <stdlib.h>
#include <string.h>

#include "kernels/cuda/device.h"
#include "kernels/plan.h"

static void launch(lk_cuda *cuda, lk_kernel kernel, uint64_t blocks) {
  if (blocks > 0) cuda->gpu->ops->launch(cuda->gpu, kernel, (uint32_t)blocks, &cuda->pass);
}

static void clear_counters(lk_cuda *cuda) {
  cuda->gpu->ops->clear(cuda->gpu, cuda->pass.counters, sizeof *cuda->pass.counters);
}

/* A failed GPU has counted nothing. */
static lk_cuda_counters read_counters(lk_cuda *cuda) {
  lk_cuda_counters counters = {0};
  cuda->gpu->ops->read(cuda->gpu, &counters, cuda->pass.counters, sizeof counters);
  return counters;
}

/* As many blocks as keep all processors busy. */
static uint32_t some_blocks(const lk_cuda *cuda) { return cuda->gpu->processors * 8; }

static lk_cuda_counters settle(lk_cuda *cuda, bool rescreens) {
  cuda->pass.rescreens = rescreens;
  launch(cuda, LK_KERNEL_SETTLE, some_blocks(cuda));
  return read_counters(cuda);
}

/* Takes over the hits that settle left. */
static void keep(lk_cuda *cuda, const lk_cuda_counters *counters) {
  if (counters->hits == 0) return;
  if (cuda->pass.k == LK_K_ALL) {
    lk_cuda_range_keep(cuda, counters->hits);
    return;
  }
  launch(cuda, LK_KERNEL_STARTS, 1);
  launch(cuda, LK_KERNEL_SCATTER, some_blocks(cuda));
  launch(cuda, LK_KERNEL_SELECT, cuda->pass.probes);
}

/* Settles all probes with the first `count` rows of the list: as many rows at a time as pairs find room. */
static void settle_rows(lk_cuda *cuda, uint64_t count) {
  uint64_t at_once = cuda->pass.probes > 0 ? cuda->pass.room / cuda->pass.probes : 1;
  for (uint64_t first = 0; first < count; first += at_once) {
    cuda->pass.rows_first = (uint32_t)first;
    cuda->pass.rows_count = (uint32_t)(count - first < at_once ? count - first : at_once);
    clear_counters(cuda);
    launch(cuda, LK_KERNEL_PAIRS, some_blocks(cuda));
    lk_cuda_counters counters = settle(cuda, false);
    cuda->stats.settled += counters.settled;
    keep(cuda, &counters);
  }
}

void lk_cuda_gather(lk_backend *backend) {
  lk_cuda *cuda = (lk_cuda *)backend;
  clear_counters(cuda);
  launch(cuda, LK_KERNEL_LIST, (cuda->pass.words + 255) / 256);
  settle_rows(cuda, read_counters(cuda).rows);
}

/* Only the bars remain of it. */
void lk_cuda_seed(lk_backend *backend, const uint64_t *rows, uint32_t rows_count) {
  lk_cuda *cuda = (lk_cuda *)backend;
  lk_cuda_pass *pass = &cuda->pass;
  uint32_t *seeds = cuda->host[LK_ROOM_SEEDS].data;
  if (rows_count > LK_CUDA_SEED_ROWS) rows_count = LK_CUDA_SEED_ROWS;
  for (uint32_t i = 0; i < rows_count; i++) seeds[i] = (uint32_t)rows[i];
  cuda->gpu->ops->write(cuda->gpu, cuda->device[LK_ROOM_SEEDS].data, seeds, rows_count * sizeof *seeds);
  pass->rows_count = rows_count;
  clear_counters(cuda);
  launch(cuda, LK_KERNEL_SEED, (rows_count + 255) / 256);
  settle_rows(cuda, read_counters(cuda).rows);
  cuda->gpu->ops->clear(cuda->gpu, pass->best_counts, pass->probes * sizeof *pass->best_counts);
}

/* Few probes are bound by memory, which the generic kernel reads as fast; their groups are smaller than Hopper's. */
static void scan(lk_cuda *cuda) {
  static const lk_kernel kernels[] = {LK_KERNEL_SCAN_16, LK_KERNEL_SCAN_32, LK_KERNEL_SCAN_64, LK_KERNEL_SCAN_128};
  const lk_cuda_pass *pass = &cuda->pass;
  uint64_t items = (uint64_t)pass->tiles_count * lk_groups(pass->probes, pass->group);
  uint32_t size = 0;
  while (16u << size < pass->group) size++;
  if (cuda->hopper && pass->group == LK_GROUP_PROBES)
    launch(cuda, LK_KERNEL_HOPPER, items < cuda->gpu->processors ? items : cuda->gpu->processors);
  else
    launch(cuda, kernels[size], items * LK_TILE_BLOCKS);
}

static uint32_t coded_frame_of_tile(const lk_cuda *cuda, uint32_t tile) {
  lk_cuda_pass host = cuda->pass;
  host.places = cuda->places;
  return lk_cuda_coded_frame(host.metric, lk_cuda_place_of_tile(&host, tile)->frame);
}

static int compare_tiles(const void *a, const void *b) {
  uint32_t left = *(const uint32_t *)a, right = *(const uint32_t *)b;
  return (left > right) - (left < right);
}

/* One product: tiles first .. first + count - 1 of the round, all of one frame. */
static void wide_product(lk_cuda *cuda, uint32_t first, uint32_t count, uint32_t frame) {
  lk_cuda_pass part = cuda->pass;
  lk_gpu *gpu = cuda->gpu;
  part.tiles += first;
  part.tiles_count = count;
  gpu->ops->launch(gpu, LK_KERNEL_CENTRE, count, &part);
  gpu->ops->multiply(gpu, part.wide_rows, count * LK_TILE_ROWS,
                     part.wide_probes + (size_t)frame * part.probes * part.dim, part.probes, part.dim,
                     part.wide_product);
  gpu->ops->launch(gpu, LK_KERNEL_WIDE, count * lk_groups(part.probes, LK_WIDE_PROBES), &part);
}

/* Tiles of one frame are multiplied together. */
static void wide_scan(lk_cuda *cuda, const uint32_t *tiles) {
  uint32_t count = cuda->pass.tiles_count, end;
  for (uint32_t first = 0; first < count && cuda->pass.probes > 0; first = end) {
    uint32_t frame = coded_frame_of_tile(cuda, tiles[first]);
    for (end = first + 1; end < count && end - first < cuda->wide_tiles; end++)
      if (coded_frame_of_tile(cuda, tiles[end]) != frame) break;
    wide_product(cuda, first, end - first, frame);
  }
}

static uint64_t rows_of_tile(const lk_cuda *cuda, uint32_t tile) {
  lk_cuda_pass host = cuda->pass;
  host.places = cuda->places;
  const lk_cuda_place *place = lk_cuda_place_of_tile(&host, tile);
  uint32_t left = place->rows - (tile - place->first_tile) * LK_TILE_ROWS;
  return left < LK_TILE_ROWS ? left : LK_TILE_ROWS;
}

/* In the order in which they lie: which order a round has makes no difference to it. */
static const uint32_t *send_tiles(lk_cuda *cuda, const uint32_t *tiles, uint32_t count) {
  uint32_t *sorted = cuda->host[LK_ROOM_TILES].data;
  memcpy(sorted, tiles, count * sizeof *sorted);
  qsort(sorted, count, sizeof *sorted, compare_tiles);
  cuda->gpu->ops->write(cuda->gpu, cuda->device[LK_ROOM_TILES].data, sorted, count * sizeof *sorted);
  cuda->pass.tiles_count = count;
  return sorted;
}

bool lk_cuda_round(lk_backend *backend, const uint32_t *tiles, uint32_t tiles_count, bool wide, lk_round *done) {
  lk_cuda *cuda = (lk_cuda *)backend;
  *done = (lk_round){0};
  const uint32_t *sorted = send_tiles(cuda, tiles, tiles_count);
  clear_counters(cuda);
  if (wide)
    wide_scan(cuda, sorted);
  else
    scan(cuda);
  lk_cuda_counters counters = settle(cuda, !wide);
  if (counters.pairs > cuda->pass.room) return false;
  for (uint32_t i = 0; i < tiles_count; i++) cuda->stats.scanned += rows_of_tile(cuda, tiles[i]) * cuda->pass.probes;
  cuda->stats.survivors += counters.pairs;
  cuda->stats.settled += counters.settled;
  *done = (lk_round){.settled = counters.settled, .hits = counters.hits};
  keep(cuda, &counters);
  return true;
}
