/* The rounds of a pass. The scan leaves pairs in a list on the GPU, settle makes hits of those that reach their bars,
 * select brings the hits to their probes and raises the bars. The host reads four counts a round: whether all pairs
 * found room decides if the round counts. */
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
lk_cuda_counters lk_cuda_count(lk_cuda *cuda) {
  lk_cuda_counters *counters = cuda->host[LK_ROOM_COUNTERS].data;
  *counters = (lk_cuda_counters){0};
  cuda->gpu->ops->read(cuda->gpu, counters, cuda->pass.counters, sizeof *counters);
  cuda->gpu->ops->wait(cuda->gpu);
  return *counters;
}

/* As many blocks as keep all processors busy. */
static uint32_t some_blocks(const lk_cuda *cuda) { return cuda->gpu->processors * 8; }

static lk_cuda_counters settle(lk_cuda *cuda, bool rescreens) {
  cuda->pass.rescreens = rescreens;
  launch(cuda, LK_KERNEL_SETTLE, some_blocks(cuda));
  return lk_cuda_count(cuda);
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
  settle_rows(cuda, lk_cuda_count(cuda).rows);
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
  settle_rows(cuda, lk_cuda_count(cuda).rows);
  cuda->gpu->ops->clear(cuda->gpu, pass->best_counts, pass->probes * sizeof *pass->best_counts);
}

/* Each strip of the round's tiles has a block for each group of probes; all of them run side by side. */
static uint32_t hopper_strips(const lk_cuda *cuda) {
  uint32_t strips = cuda->gpu->processors / lk_groups(cuda->pass.probes, LK_GROUP_PROBES);
  if (strips > cuda->pass.tiles_count) strips = cuda->pass.tiles_count;
  return strips > 0 ? strips : 1;
}

/* Few probes are bound by memory, which the generic kernel reads as fast; their groups are smaller than Hopper's. */
static void scan(lk_cuda *cuda) {
  static const lk_kernel kernels[] = {LK_KERNEL_SCAN_16, LK_KERNEL_SCAN_32, LK_KERNEL_SCAN_64, LK_KERNEL_SCAN_128};
  const lk_cuda_pass *pass = &cuda->pass;
  uint64_t groups = lk_groups(pass->probes, pass->group);
  uint32_t size = 0;
  while (16u << size < pass->group) size++;
  if (cuda->hopper && pass->group == LK_GROUP_PROBES)
    launch(cuda, LK_KERNEL_HOPPER, groups * hopper_strips(cuda));
  else
    launch(cuda, kernels[size], groups * pass->tiles_count * LK_TILE_BLOCKS);
}

static const lk_cuda_place *place_of_tile(const lk_cuda *cuda, uint32_t tile) {
  return lk_cuda_find(cuda->places, cuda->pass.places_count, offsetof(lk_cuda_place, first_tile), tile);
}

static uint32_t coded_frame_of_tile(const lk_cuda *cuda, uint32_t tile) {
  return lk_cuda_coded_frame(cuda->pass.metric, place_of_tile(cuda, tile)->frame);
}

/* One product: tiles first .. first + count - 1 of the round, all of one frame. */
static void wide_product(lk_cuda *cuda, uint32_t first, uint32_t count, uint32_t frame) {
  lk_cuda_pass part = cuda->pass;
  lk_gpu *gpu = cuda->gpu;
  part.tiles += first;
  part.tiles_count = count;
  part.wide_probes += (size_t)frame * part.probes * part.dim;
  gpu->ops->launch(gpu, LK_KERNEL_CENTRE, count, &part);
  if (cuda->testing || !gpu->ops->multiply(gpu, part.wide_rows, count * LK_TILE_ROWS, part.wide_probes, part.probes,
                                           part.dim, part.wide_product))
    gpu->ops->launch(gpu, LK_KERNEL_PRODUCT,
                     count * LK_TILE_ROWS / LK_PRODUCT_SIDE * lk_groups(part.probes, LK_PRODUCT_SIDE), &part);
  gpu->ops->launch(gpu, LK_KERNEL_WIDE, count * lk_groups(part.probes, LK_WIDE_PROBES), &part);
}

/* Tiles of one frame are multiplied together. */
static void wide_scan(lk_cuda *cuda) {
  const uint32_t *tiles = cuda->host[LK_ROOM_TILES].data;
  uint32_t count = cuda->pass.tiles_count, end;
  for (uint32_t first = 0; first < count && cuda->pass.probes > 0; first = end) {
    uint32_t frame = coded_frame_of_tile(cuda, tiles[first]);
    for (end = first + 1; end < count && end - first < cuda->wide_tiles; end++)
      if (coded_frame_of_tile(cuda, tiles[end]) != frame) break;
    wide_product(cuda, first, end - first, frame);
  }
}

/* In the order in which they lie, since which order a round has makes no difference to it: through a bitmap of all
 * tiles. */
static void sort_tiles(const uint32_t *tiles, uint32_t count, uint64_t *marks, uint32_t all, uint32_t *sorted) {
  memset(marks, 0, (all + 63) / 64 * sizeof *marks);
  for (uint32_t i = 0; i < count; i++) marks[tiles[i] / 64] |= UINT64_C(1) << tiles[i] % 64;
  for (uint32_t word = 0; word < (all + 63) / 64; word++)
    for (uint64_t left = marks[word]; left != 0; left &= left - 1)
      *sorted++ = word * 64 + (uint32_t)__builtin_ctzll(left);
}

static uint64_t rows_of_tiles(const lk_cuda *cuda, const uint32_t *sorted, uint32_t count) {
  const lk_cuda_place *place = cuda->places;
  uint64_t rows = 0;
  for (uint32_t i = 0; i < count; i++) {
    if (sorted[i] - place->first_tile >= (place->rows + LK_TILE_ROWS - 1) / LK_TILE_ROWS)
      place = place_of_tile(cuda, sorted[i]);
    uint32_t left = place->rows - (sorted[i] - place->first_tile) * LK_TILE_ROWS;
    rows += left < LK_TILE_ROWS ? left : LK_TILE_ROWS;
  }
  return rows;
}

static void send_tiles(lk_cuda *cuda, const uint32_t *tiles, uint32_t count) {
  uint32_t *sorted = cuda->host[LK_ROOM_TILES].data;
  sort_tiles(tiles, count, cuda->host[LK_ROOM_MARKS].data, cuda->all_tiles, sorted);
  cuda->gpu->ops->write(cuda->gpu, cuda->device[LK_ROOM_TILES].data, sorted, count * sizeof *sorted);
  cuda->pass.tiles_count = count;
}

bool lk_cuda_round(lk_backend *backend, const uint32_t *tiles, uint32_t tiles_count, bool wide, lk_round *done) {
  lk_cuda *cuda = (lk_cuda *)backend;
  *done = (lk_round){0};
  send_tiles(cuda, tiles, tiles_count);
  clear_counters(cuda);
  if (wide)
    wide_scan(cuda);
  else
    scan(cuda);
  lk_cuda_counters counters = settle(cuda, !wide);
  if (counters.pairs > cuda->pass.room) return false;
  cuda->stats.scanned += rows_of_tiles(cuda, cuda->host[LK_ROOM_TILES].data, tiles_count) * cuda->pass.probes;
  cuda->stats.survivors += counters.pairs;
  cuda->stats.settled += counters.settled;
  *done = (lk_round){.settled = counters.settled, .hits = counters.hits};
  keep(cuda, &counters);
  return true;
}
