/* A known answer, when a device is opened: the same search by the generic kernel and by Hopper's, over rows, probes and
 * dimensions that end beside every edge. Integers, so what is compared are bits. */
#include <stdlib.h>
#include <string.h>

#include "kernels/cuda/device.h"

enum { ROWS = 400, PROBES = 140, DIM = 600, K = 20, TILES = (ROWS + LK_TILE_ROWS - 1) / LK_TILE_ROWS };

struct known {
  float rows[ROWS * DIM], probes[PROBES * DIM], mean[DIM], thresholds[PROBES];
  int8_t codes[ROWS * DIM];
  lk_tile tiles[TILES];
  lk_row_bound bounds[ROWS];
  uint64_t numbers[ROWS];
  double work[LK_TILE_ROWS * DIM];
};

static void fill(float *out, uint32_t count, uint32_t seed) {
  for (uint32_t i = 0; i < count; i++) {
    seed = seed * 1664525 + 1013904223; /* Numerical Recipes */
    out[i] = (float)(int32_t)(seed >> 16 & 255) - 127;
  }
}

static lk_block make(struct known *known) {
  fill(known->rows, ROWS * DIM, 1);
  fill(known->probes, PROBES * DIM, 2);
  for (uint32_t r = 0; r < ROWS; r++) known->numbers[r] = r;
  for (uint32_t p = 0; p < PROBES; p++) known->thresholds[p] = 250000; /* two standard deviations of these scores */
  for (uint32_t t = 0, first = 0; t < TILES; t++, first += LK_TILE_ROWS)
    lk_quant_tile(known->rows + first * DIM, ROWS - first < LK_TILE_ROWS ? ROWS - first : LK_TILE_ROWS, DIM,
                  known->mean, known->work, known->codes + first * DIM, &known->tiles[t], &known->bounds[first]);
  return (lk_block){.rows = ROWS,
                    .mean = known->mean,
                    .exact = known->rows,
                    .codes = known->codes,
                    .tiles = known->tiles,
                    .bounds = known->bounds,
                    .numbers = known->numbers};
}

/* Tile by tile, so that bars rise in between. */
static bool search(lk_cuda *cuda, const lk_batch *batch, lk_lists *lists, lk_search_stats *stats) {
  uint64_t visible;
  lk_round done;
  if (lk_cuda_begin(&cuda->base, batch, &visible, NULL) != LK_OK) return false;
  for (uint32_t tile = 0; tile < TILES; tile++)
    if (!lk_cuda_round(&cuda->base, &tile, 1, false, &done)) return false;
  return lk_cuda_finish(&cuda->base, lists, stats, NULL) == LK_OK;
}

/* Field by field: a hit ends with bytes that nobody writes. */
static bool same(const lk_lists *a, const lk_lists *b) {
  if (a->count != b->count || memcmp(a->ends, b->ends, a->count * sizeof *a->ends) != 0) return false;
  for (uint64_t i = 0; i < lk_lists_begin(a, a->count); i++)
    if (a->hits[i].number != b->hits[i].number || a->hits[i].score != b->hits[i].score) return false;
  return true;
}

/* The survivors of the scan must be as many, too: a scan that lets everything through would find the same. */
static bool agree(lk_cuda *cuda, const lk_batch *batch) {
  lk_lists lists[2] = {{0}, {0}};
  lk_search_stats stats[2] = {{0}, {0}};
  bool fine = true;
  for (int hopper = 0; fine && hopper < 2; hopper++) {
    cuda->hopper = hopper;
    fine = search(cuda, batch, &lists[hopper], &stats[hopper]);
  }
  fine = fine && stats[0].survivors == stats[1].survivors && same(&lists[0], &lists[1]);
  lk_lists_free(&lists[0]);
  lk_lists_free(&lists[1]);
  cuda->hopper = false;
  return fine;
}

bool lk_cuda_self_test(lk_cuda *cuda) {
  struct known *known = calloc(1, sizeof *known);
  if (known == NULL) return false;
  lk_block block = make(known);
  lk_shape shape = {.metric = LK_IP, .dim = DIM, .store = LK_STORE_F32};
  lk_hold *hold;
  bool fine = lk_cuda_hold_block(&cuda->base, shape, &block, &hold, NULL) == LK_OK;
  if (fine) {
    lk_batch batch = {.shape = shape,
                      .holds = &hold,
                      .holds_count = 1,
                      .probes = known->probes,
                      .count = PROBES,
                      .k = K,
                      .thresholds = known->thresholds};
    fine = agree(cuda, &batch);
    lk_cuda_release(&cuda->base, hold);
  }
  free(known);
  return fine;
}
