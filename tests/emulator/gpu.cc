#include "tests/emulator/gpu.h"

#include <cstdio>
#include <cstdlib>
#include <map>

#include "kernels/cuda/kernels.cuh"

namespace {

struct emulated {
  lk_gpu base;
  emulated_recipe recipe;
  size_t used;
  std::map<void *, size_t> sizes;
};

uint64_t launches[LK_KERNELS];
std::map<const void *, size_t> lent;

emulated *of(lk_gpu *gpu) { return reinterpret_cast<emulated *>(gpu); }

size_t bytes_left(lk_gpu *gpu) { return of(gpu)->recipe.memory_bytes - of(gpu)->used; }

/* What has not been written yet is not zero. */
void *allocate(lk_gpu *gpu, size_t bytes) {
  if (bytes > bytes_left(gpu)) return nullptr;
  void *memory = aligned_alloc(64, (bytes + 63) / 64 * 64);
  if (memory == nullptr) return nullptr;
  memset(memory, 0xa5, bytes);
  of(gpu)->used += bytes;
  of(gpu)->sizes[memory] = bytes;
  return memory;
}

void release(lk_gpu *gpu, void *memory) {
  if (memory == nullptr) return;
  of(gpu)->used -= of(gpu)->sizes.at(memory);
  of(gpu)->sizes.erase(memory);
  free(memory);
}

const void *lend(lk_gpu *gpu, const void *host, size_t bytes) {
  if (!of(gpu)->recipe.lends) return nullptr;
  lent[host] = bytes;
  return host;
}

void take_back(lk_gpu *, const void *host) { lent.erase(host); }

void write(lk_gpu *, void *to, const void *host, size_t bytes) {
  if (bytes > 0) memcpy(to, host, bytes);
}

void clear(lk_gpu *, void *to, size_t bytes) { memset(to, 0, bytes); }

void read(lk_gpu *, void *host, const void *from, size_t bytes) {
  if (bytes > 0) memcpy(host, from, bytes);
}

void launch(lk_gpu *gpu, lk_kernel kernel, uint32_t blocks, const lk_cuda_pass *asked) {
  lk_cuda_pass broken = *asked, *pass = &broken;
  if (of(gpu)->recipe.breaks && kernel == LK_KERNEL_HOPPER) broken.probes--;
  const lk_kernel_entry &entry = lk_kernels[kernel];
  if (entry.kernel != kernel) abort();
  launches[kernel]++;
  std::string error = emulator_launch([&] { entry.function(*pass); }, blocks, entry.threads, entry.shared_bytes);
  if (error.empty()) return;
  fprintf(stderr, "emulator: kernel %d: %s\n", static_cast<int>(kernel), error.c_str());
  abort();
}

/* From the last element to the first: any order must do. */
void multiply(lk_gpu *, const float *rows, uint32_t rows_count, const float *probes, uint32_t probes_count,
              uint32_t dim, float *product) {
  for (uint32_t r = 0; r < rows_count; r++)
    for (uint32_t p = 0; p < probes_count; p++) {
      float sum = 0;
      for (uint32_t i = dim; i-- > 0;) sum += rows[(size_t)r * dim + i] * probes[(size_t)p * dim + i];
      product[(size_t)r * probes_count + p] = sum;
    }
}

lk_status check(lk_gpu *, lk_error *) { return LK_OK; }

void close_gpu(lk_gpu *gpu) {
  if (!of(gpu)->sizes.empty()) {
    fprintf(stderr, "emulator: %zu allocations were not freed\n", of(gpu)->sizes.size());
    abort();
  }
  delete of(gpu);
}

const lk_gpu_ops ops = {allocate, release, bytes_left, lend,     take_back, write,
                        clear,    read,    launch,     multiply, check,     close_gpu};

}  // namespace

lk_gpu *emulated_gpu_open(emulated_recipe recipe) {
  emulated *gpu = new emulated();
  gpu->base.ops = &ops;
  snprintf(gpu->base.name, sizeof gpu->base.name, "emulated");
  gpu->base.processors = 1;
  gpu->base.hopper = recipe.hopper;
  gpu->base.pairs_room = recipe.pairs_room;
  gpu->base.bytes_in_reserve = recipe.bytes_in_reserve;
  gpu->recipe = recipe;
  return &gpu->base;
}

uint64_t emulated_launches(lk_kernel kernel) { return launches[kernel]; }

size_t emulated_bytes_lent(void) {
  size_t bytes = 0;
  for (const auto &entry : lent) bytes += entry.second;
  return bytes;
}
