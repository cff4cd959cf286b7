/* The self-test, for when a device is opened: it compares what the kernels find with what the reference finds. The rows
 * are no multiple of a tile, the probes none of a group, the elements none of a chunk. All elements are integers, so
 * that sums of their products are exact. Four batches go through the four shapes of the generic scan, or one through
 * Hopper's; one more goes through the float scan. */
#include <stdlib.h>
#include <string.h>

#include "kernels/bound.h"
#include "kernels/cuda/host/internal.h"
#include "kernels/reference.h"

enum { ROWS = 300, PROBES = 140, DIM = 300, K = 20, TILES = (ROWS + LK_TILE_ROWS - 1) / LK_TILE_ROWS };

struct known {
  float rows[ROWS * DIM], probes[PROBES * DIM], mean[DIM], thresholds[PROBES];
  int8_t codes[ROWS * DIM];
  lk_tile tiles[TILES];
  lk_row_bound bounds[ROWS];
  uint64_t numbers[ROWS];
  uint64_t survivors[PROBES]; /* of the first tile */
  double work[LK_TILE_ROWS * DIM];
  lk_candidate_lists lists;
};

static void fill(float *out, uint32_t count, uint32_t seed) {
  for (uint32_t i = 0; i < count; i++) {
    seed = seed * 1664525 + 1013904223; /* Numerical Recipes */
    out[i] = (float)(int32_t)(seed >> 16 & 255) - 127;
  }
}

static lk_block make_block(struct known *known) {
  fill(known->rows, ROWS * DIM, 1);
  fill(known->probes, PROBES * DIM, 2);
  for (uint32_t r = 0; r < ROWS; r++) known->numbers[r] = r;
  for (uint32_t p = 0; p < PROBES; p++) known->thresholds[p] = 180000; /* two standard deviations of these scores */
  for (uint32_t t = 0, first = 0; t < TILES; t++, first += LK_TILE_ROWS)
    lk_codes_tile(known->rows + first * DIM, NULL, ROWS - first < LK_TILE_ROWS ? ROWS - first : LK_TILE_ROWS, DIM,
                  known->mean, known->work, known->codes + first * DIM, &known->tiles[t], &known->bounds[first]);
  return (lk_block){.rows = ROWS,
                    .mean = known->mean,
                    .exact = known->rows,
                    .codes = known->codes,
                    .tiles = known->tiles,
                    .bounds = known->bounds,
                    .numbers = known->numbers};
}

static uint64_t count_survivors(const struct known *known, const int8_t *code, const lk_probe_bound *bound, float bar) {
  int32_t threshold = lk_bound_threshold(LK_IP, bound, &known->tiles[0], bar);
  uint64_t count = 0;
  for (uint32_t r = 0; r < LK_TILE_ROWS; r++) {
    int32_t sum = 0;
    for (uint32_t i = 0; i < DIM; i++) sum += code[i] * known->codes[r * DIM + i];
    count += sum >= threshold || !lk_row_fits(&known->tiles[0], &known->bounds[r]);
  }
  return count;
}

/* The survivors are counted too: a scan that lets everything through finds the same lists. */
static lk_status make_answer(struct known *known, const lk_block *block, const lk_batch *batch, lk_error *error) {
  for (uint32_t p = 0; p < PROBES; p++) {
    int8_t code[DIM];
    float rotated[DIM];
    lk_probe_bound bound;
    lk_codes_probe(LK_IP, known->probes + p * DIM, 1, DIM, known->mean, LK_CODE_MAX, known->work, code, rotated,
                   &bound);
    known->survivors[p] = count_survivors(known, code, &bound, known->thresholds[p]);
  }
  return lk_reference_search(block, 1, batch, &known->lists, error);
}

/* Compares field by field: a hit ends with bytes that nobody writes. */
static bool same(const lk_candidate_lists *got, const lk_candidate_lists *want) {
  if (memcmp(got->ends, want->ends, got->count * sizeof *got->ends) != 0) return false;
  for (uint64_t i = 0; i < lk_candidate_lists_begin(got, got->count); i++)
    if (got->hits[i].number != want->hits[i].number || got->hits[i].score != want->hits[i].score) return false;
  return true;
}

/* Runs a round for each tile, so that bars rise in between. */
static lk_status search(lk_cuda *cuda, const struct known *known, const lk_batch *batch, bool in_float,
                        lk_candidate_lists *lists, bool *fine, lk_error *error) {
  uint64_t visible, wanted = 0;
  lk_round done;
  lk_search_stats stats = {0};
  lk_scan_order order = {0};
  lk_plan plan = {.first_tiles = TILES, .growth = 1, .tile_stride = 1};
  lk_status status = lk_scan_order_make(&order, &plan, TILES, error);
  if (status == LK_OK) status = lk_cuda_begin(&cuda->base, batch, &visible, error);
  for (uint32_t p = 0; p < batch->count; p++) wanted += known->survivors[p];
  for (uint32_t tile = 0; status == LK_OK && *fine && tile < TILES; tile++) {
    *fine = lk_cuda_rounds(&cuda->base, &order, &(lk_run){tile, tile + 1}, 1, in_float, &done) == 1;
    if (tile == 0 && !in_float) *fine = *fine && cuda->stats.survivors == wanted;
  }
  lk_candidate_lists_clear(lists);
  if (status == LK_OK) status = lk_cuda_finish(&cuda->base, lists, &stats, error);
  if (status == LK_OK) *fine = *fine && same(lists, &known->lists);
  lk_scan_order_free(&order);
  return status;
}

static lk_status compare(lk_cuda *cuda, const struct known *known, lk_batch batch, bool *fine, lk_error *error) {
  static const uint32_t counts[] = {PROBES, 5, 20, 50};
  lk_candidate_lists lists = {0};
  lk_status status = LK_OK;
  *fine = true;
  for (uint32_t i = 0; status == LK_OK && *fine && i < (cuda->hopper ? 1 : 4); i++) {
    batch.count = counts[i];
    status = search(cuda, known, &batch, false, &lists, fine, error);
  }
  if (status == LK_OK && *fine) status = search(cuda, known, &batch, true, &lists, fine, error);
  lk_candidate_lists_free(&lists);
  return status;
}

static lk_status run(lk_cuda *cuda, struct known *known, lk_error *error) {
  lk_block block = make_block(known);
  lk_resident_block *resident = NULL;
  lk_batch batch = {.shape = {.metric = LK_IP, .dim = DIM, .store = LK_STORE_F32},
                    .blocks_count = 1,
                    .probes = known->probes,
                    .count = PROBES,
                    .k = K,
                    .thresholds = known->thresholds};
  bool fine = false;
  lk_status status = make_answer(known, &block, &batch, error);
  if (status == LK_OK) status = lk_cuda_load_block(&cuda->base, batch.shape, &block, &resident, error);
  batch.blocks = &resident;
  cuda->testing = true;
  if (status == LK_OK) status = compare(cuda, known, batch, &fine, error);
  cuda->testing = false;
  lk_cuda_unload_block(&cuda->base, resident);
  if (status == LK_OK && !fine)
    status =
        lk_fail(error, LK_EINTERNAL,
                "device '%s' failed its self-test: its kernels do not find what the reference finds", cuda->gpu->name);
  return status;
}

lk_status lk_cuda_self_test(lk_cuda *cuda, lk_error *error) {
  struct known *known = calloc(1, sizeof *known);
  if (known == NULL) return lk_fail_memory(error);
  lk_status status = run(cuda, known, error);
  lk_candidate_lists_free(&known->lists);
  free(known);
  return status;
}
