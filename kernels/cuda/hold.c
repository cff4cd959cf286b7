/* Taking a block into a GPU's memory: everything that a search reads of it, so that the block's own memory is looked at
 * no more, but for exact rows that do not fit. */
#include <stdlib.h>
#include <string.h>

#include "kernels/cuda/device.h"

/* Codes on their way to the GPU. */
static const size_t staging_bytes = (size_t)32 << 20;

/* One block on its way: after the first failure nothing more is done. */
struct loading {
  lk_cuda *cuda;
  lk_cuda_hold *hold;
  const lk_block *block;
  lk_shape shape;
  lk_status status;
  lk_error *error;
};

void lk_cuda_release(lk_backend *backend, lk_hold *base) {
  lk_gpu *gpu = ((lk_cuda *)backend)->gpu;
  lk_cuda_hold *hold = (lk_cuda_hold *)base;
  if (hold == NULL) return;
  for (uint32_t i = 0; i < hold->arrays_count; i++) gpu->ops->free(gpu, hold->arrays[i]);
  if (hold->lent != NULL) gpu->ops->take_back(gpu, hold->lent);
  free(hold);
}

/* Memory that is the hold's from here on. */
static void *allocate(struct loading *loading, size_t bytes) {
  lk_gpu *gpu = loading->cuda->gpu;
  if (loading->status != LK_OK) return NULL;
  void *memory = gpu->ops->allocate(gpu, bytes > 0 ? bytes : 1);
  if (memory != NULL)
    loading->hold->arrays[loading->hold->arrays_count++] = memory;
  else
    loading->status = lk_cuda_fail_memory(loading->cuda, bytes, loading->error);
  return memory;
}

/* A copy of the host's array; NULL for NULL, which is no failure. */
static const void *send(struct loading *loading, const void *array, size_t bytes) {
  if (array == NULL) return NULL;
  void *memory = allocate(loading, bytes);
  if (memory != NULL) loading->cuda->gpu->ops->write(loading->cuda->gpu, memory, array, bytes);
  return memory;
}

struct packing {
  const int8_t *codes;
  int8_t *out;
  uint32_t rows, dim;
};

static void pack_tile(void *context, uint32_t thread, uint32_t tile) {
  (void)thread;
  const struct packing *packing = context;
  uint32_t chunks = lk_chunks(packing->dim), first = tile * LK_TILE_ROWS;
  memset(packing->out + lk_packed_chunk(chunks, LK_TILE_ROWS, tile, 0), 0, (size_t)LK_TILE_ROWS * chunks * LK_CHUNK);
  for (uint32_t r = first; r < packing->rows && r < first + LK_TILE_ROWS; r++)
    lk_pack_row(LK_TILE_ROWS, r, packing->codes + (size_t)r * packing->dim, packing->dim, packing->out);
}

/* Packs the codes a few tiles at a time. */
static void send_codes(struct loading *loading) {
  lk_cuda *cuda = loading->cuda;
  const lk_block *block = loading->block;
  uint32_t dim = loading->shape.dim, tiles = loading->hold->base.tiles;
  size_t tile_bytes = (size_t)LK_TILE_ROWS * lk_chunks(dim) * LK_CHUNK;
  uint32_t at_once = (uint32_t)(staging_bytes / tile_bytes);
  if (at_once > tiles) at_once = tiles;
  int8_t *packed = allocate(loading, tiles * tile_bytes), *staging = malloc(at_once * tile_bytes + 1);
  if (staging == NULL) loading->status = lk_fail_memory(loading->error);
  for (uint32_t tile = 0; loading->status == LK_OK && tile < tiles; tile += at_once) {
    uint32_t count = tiles - tile < at_once ? tiles - tile : at_once, first = tile * LK_TILE_ROWS;
    struct packing packing = {block->codes + (size_t)first * dim, staging, block->rows - first, dim};
    lk_pool_run(cuda->pool, count, pack_tile, &packing);
    cuda->gpu->ops->write(cuda->gpu, packed + tile * tile_bytes, staging, count * tile_bytes);
  }
  free(staging);
  loading->hold->place.codes = packed;
}

/* Where the exact rows do not fit, and leave room for searches, they are read in the host's memory. */
static void send_exact(struct loading *loading) {
  lk_gpu *gpu = loading->cuda->gpu;
  const void *exact = loading->block->exact;
  size_t bytes = (size_t)loading->block->rows * loading->shape.dim * lk_store_bytes(loading->shape.store);
  if (loading->status != LK_OK) return;
  if (bytes + gpu->bytes_in_reserve > gpu->ops->bytes_left(gpu)) {
    loading->hold->place.exact = gpu->ops->lend(gpu, exact, bytes);
    if (loading->hold->place.exact != NULL) loading->hold->lent = exact;
  }
  if (loading->hold->place.exact == NULL) loading->hold->place.exact = send(loading, exact, bytes);
}

static uint32_t list_misfits(const lk_block *block, uint32_t *rows, uint32_t *ends) {
  uint32_t count = 0;
  for (uint32_t r = 0; r < block->rows; r++) {
    if (!lk_row_fits(&block->tiles[r / LK_TILE_ROWS], &block->bounds[r])) rows[count++] = r;
    ends[r / LK_BLOCK_ROWS] = count;
  }
  return count;
}

static void send_misfits(struct loading *loading) {
  const lk_block *block = loading->block;
  uint32_t strips = (block->rows + LK_BLOCK_ROWS - 1) / LK_BLOCK_ROWS;
  uint32_t *rows = malloc(((size_t)block->rows + 1) * sizeof *rows);
  uint32_t *ends = malloc(((size_t)strips + 1) * sizeof *ends);
  if (rows == NULL || ends == NULL) {
    loading->status = lk_fail_memory(loading->error);
  } else {
    uint32_t count = list_misfits(block, rows, ends);
    loading->hold->place.misfits = send(loading, rows, count * sizeof *rows);
    loading->hold->place.misfit_ends = send(loading, ends, strips * sizeof *ends);
  }
  free(rows);
  free(ends);
}

static void send_block(struct loading *loading) {
  const lk_block *block = loading->block;
  const lk_visibility *seen = &block->visibility;
  lk_cuda_place *place = &loading->hold->place;
  size_t rows = block->rows, tiles = loading->hold->base.tiles;
  send_codes(loading);
  place->tiles = send(loading, block->tiles, tiles * sizeof *block->tiles);
  place->bounds = send(loading, block->bounds, rows * sizeof *block->bounds);
  place->numbers = send(loading, block->numbers, rows * sizeof *block->numbers);
  place->subjects = send(loading, block->subjects, rows * sizeof *block->subjects);
  place->mean = send(loading, block->mean, loading->shape.dim * sizeof *block->mean);
  place->visibility = (lk_visibility){.born = send(loading, seen->born, rows * sizeof *seen->born),
                                      .died = send(loading, seen->died, rows * sizeof *seen->died),
                                      .expires_ms = send(loading, seen->expires_ms, rows * sizeof *seen->expires_ms),
                                      .tags = send(loading, seen->tags, rows * sizeof *seen->tags)};
  send_misfits(loading);
  send_exact(loading);
}

lk_status lk_cuda_hold_block(lk_backend *backend, lk_shape shape, const lk_block *block, lk_hold **out,
                             lk_error *error) {
  lk_cuda *cuda = (lk_cuda *)backend;
  lk_cuda_hold *made = calloc(1, sizeof *made);
  if (made == NULL) return lk_fail_memory(error);
  made->base = (lk_hold){.rows = block->rows, .tiles = (block->rows + LK_TILE_ROWS - 1) / LK_TILE_ROWS};
  made->block = *block;
  made->place.rows = block->rows;
  struct loading loading = {.cuda = cuda, .hold = made, .block = block, .shape = shape, .error = error};
  send_block(&loading);
  if (loading.status == LK_OK) loading.status = cuda->gpu->ops->check(cuda->gpu, error);
  if (loading.status != LK_OK) {
    lk_cuda_release(backend, &made->base);
    return loading.status;
  }
  *out = &made->base;
  return LK_OK;
}
