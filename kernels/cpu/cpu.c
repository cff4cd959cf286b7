#include "kernels/cpu/cpu.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "kernels/cpu/internal.h"
#include "kernels/plan.h"

static const size_t huge_page = (size_t)2 << 20;

/* A scan reads packed codes from end to end: huge pages save most of its address translation. */
static uint8_t *allocate_packed(size_t bytes) {
  if (bytes < huge_page) return aligned_alloc(64, (bytes + 63) / 64 * 64);
  size_t rounded = (bytes + huge_page - 1) / huge_page * huge_page;
  uint8_t *packed = aligned_alloc(huge_page, rounded);
  if (packed != NULL) madvise(packed, rounded, MADV_HUGEPAGE);
  return packed;
}

static size_t tile_bytes(uint32_t width) { return (size_t)LK_TILE_ROWS * width; }

struct packing {
  lk_cpu_resident_block *resident;
  const int8_t *codes;
  uint32_t dim;
};

static void pack_tile(void *context, uint32_t thread, uint32_t tile) {
  (void)thread;
  struct packing *packing = context;
  uint32_t first = tile * LK_TILE_ROWS, rows = packing->resident->base.rows - first;
  uint32_t width = lk_cpu_width(packing->dim);
  lk_isa_pack(packing->codes + (size_t)first * packing->dim, rows < LK_TILE_ROWS ? rows : LK_TILE_ROWS, packing->dim,
              width, packing->resident->packed + tile * tile_bytes(width));
}

static void unload_block(lk_backend *backend, lk_resident_block *base) {
  (void)backend;
  lk_cpu_resident_block *resident = (lk_cpu_resident_block *)base;
  if (resident == NULL) return;
  free(resident->packed);
  free(resident->tiles);
  lk_outliers_free(&resident->outliers);
  free(resident);
}

static lk_status load_block(lk_backend *backend, lk_shape shape, const lk_block *block, lk_resident_block **resident,
                            lk_error *error) {
  lk_cpu *cpu = (lk_cpu *)backend;
  uint32_t tiles = (block->rows + LK_TILE_ROWS - 1) / LK_TILE_ROWS;
  lk_cpu_resident_block *made = calloc(1, sizeof *made);
  if (made == NULL) return lk_fail_memory(error);
  made->base = (lk_resident_block){.rows = block->rows, .tiles = tiles, .name = block->name};
  made->block = *block;
  made->packed = allocate_packed(tiles * tile_bytes(lk_cpu_width(shape.dim)) + LK_TILE_SLACK);
  made->tiles = malloc((tiles + 1) * sizeof *made->tiles);
  if (!lk_outliers_list(block, LK_TILE_ROWS, &made->outliers) || made->packed == NULL || made->tiles == NULL) {
    unload_block(backend, &made->base);
    return lk_fail_memory(error);
  }
  memcpy(made->tiles, block->tiles, tiles * sizeof *made->tiles);
  made->block.tiles = made->tiles;
  made->block.codes = NULL;
  struct packing packing = {.resident = made, .codes = block->codes, .dim = shape.dim};
  lk_pool_run(cpu->pool, tiles, pack_tile, &packing);
  *resident = &made->base;
  return LK_OK;
}

/* Searches read the caller's arrays themselves. */
static lk_status update_block(lk_backend *backend, lk_resident_block *resident, const lk_visibility *visibility,
                              uint32_t first, uint32_t count, lk_error *error) {
  (void)backend, (void)first, (void)count, (void)error;
  ((lk_cpu_resident_block *)resident)->block.visibility = *visibility;
  return LK_OK;
}

static void free_thread(lk_cpu_thread *thread) {
  lk_buffer_free(&thread->pending_buffer);
  lk_buffer_free(&thread->found_buffer);
  lk_buffer_free(&thread->float_buffer);
}

static void close_device(lk_backend *backend) {
  lk_cpu *cpu = (lk_cpu *)backend;
  for (uint32_t i = 0; cpu->threads != NULL && i < lk_pool_threads(cpu->pool); i++) free_thread(&cpu->threads[i]);
  free(cpu->threads);
  lk_cpu_pass_free(&cpu->pass);
  lk_pool_close(cpu->pool);
  free(cpu);
}

static const lk_backend_ops ops = {.load = load_block,
                                   .unload = unload_block,
                                   .update = update_block,
                                   .begin = lk_cpu_begin,
                                   .exact_scan = lk_cpu_exact_scan,
                                   .seed = lk_cpu_seed,
                                   .rounds = lk_cpu_rounds,
                                   .finish = lk_cpu_finish,
                                   .close = close_device};

static lk_status make_threads(lk_cpu *cpu, lk_error *error) {
  size_t bytes = lk_pool_threads(cpu->pool) * sizeof *cpu->threads;
  cpu->threads = aligned_alloc(_Alignof(lk_cpu_thread), bytes);
  if (cpu->threads == NULL) return lk_fail_memory(error);
  memset(cpu->threads, 0, bytes);
  return LK_OK;
}

static const lk_isa *find_isa(const char *device) {
  if (strcmp(device, "cpu") == 0) return lk_isa_find(NULL);
  return strncmp(device, "cpu:", 4) == 0 ? lk_isa_find(device + 4) : NULL;
}

lk_status lk_cpu_open(const char *device, uint32_t threads, lk_backend **backend, lk_error *error) {
  const lk_isa *isa = find_isa(device);
  if (isa == NULL)
    return lk_fail(error, LK_ENODEVICE, "device '%s': this build does not know it, or this machine does not have it",
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
  status = make_threads(cpu, error);
  if (status != LK_OK) {
    close_device(&cpu->base);
    return status;
  }
  *backend = &cpu->base;
  return LK_OK;
}
