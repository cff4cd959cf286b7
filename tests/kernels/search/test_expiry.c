/* Rows that get an expiry while they are searched: on every CPU backend none is found from its very time on. */
#include <criterion/criterion.h>
#include <stdlib.h>

#include "kernels/candidate_lists.h"
#include "kernels/search/device.h"
#include "tests/support/corpus.h"

enum { ROWS = 3000, DIM = 24, BLOCKS = 3, PROBES = 1024, SINGLES = 64 };

static const uint64_t soon_ms = 1700000000000;

/* Probe p is row p, which is nearest to itself. A row that has expired has another one in its place. */
static void search(lk_device *device, const lk_batch *batch, uint32_t first, const uint64_t *expires_ms) {
  lk_candidate_lists lists = {0};
  cr_assert_eq(lk_search(device, batch, &lists, NULL, NULL), LK_OK);
  for (uint32_t p = 0; p < batch->count; p++) {
    cr_assert_eq(lk_candidate_lists_begin(&lists, p + 1) - lk_candidate_lists_begin(&lists, p), 1);
    uint32_t row = first + p, found = lists.hits[p].row;
    bool lives = expires_ms == NULL || batch->filter.now_ms < expires_ms[row];
    cr_assert_eq(found == row, lives, "%s: row %u, which %s, at %+d ms, %u at a time", lk_device_name(device), row,
                 lives ? "lives" : "has expired", (int)(batch->filter.now_ms - soon_ms), batch->count);
    cr_assert(expires_ms == NULL || batch->filter.now_ms < expires_ms[found]);
  }
  lk_candidate_lists_free(&lists);
}

static void search_at(lk_device *device, lk_batch batch, uint64_t now_ms, const uint64_t *expires_ms) {
  batch.filter.now_ms = now_ms;
  search(device, &batch, 0, expires_ms);
  batch.count = 1;
  for (uint32_t p = 0; p < SINGLES; p++, batch.probes += DIM) search(device, &batch, p, expires_ms);
}

static void check(const char *name) {
  lk_device *device;
  lk_resident_block *blocks[BLOCKS];
  if (lk_device_open(name, 2, &device, NULL) != LK_OK) return;
  corpus data = corpus_make(&(corpus_recipe){
      .metric = LK_L2, .kind = CORPUS_NORMAL, .dim = DIM, .rows = ROWS, .blocks = BLOCKS, .probes = 1, .seed = 8});
  uint64_t *expires_ms = malloc(ROWS * sizeof *expires_ms);
  for (uint32_t r = 0; r < ROWS; r++) expires_ms[r] = r % 4 == 3 ? UINT64_MAX : soon_ms + r % 4;
  for (uint32_t b = 0; b < BLOCKS; b++)
    cr_assert_eq(lk_device_load_block(device, data.shape, &data.blocks[b], &blocks[b], NULL), LK_OK);
  lk_batch batch = {
      .shape = data.shape, .blocks = blocks, .blocks_count = BLOCKS, .probes = data.exact, .count = PROBES, .k = 1};
  search_at(device, batch, UINT64_MAX, NULL);
  cr_assert_eq(lk_device_begin_changes(device, NULL), LK_OK);
  for (uint32_t b = 0, row = 0; b < BLOCKS; row += data.blocks[b++].rows) {
    lk_visibility visibility = {.expires_ms = expires_ms + row};
    cr_assert_eq(lk_device_update_block(device, blocks[b], &visibility, 0, 1, NULL), LK_OK);
  }
  lk_device_end_changes(device);
  for (int ms = -1; ms < 4; ms++) search_at(device, batch, soon_ms + (uint64_t)ms, expires_ms);
  for (uint32_t b = 0; b < BLOCKS; b++) lk_device_unload_block(device, blocks[b]);
  lk_device_close(device);
  corpus_free(&data);
  free(expires_ms);
}

Test(expiry, portable) { check("cpu:portable"); }
Test(expiry, avx2) { check("cpu:avx2"); }
Test(expiry, avx512vnni) { check("cpu:avx512vnni"); }
Test(expiry, amx) { check("cpu:amx"); }
Test(expiry, sharded) { check("cpu,cpu:portable"); }
