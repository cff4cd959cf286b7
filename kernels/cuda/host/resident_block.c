/* Loads a block into a GPU's memory: everything that a search reads of it. Only exact rows that do not fit stay where
 * they are, and the GPU reads them there. */
#include <stdlib.h>
#include <string.h>

#include "kernels/cuda/host/internal.h"

/* So much is on its way to the GPU at once; the largest tile fits. */
static const size_t staging_bytes = (size_t)16 << 20;

/* A block that is being loaded. After the first failure nothing more is sent. */
struct loading {
  lk_cuda *cuda;
  lk_cuda_resident_block *resident;
  const lk_block *block;
  lk_shape shape;
  lk_status status;
  lk_error *error;
};

void lk_cuda_unload_block(lk_backend *backend, lk_resident_block *base) {
  lk_gpu *gpu = ((lk_cuda *)backend)->gpu;
  lk_cuda_resident_block *resident = (lk_cuda_resident_block *)base;
  if (resident == NULL) return;
  for (uint32_t i = 0; i < resident->arrays_count; i++) gpu->ops->free(gpu, resident->arrays[i]);
  if (resident->lent != NULL) gpu->ops->take_back(gpu, resident->lent);
  free(resident);
}

/* Allocates memory that the resident block frees when it is unloaded. */
static void *allocate(struct loading *loading, size_t bytes) {
  lk_gpu *gpu = loading->cuda->gpu;
  if (loading->status != LK_OK) return NULL;
  void *memory = gpu->ops->allocate(gpu, bytes > 0 ? bytes : 1);
  if (memory != NULL)
    loading->resident->arrays[loading->resident->arrays_count++] = memory;
  else
    loading->status = lk_cuda_fail_memory(loading->cuda, bytes, loading->error);
  return memory;
}

/* Copies an array of the host; NULL for NULL, which is no failure. */
static const void *send(struct loading *loading, const void *array, size_t bytes) {
  if (array == NULL) return NULL;
  void *memory = allocate(loading, bytes);
  if (memory != NULL) loading->cuda->gpu->ops->write(loading->cuda->gpu, memory, array, bytes);
  return memory;
}

/* How the tiles of an array are packed into memory that goes to the GPU. */
struct packing {
  const void *from;
  void *out; /* of the first tile of the call */
  size_t tile_bytes;
  uint32_t first, rows, dim; /* the first tile; rows of the block */
};

static uint32_t rows_of_tile(const struct packing *packing, uint32_t tile) {
  uint32_t left = packing->rows - tile * LK_TILE_ROWS;
  return left < LK_TILE_ROWS ? left : LK_TILE_ROWS;
}

static void pack_codes(void *context, uint32_t thread, uint32_t i) {
  (void)thread;
  const struct packing *packing = context;
  uint32_t tile = packing->first + i, rows = rows_of_tile(packing, tile), dim = packing->dim;
  const int8_t *codes = (const int8_t *)packing->from + (size_t)tile * LK_TILE_ROWS * dim;
  int8_t *out = (int8_t *)packing->out + i * packing->tile_bytes;
  memset(out, 0, packing->tile_bytes);
  for (uint32_t r = 0; r < rows; r++) lk_pack_row(LK_TILE_ROWS, r, codes + (size_t)r * dim, dim, out);
}

static void copy_exact(void *context, uint32_t thread, uint32_t i) {
  (void)thread;
  const struct packing *packing = context;
  uint32_t tile = packing->first + i;
  memcpy((char *)packing->out + i * packing->tile_bytes, (const char *)packing->from + tile * packing->tile_bytes,
         packing->tile_bytes / LK_TILE_ROWS * rows_of_tile(packing, tile));
}

/* Sends some tiles at a time, through two halves of staging memory: while one is on its way the other is filled. */
static void send_tiles(struct loading *loading, struct packing packing, size_t bytes, void *to,
                       void (*task)(void *context, uint32_t thread, uint32_t i)) {
  lk_cuda *cuda = loading->cuda;
  uint32_t tiles = loading->resident->base.tiles, at_once = (uint32_t)(staging_bytes / packing.tile_bytes);
  if (loading->status != LK_OK) return;
  char *staging = lk_cuda_reserve_host(cuda, LK_BUFFER_STAGING, 2 * staging_bytes);
  if (staging == NULL) loading->status = lk_fail_memory(loading->error);
  for (uint32_t half = 0; loading->status == LK_OK && packing.first < tiles; packing.first += at_once, half ^= 1) {
    uint32_t count = tiles - packing.first < at_once ? tiles - packing.first : at_once;
    size_t from = packing.first * packing.tile_bytes, size = count * packing.tile_bytes;
    packing.out = staging + half * staging_bytes;
    lk_pool_run(cuda->pool, count, task, &packing);
    cuda->gpu->ops->wait(cuda->gpu); /* for the other half, which is filled next */
    cuda->gpu->ops->write(cuda->gpu, (char *)to + from, packing.out, size < bytes - from ? size : bytes - from);
  }
  cuda->gpu->ops->wait(cuda->gpu);
}

static void send_codes(struct loading *loading) {
  struct packing packing = {.from = loading->block->codes,
                            .tile_bytes = (size_t)LK_TILE_ROWS * lk_chunks(loading->shape.dim) * LK_CHUNK,
                            .rows = loading->block->rows,
                            .dim = loading->shape.dim};
  size_t bytes = loading->resident->base.tiles * packing.tile_bytes;
  int8_t *codes = allocate(loading, bytes);
  send_tiles(loading, packing, bytes, codes, pack_codes);
  loading->resident->placement.codes = codes;
}

/* Exact rows that would not leave enough memory for searches stay in the host's memory, where the GPU reads them. */
static void send_exact(struct loading *loading) {
  lk_gpu *gpu = loading->cuda->gpu;
  const void *exact = loading->block->exact;
  size_t row_bytes = loading->shape.dim * lk_store_bytes(loading->shape.store);
  size_t bytes = loading->block->rows * row_bytes;
  if (loading->status != LK_OK) return;
  if (bytes + gpu->bytes_in_reserve > gpu->ops->bytes_left(gpu)) {
    loading->resident->placement.exact = gpu->ops->lend(gpu, exact, bytes);
    if (loading->resident->placement.exact != NULL) loading->resident->lent = exact;
  }
  if (loading->resident->lent != NULL) return;
  void *memory = allocate(loading, bytes);
  send_tiles(loading,
             (struct packing){.from = exact, .tile_bytes = LK_TILE_ROWS * row_bytes, .rows = loading->block->rows},
             bytes, memory, copy_exact);
  loading->resident->placement.exact = memory;
}

/* The arrays of a visibility: where each lies on the host and on the GPU, and whether it is new there. */
enum { COLUMNS = 4 };

struct columns {
  const uint64_t *from[COLUMNS], **to[COLUMNS];
  bool is_new[COLUMNS];
};

static struct columns columns_of(const lk_visibility *from, lk_visibility *to) {
  return (struct columns){.from = {from->born, from->died, from->expires_ms, from->tags},
                          .to = {&to->born, &to->died, &to->expires_ms, &to->tags}};
}

/* Allocates memory for the new arrays; where it does not suffice, for none of them. */
static void allocate_columns(struct loading *loading, struct columns *columns, uint32_t rows) {
  uint32_t before = loading->resident->arrays_count;
  for (uint32_t i = 0; i < COLUMNS; i++) {
    columns->is_new[i] = columns->from[i] != NULL && *columns->to[i] == NULL;
    if (columns->is_new[i]) *columns->to[i] = allocate(loading, rows * sizeof *columns->from[i]);
  }
  if (loading->status == LK_OK) return;
  lk_gpu *gpu = loading->cuda->gpu;
  while (loading->resident->arrays_count > before)
    gpu->ops->free(gpu, loading->resident->arrays[--loading->resident->arrays_count]);
  for (uint32_t i = 0; i < COLUMNS; i++)
    if (columns->is_new[i]) *columns->to[i] = NULL;
}

/* Sends rows `first` to `first + count - 1` of each array, and all rows of a new one. */
static void send_visibility(struct loading *loading, const lk_visibility *visibility, uint32_t first, uint32_t count) {
  lk_gpu *gpu = loading->cuda->gpu;
  uint32_t rows = loading->resident->base.rows;
  struct columns columns = columns_of(visibility, &loading->resident->placement.visibility);
  allocate_columns(loading, &columns, rows);
  for (uint32_t i = 0; loading->status == LK_OK && i < COLUMNS; i++) {
    if (columns.from[i] == NULL) continue;
    uint32_t begin = columns.is_new[i] ? 0 : first, many = columns.is_new[i] ? rows : count;
    gpu->ops->write(gpu, (uint64_t *)*columns.to[i] + begin, columns.from[i] + begin, many * sizeof(uint64_t));
  }
}

static void send_outliers(struct loading *loading) {
  lk_cuda_placement *placement = &loading->resident->placement;
  lk_outliers outliers;
  size_t runs = (loading->block->rows + LK_BLOCK_ROWS - 1) / LK_BLOCK_ROWS;
  if (lk_outliers_list(loading->block, LK_BLOCK_ROWS, &outliers)) {
    placement->outliers = send(loading, outliers.rows, outliers.count * sizeof *outliers.rows);
    placement->outlier_ends = send(loading, outliers.ends, runs * sizeof *outliers.ends);
  } else {
    loading->status = lk_fail_memory(loading->error);
  }
  lk_outliers_free(&outliers);
}

static void send_block(struct loading *loading) {
  const lk_block *block = loading->block;
  lk_cuda_placement *placement = &loading->resident->placement;
  size_t rows = block->rows, tiles = loading->resident->base.tiles;
  send_codes(loading);
  placement->tiles = send(loading, block->tiles, tiles * sizeof *block->tiles);
  placement->bounds = send(loading, block->bounds, rows * sizeof *block->bounds);
  placement->reciprocals = send(loading, block->reciprocals, rows * sizeof *block->reciprocals);
  placement->numbers = send(loading, block->numbers, rows * sizeof *block->numbers);
  placement->subjects = send(loading, block->subjects, rows * sizeof *block->subjects);
  placement->mean = send(loading, block->mean, loading->shape.dim * sizeof *block->mean);
  if (loading->status == LK_OK) send_visibility(loading, &block->visibility, 0, block->rows);
  send_outliers(loading);
  send_exact(loading);
}

lk_status lk_cuda_load_block(lk_backend *backend, lk_shape shape, const lk_block *block, lk_resident_block **out,
                             lk_error *error) {
  lk_cuda *cuda = (lk_cuda *)backend;
  lk_cuda_resident_block *made = calloc(1, sizeof *made);
  if (made == NULL) return lk_fail_memory(error);
  made->base = (lk_resident_block){
      .rows = block->rows, .tiles = (block->rows + LK_TILE_ROWS - 1) / LK_TILE_ROWS, .name = block->name};
  made->block = *block;
  made->placement.rows = block->rows;
  struct loading loading = {.cuda = cuda, .resident = made, .block = block, .shape = shape, .error = error};
  send_block(&loading);
  cuda->gpu->ops->wait(cuda->gpu); /* a twin may read it from here on */
  if (loading.status == LK_OK) loading.status = cuda->gpu->ops->check(cuda->gpu, error);
  if (loading.status != LK_OK) {
    lk_cuda_unload_block(backend, &made->base);
    return loading.status;
  }
  *out = &made->base;
  return LK_OK;
}

lk_status lk_cuda_update_block(lk_backend *backend, lk_resident_block *base, const lk_visibility *visibility,
                               uint32_t first, uint32_t count, lk_error *error) {
  lk_cuda *cuda = (lk_cuda *)backend;
  lk_cuda_resident_block *resident = (lk_cuda_resident_block *)base;
  struct loading loading = {.cuda = cuda, .resident = resident, .error = error};
  send_visibility(&loading, visibility, first, count);
  cuda->gpu->ops->wait(cuda->gpu);
  if (loading.status == LK_OK) resident->block.visibility = *visibility;
  return loading.status == LK_OK ? cuda->gpu->ops->check(cuda->gpu, error) : loading.status;
}
