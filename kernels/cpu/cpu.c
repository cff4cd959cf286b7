#include "kernels/cpu/cpu.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "kernels/cpu/internal.h"
#include "kernels/plan.h"

static const size_t huge_page = (size_t)2 << 20;

/* Packed codes are read end to end: huge pages spare the scan most of its address translation. */
static uint8_t *allocate_packed(size_t bytes) {
  if (bytes < huge_page) return aligned_alloc(64, (bytes + 63) / 64 * 64);
  size_t rounded = (bytes + huge_page - 1) / huge_page * huge_page;
  uint8_t *packed = aligned_alloc(huge_page, rounded);
  if (packed != NULL) madvise(packed, rounded, MADV_HUGEPAGE);
  return packed;
}

static size_t tile_bytes(uint32_t width) { return (size_t)LK_TILE_ROWS * width; }

struct packing {
  lk_cpu_resident_block *hold;
  const int8_t *codes;
  uint32_t dim;
};

static void pack_tile(void *context, uint32_t thread, uint32_t tile) {
  (void)thread;
  struct packing *packing = context;
  uint32_t first = tile * LK_TILE_ROWS, rows = packing->hold->base.rows - first;
  uint32_t width = lk_cpu_width(packing->dim);
  lk_isa_pack(packing->codes + (size_t)first * packing->dim, rows < LK_TILE_ROWS ? rows : LK_TILE_ROWS, packing->dim,
              width, packing->hold->packed + tile * tile_bytes(width));
}

static void release(lk_backend *backend, lk_resident_block *base) {
  (void)backend;
  lk_cpu_resident_block *hold = (lk_cpu_resident_block *)base;
  if (hold == NULL) return;
  free(hold->packed);
  free(hold->tiles);
  free(hold->outliers);
  free(hold->outlier_ends);
  free(hold);
}

static uint32_t count_outliers(const lk_block *block) {
  uint32_t count = 0;
  for (uint32_t r = 0; r < block->rows; r++) count += !lk_row_fits(&block->tiles[r / LK_TILE_ROWS], &block->bounds[r]);
  return count;
}

static void list_outliers(lk_cpu_resident_block *hold, const lk_block *block) {
  uint32_t count = 0;
  for (uint32_t r = 0; r < block->rows; r++) {
    if (!lk_row_fits(&block->tiles[r / LK_TILE_ROWS], &block->bounds[r]))
      hold->outliers[count++] = (uint8_t)(r % LK_TILE_ROWS);
    hold->outlier_ends[r / LK_TILE_ROWS] = count;
  }
}

static lk_status hold(lk_backend *backend, lk_shape shape, const lk_block *block, lk_resident_block **out,
                      lk_error *error) {
  lk_cpu *cpu = (lk_cpu *)backend;
  uint32_t tiles = (block->rows + LK_TILE_ROWS - 1) / LK_TILE_ROWS;
  lk_cpu_resident_block *made = calloc(1, sizeof *made);
  if (made == NULL) return lk_fail_memory(error);
  made->base = (lk_resident_block){.rows = block->rows, .tiles = tiles};
  made->block = *block;
  made->packed = allocate_packed(tiles * tile_bytes(lk_cpu_width(shape.dim)) + LK_TILE_SLACK);
  made->tiles = malloc((tiles + 1) * sizeof *made->tiles);
  made->outliers = malloc(count_outliers(block) + 1);
  made->outlier_ends = malloc((tiles + 1) * sizeof *made->outlier_ends);
  if (made->packed == NULL || made->tiles == NULL || made->outliers == NULL || made->outlier_ends == NULL) {
    release(backend, &made->base);
    return lk_fail_memory(error);
  }
  memcpy(made->tiles, block->tiles, tiles * sizeof *made->tiles);
  made->block.tiles = made->tiles;
  made->block.codes = NULL;
  list_outliers(made, block);
  struct packing packing = {.hold = made, .codes = block->codes, .dim = shape.dim};
  lk_pool_run(cpu->pool, tiles, pack_tile, &packing);
  *out = &made->base;
  return LK_OK;
}

/* The caller's arrays are what is searched. */
static lk_status update(lk_backend *backend, lk_resident_block *hold, const lk_visibility *visibility, uint32_t first,
                        uint32_t count, lk_error *error) {
  (void)backend, (void)first, (void)count, (void)error;
  ((lk_cpu_resident_block *)hold)->block.visibility = *visibility;
  return LK_OK;
}

static void close_lane(lk_cpu_thread *lane) {
  free(lane->pending_buffer.data);
  free(lane->found);
  free(lane->wide_buffer.data);
}

static void close_device(lk_backend *backend) {
  lk_cpu *cpu = (lk_cpu *)backend;
  for (uint32_t i = 0; cpu->lanes != NULL && i < lk_pool_threads(cpu->pool); i++) close_lane(&cpu->lanes[i]);
  free(cpu->lanes);
  lk_cpu_pass_free(&cpu->pass);
  lk_pool_close(cpu->pool);
  free(cpu);
}

static const lk_backend_ops ops = {.hold = hold,
                                   .release = release,
                                   .update = update,
                                   .begin = lk_cpu_begin,
                                   .exact_scan = lk_cpu_exact_scan,
                                   .seed = lk_cpu_seed,
                                   .rounds = lk_cpu_rounds,
                                   .finish = lk_cpu_finish,
                                   .close = close_device};

static lk_status open_lanes(lk_cpu *cpu, lk_error *error) {
  uint32_t threads = lk_pool_threads(cpu->pool);
  cpu->lanes = aligned_alloc(_Alignof(lk_cpu_thread), threads * sizeof *cpu->lanes);
  if (cpu->lanes == NULL) return lk_fail_memory(error);
  memset(cpu->lanes, 0, threads * sizeof *cpu->lanes);
  return LK_OK;
}

static const lk_isa *find_isa(const char *device) {
  if (strcmp(device, "cpu") == 0) return lk_isa_find(NULL);
  return strncmp(device, "cpu:", 4) == 0 ? lk_isa_find(device + 4) : NULL;
}

lk_status lk_cpu_open(const char *device, uint32_t threads, lk_backend **backend, lk_error *error) {
  const lk_isa *isa = find_isa(device);
  if (isa == NULL)
    return lk_fail(error, LK_ENODEVICE, "device '%s' is not known to this build, or this machine does not have it",
                   device);
  lk_cpu *cpu = calloc(1, sizeof *cpu);
  if (cpu == NULL) return lk_fail_memory(error);
  cpu->isa = isa;
  snprintf(cpu->name, sizeof cpu->name, "cpu:%s", isa->name);
  cpu->base = (lk_backend){.ops = &ops, .name = cpu->name, .tiles_at_once = 1};
  lk_status status = lk_pool_open(threads, &cpu->pool, error);
  if (status != LK_OK) {
    free(cpu);
    return status;
  }
  status = open_lanes(cpu, error);
  if (status != LK_OK) {
    close_device(&cpu->base);
    return status;
  }
  *backend = &cpu->base;
  return LK_OK;
}
