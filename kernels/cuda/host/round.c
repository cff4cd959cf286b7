/* The rounds of a pass. The scan leaves pairs in a list on the GPU, rescore makes hits of those that reach their bars,
 * select brings the hits to their probes and raises the bars. The host asks for all rounds at once. By what a round has
 * counted the GPU decides whether to leave out the next one, and the host reads all counters in the end. */
#include <string.h>

#include "kernels/cuda/host/internal.h"
#include "kernels/plan.h"

static void launch(lk_cuda *cuda, lk_kernel kernel, uint64_t blocks) {
  if (blocks > 0) cuda->gpu->ops->launch(cuda->gpu, kernel, (uint32_t)blocks, &cuda->pass);
}

/* Clears all but `rows`, which later kernels read. */
static void clear_counters(lk_cuda *cuda) {
  cuda->gpu->ops->clear(cuda->gpu, cuda->pass.counters, offsetof(lk_cuda_counters, rows));
}

static void clear_rows(lk_cuda *cuda) {
  cuda->gpu->ops->clear(cuda->gpu, cuda->pass.counters, sizeof *cuda->pass.counters);
}

/* Waits for the counters; those of a failed GPU are 0. */
static const lk_cuda_counters *count_slots(lk_cuda *cuda, uint32_t slots) {
  lk_cuda_counters *counters = cuda->host[LK_BUFFER_COUNTERS].data;
  memset(counters, 0, slots * sizeof *counters);
  cuda->gpu->ops->read(cuda->gpu, counters, cuda->pass.counters, slots * sizeof *counters);
  cuda->gpu->ops->wait(cuda->gpu);
  return counters;
}

lk_cuda_counters lk_cuda_count(lk_cuda *cuda) { return *count_slots(cuda, 1); }

/* Enough blocks to keep all processors busy. */
static uint32_t some_blocks(const lk_cuda *cuda) { return cuda->gpu->processors * 8; }

static void rescore(lk_cuda *cuda, bool rescreens) {
  cuda->pass.rescreens = rescreens;
  launch(cuda, LK_KERNEL_RESCORE, some_blocks(cuda));
}

/* Brings the hits that rescore left to their probes. */
static void choose(lk_cuda *cuda) {
  launch(cuda, LK_KERNEL_STARTS, 1);
  launch(cuda, LK_KERNEL_SCATTER, some_blocks(cuda));
  launch(cuda, LK_KERNEL_SELECT, cuda->pass.probes);
}

/* Rescores all probes with `count` rows of the list, at most, from `first` on. */
static void rescore_rows(lk_cuda *cuda, uint64_t first, uint64_t count) {
  cuda->pass.rows_first = (uint32_t)first;
  cuda->pass.rows_count = (uint32_t)count;
  clear_counters(cuda);
  launch(cuda, LK_KERNEL_PAIRS, some_blocks(cuda));
  rescore(cuda, false);
  if (cuda->pass.k != LK_K_ALL) choose(cuda);
}

/* Rescores all probes with all rows, in turns of as many rows as there is room for pairs. */
static void rescore_all_rows(lk_cuda *cuda, uint64_t count) {
  uint64_t at_once = cuda->pass.probes > 0 ? cuda->pass.room / cuda->pass.probes : 1;
  for (uint64_t first = 0; first < count && lk_control_goes_on(cuda->batch.control); first += at_once) {
    rescore_rows(cuda, first, count - first < at_once ? count - first : at_once);
    lk_cuda_counters counters = lk_cuda_count(cuda);
    cuda->stats.rescored += counters.rescored;
    if (cuda->pass.k == LK_K_ALL) lk_cuda_range_keep(cuda, counters.hits);
  }
}

void lk_cuda_exact_scan(lk_backend *backend) {
  lk_cuda *cuda = (lk_cuda *)backend;
  clear_rows(cuda);
  launch(cuda, LK_KERNEL_LIST, (cuda->pass.words + 255) / 256);
  rescore_all_rows(cuda, lk_cuda_count(cuda).rows);
}

/* Raises the bars and drops the hits. The host does not wait where all pairs find room at once, as on a GPU. */
void lk_cuda_seed(lk_backend *backend, const uint64_t *rows, uint32_t rows_count) {
  lk_cuda *cuda = (lk_cuda *)backend;
  lk_cuda_pass *pass = &cuda->pass;
  uint32_t *seeds = cuda->host[LK_BUFFER_SEEDS].data;
  for (uint32_t i = 0; i < rows_count; i++) seeds[i] = (uint32_t)rows[i];
  cuda->gpu->ops->write(cuda->gpu, cuda->device[LK_BUFFER_SEEDS].data, seeds, rows_count * sizeof *seeds);
  pass->rows_count = rows_count;
  clear_rows(cuda);
  launch(cuda, LK_KERNEL_SEED, (rows_count + 255) / 256);
  cuda->seeded = (uint64_t)rows_count * pass->probes <= pass->room;
  if (cuda->seeded)
    rescore_rows(cuda, 0, rows_count);
  else
    rescore_all_rows(cuda, lk_cuda_count(cuda).rows);
  cuda->gpu->ops->clear(cuda->gpu, pass->best_counts, pass->probes * sizeof *pass->best_counts);
}

/* A strip of the round's tiles has a block for each group of probes; all strips run side by side. */
static uint32_t hopper_strips(const lk_cuda *cuda) {
  uint32_t strips = cuda->gpu->processors / lk_groups(cuda->pass.probes, LK_GROUP_PROBES);
  if (strips > cuda->pass.tiles_count) strips = cuda->pass.tiles_count;
  return strips > 0 ? strips : 1;
}

/* For few probes memory is the limit, and the generic kernel reads it as fast as Hopper's with smaller groups. */
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

static const lk_cuda_placement *placement_of_tile(const lk_cuda *cuda, uint32_t tile) {
  return lk_cuda_find(cuda->placements, cuda->pass.placements_count, offsetof(lk_cuda_placement, first_tile), tile);
}

static uint32_t coded_centre_of_tile(const lk_cuda *cuda, uint32_t tile) {
  return lk_coded_centre(cuda->pass.metric, placement_of_tile(cuda, tile)->centre);
}

/* Scans tiles first .. first + count - 1 of the round, all of one centre, by one product. */
static void float_product(lk_cuda *cuda, uint32_t first, uint32_t count, uint32_t centre) {
  lk_cuda_pass product = cuda->pass;
  lk_gpu *gpu = cuda->gpu;
  product.tiles += first;
  product.tiles_count = count;
  product.float_probes += (size_t)centre * product.probes * product.dim;
  gpu->ops->launch(gpu, LK_KERNEL_CENTRE, count, &product);
  if (cuda->testing || !gpu->ops->multiply(gpu, product.float_rows, count * LK_TILE_ROWS, product.float_probes,
                                           product.probes, product.dim, product.float_product))
    gpu->ops->launch(gpu, LK_KERNEL_PRODUCT,
                     count * LK_TILE_ROWS / LK_PRODUCT_SIDE * lk_groups(product.probes, LK_PRODUCT_SIDE), &product);
  gpu->ops->launch(gpu, LK_KERNEL_FLOAT, count * lk_groups(product.probes, LK_FLOAT_PROBES), &product);
}

/* Tiles of one centre that follow each other are multiplied together. */
static void scan_in_float(lk_cuda *cuda, const uint32_t *tiles) {
  uint32_t count = cuda->pass.tiles_count, end;
  for (uint32_t first = 0; first < count && cuda->pass.probes > 0; first = end) {
    uint32_t centre = coded_centre_of_tile(cuda, tiles[first]);
    for (end = first + 1; end < count && end - first < cuda->float_tiles; end++)
      if (coded_centre_of_tile(cuda, tiles[end]) != centre) break;
    float_product(cuda, first, end - first, centre);
  }
}

/* The GPU reads no tiles meanwhile: before a new scan order comes the host has waited. */
static void send_tiles(lk_cuda *cuda, const lk_scan_order *order) {
  if (cuda->order_number == order->number) return;
  cuda->gpu->ops->write(cuda->gpu, (void *)cuda->pass.tiles, order->tiles, order->tiles_count * sizeof *order->tiles);
  cuda->order_number = order->number;
}

/* Asks for all kernels of one round, which counts in `slot`. */
static void ask_round(lk_cuda *cuda, const lk_scan_order *order, lk_run run, bool in_float, lk_cuda_counters *slot,
                      bool last) {
  lk_cuda_pass *pass = &cuda->pass;
  lk_cuda_counters *outside = pass->counters;
  const uint32_t *tiles = pass->tiles;
  pass->tiles = tiles + run.begin;
  pass->tiles_count = run.end - run.begin;
  pass->counters = slot;
  pass->next = last ? NULL : slot + 1;
  if (in_float)
    scan_in_float(cuda, order->tiles + run.begin);
  else
    scan(cuda);
  rescore(cuda, !in_float);
  if (pass->k != LK_K_ALL) choose(cuda);
  pass->tiles = tiles;
  pass->counters = outside;
  pass->next = NULL;
}

static void ask_rounds(lk_cuda *cuda, const lk_scan_order *order, const lk_run *runs, uint32_t count, bool in_float) {
  lk_cuda_counters *slots = cuda->pass.counters + 1;
  cuda->gpu->ops->clear(cuda->gpu, slots, count * sizeof *slots);
  for (uint32_t i = 0; i < count; i++) ask_round(cuda, order, runs[i], in_float, slots + i, i + 1 == count);
}

void lk_cuda_forget(lk_cuda *cuda) {
  if (cuda->asked.recording != NULL) cuda->gpu->ops->forget(cuda->gpu, cuda->asked.recording);
  memset(&cuda->asked, 0, sizeof cuda->asked);
}

static bool is_asked_again(const lk_cuda *cuda, const lk_scan_order *order, const lk_run *runs, uint32_t count) {
  const lk_cuda_asked *asked = &cuda->asked;
  return asked->order_number == order->number && asked->count == count &&
         memcmp(asked->runs, runs, count * sizeof *runs) == 0 &&
         memcmp(&asked->pass, &cuda->pass, sizeof cuda->pass) == 0;
}

/* Searches of one shape ask for the same rounds. A GPU begins a recording of them faster than one kernel after the
 * other. Rounds of the float scan are not recorded. */
static void ask_or_replay(lk_cuda *cuda, const lk_scan_order *order, const lk_run *runs, uint32_t count,
                          bool in_float) {
  lk_gpu *gpu = cuda->gpu;
  lk_cuda_asked *asked = &cuda->asked;
  if (count == 1 || in_float) {
    ask_rounds(cuda, order, runs, count, in_float);
    return;
  }
  if (!is_asked_again(cuda, order, runs, count)) {
    lk_cuda_forget(cuda);
    *asked = (lk_cuda_asked){.order_number = order->number, .count = count};
    memcpy(&asked->pass, &cuda->pass, sizeof cuda->pass);
    memcpy(asked->runs, runs, count * sizeof *runs);
    ask_rounds(cuda, order, runs, count, in_float);
    return;
  }
  if (asked->recording == NULL) {
    gpu->ops->record(gpu);
    ask_rounds(cuda, order, runs, count, in_float);
    asked->recording = gpu->ops->recorded(gpu);
  }
  if (asked->recording != NULL) gpu->ops->replay(gpu, asked->recording);
}

/* Counts the rounds that are complete, and says what each of them did. */
static uint32_t complete_rounds(lk_cuda *cuda, const lk_cuda_counters *slots, uint32_t count, lk_round *done) {
  uint32_t complete = 0;
  for (; complete < count && slots[complete].pairs <= cuda->pass.room; complete++) {
    const lk_cuda_counters *slot = &slots[complete];
    cuda->stats.survivors += slot->pairs;
    cuda->stats.rescored += slot->rescored;
    done[complete] = (lk_round){.rescored = slot->rescored, .hits = slot->hits};
  }
  return complete;
}

uint32_t lk_cuda_rounds(lk_backend *backend, const lk_scan_order *order, const lk_run *runs, uint32_t count,
                        bool in_float, lk_round *done) {
  lk_cuda *cuda = (lk_cuda *)backend;
  if (cuda->pass.k == LK_K_ALL) count = 1;                /* its hits are read before the next round */
  if (in_float && cuda->batch.control != NULL) count = 1; /* they take long: between two the search may be cancelled */
  send_tiles(cuda, order);
  ask_or_replay(cuda, order, runs, count, in_float);
  const lk_cuda_counters *slots = count_slots(cuda, 1 + count);
  if (cuda->seeded) cuda->stats.rescored += slots[0].rescored;
  cuda->seeded = false;
  cuda->scanned = true;
  uint32_t complete = complete_rounds(cuda, slots + 1, count, done);
  if (complete > 0 && cuda->pass.k == LK_K_ALL) lk_cuda_range_keep(cuda, done[0].hits);
  return complete;
}
