#include "tests/emulator/gpu.h"

#include <cstdio>
#include <cstdlib>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <vector>

#include "kernels/cuda/device/kernels.cuh"

struct lk_recording {
  std::vector<std::function<void()>> asked;
};

namespace {

struct emulated {
  lk_gpu base;
  emulated_recipe recipe;
  size_t used;
  std::map<void *, size_t> sizes;
  std::map<const char *, size_t> pinned; /* the host's memory that copies read and write later */
  std::deque<std::function<void()>> asked;
  lk_recording *recording; /* in the making */
};

std::mutex lock; /* of the emulator, and of what follows */
uint64_t launches[LK_KERNELS], recordings, replays;
std::map<const void *, size_t> lent;

emulated *of(lk_gpu *gpu) { return reinterpret_cast<emulated *>(gpu); }

void ask(lk_gpu *gpu, std::function<void()> what) {
  if (of(gpu)->recording != nullptr)
    of(gpu)->recording->asked.push_back(what);
  else
    of(gpu)->asked.push_back(what);
}

void only_outside_of_recordings(lk_gpu *gpu, const char *what) {
  if (of(gpu)->recording == nullptr) return;
  fprintf(stderr, "emulator: %s while recording\n", what);
  abort();
}

/* Does all that was asked. */
void wait(lk_gpu *gpu) {
  only_outside_of_recordings(gpu, "waits");
  std::deque<std::function<void()>> &asked = of(gpu)->asked;
  for (; !asked.empty(); asked.pop_front()) asked.front()();
}

size_t bytes_left(lk_gpu *gpu) {
  size_t has = of(gpu)->recipe.memory_bytes, used = of(gpu)->used;
  return has > used ? has - used : 0;
}

/* What has not been written yet is not zero. */
void *allocate(lk_gpu *gpu, size_t bytes) {
  only_outside_of_recordings(gpu, "allocates");
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
  wait(gpu);
  of(gpu)->used -= of(gpu)->sizes.at(memory);
  memset(memory, 0xa5, of(gpu)->sizes.at(memory));
  of(gpu)->sizes.erase(memory);
  free(memory);
}

void *allocate_host(lk_gpu *gpu, size_t bytes) {
  char *memory = static_cast<char *>(malloc(bytes));
  if (memory != nullptr) of(gpu)->pinned[memory] = bytes;
  return memory;
}

void free_host(lk_gpu *gpu, void *memory) {
  if (memory == nullptr) return;
  wait(gpu);
  of(gpu)->pinned.erase(static_cast<char *>(memory));
  free(memory);
}

bool is_pinned(lk_gpu *gpu, const void *host) {
  const char *at = static_cast<const char *>(host);
  auto after = of(gpu)->pinned.upper_bound(at);
  if (after == of(gpu)->pinned.begin()) return false;
  --after;
  return at < after->first + after->second;
}

const void *lend(lk_gpu *gpu, const void *host, size_t bytes) {
  if (!of(gpu)->recipe.lends) return nullptr;
  std::lock_guard<std::mutex> guard(lock);
  lent[host] = bytes;
  return host;
}

void take_back(lk_gpu *gpu, const void *host) {
  wait(gpu);
  std::lock_guard<std::mutex> guard(lock);
  lent.erase(host);
}

void write(lk_gpu *gpu, void *to, const void *host, size_t bytes) {
  if (bytes == 0) return;
  if (is_pinned(gpu, host)) {
    ask(gpu, [=] { memcpy(to, host, bytes); });
  } else {
    const char *from = static_cast<const char *>(host);
    std::vector<char> taken(from, from + bytes);
    ask(gpu, [to, taken] { memcpy(to, taken.data(), taken.size()); });
  }
}

void clear(lk_gpu *gpu, void *to, size_t bytes) {
  ask(gpu, [=] { memset(to, 0, bytes); });
}

void read(lk_gpu *gpu, void *host, const void *from, size_t bytes) {
  if (bytes == 0) return;
  memset(host, 0xa5, bytes);
  ask(gpu, [=] { memcpy(host, from, bytes); });
}

void run(lk_kernel kernel, uint32_t blocks, const lk_cuda_pass &pass) {
  const lk_kernel_entry &entry = lk_kernels[kernel];
  if (entry.kernel != kernel) abort();
  std::lock_guard<std::mutex> guard(lock);
  launches[kernel]++;
  uint32_t cluster = kernel == LK_KERNEL_HOPPER ? lk_hopper_cluster(pass.probes) : 1;
  std::string error =
      emulator_launch([&] { entry.function(pass); }, blocks, entry.threads, entry.shared_bytes, cluster);
  if (error.empty()) return;
  fprintf(stderr, "emulator: kernel %d: %s\n", static_cast<int>(kernel), error.c_str());
  abort();
}

void launch(lk_gpu *gpu, lk_kernel kernel, uint32_t blocks, const lk_cuda_pass *asked) {
  lk_cuda_pass pass = *asked;
  if (of(gpu)->recipe.breaks && kernel == of(gpu)->recipe.broken) pass.probes--;
  ask(gpu, [=] { run(kernel, blocks, pass); });
}

void record(lk_gpu *gpu) {
  only_outside_of_recordings(gpu, "records");
  of(gpu)->recording = new lk_recording();
}

lk_recording *recorded(lk_gpu *gpu) {
  lk_recording *made = of(gpu)->recording;
  of(gpu)->recording = nullptr;
  std::lock_guard<std::mutex> guard(lock);
  recordings++;
  return made;
}

void replay(lk_gpu *gpu, lk_recording *recording) {
  for (const std::function<void()> &what : recording->asked) ask(gpu, what);
  std::lock_guard<std::mutex> guard(lock);
  replays++;
}

void forget(lk_gpu *gpu, lk_recording *recording) {
  wait(gpu);
  delete recording;
}

/* From the last element to the first: any order must do. */
bool multiply(lk_gpu *gpu, const float *rows, uint32_t rows_count, const float *probes, uint32_t probes_count,
              uint32_t dim, float *product) {
  if (!of(gpu)->recipe.multiplies) return false;
  ask(gpu, [=] {
    for (uint32_t r = 0; r < rows_count; r++)
      for (uint32_t p = 0; p < probes_count; p++) {
        float sum = 0;
        for (uint32_t i = dim; i-- > 0;) sum += rows[(size_t)r * dim + i] * probes[(size_t)p * dim + i];
        product[(size_t)r * probes_count + p] = sum;
      }
  });
  return true;
}

lk_status check(lk_gpu *, lk_error *) { return LK_OK; }

void close_gpu(lk_gpu *gpu) {
  wait(gpu);
  size_t left = of(gpu)->sizes.size() + of(gpu)->pinned.size();
  if (left > 0) {
    fprintf(stderr, "emulator: %zu allocations were not freed\n", left);
    abort();
  }
  delete of(gpu);
}

lk_status twin(lk_gpu *gpu, lk_gpu **opened, lk_error *) {
  *opened = emulated_gpu_open(of(gpu)->recipe);
  return LK_OK;
}

/* C++17 has no designated initialisers; so no operation can be in another's place. */
constexpr lk_gpu_ops make_ops() {
  lk_gpu_ops made = {};
  made.allocate = allocate;
  made.free = release;
  made.bytes_left = bytes_left;
  made.allocate_host = allocate_host;
  made.free_host = free_host;
  made.lend = lend;
  made.take_back = take_back;
  made.write = write;
  made.clear = clear;
  made.read = read;
  made.wait = wait;
  made.record = record;
  made.recorded = recorded;
  made.replay = replay;
  made.forget = forget;
  made.launch = launch;
  made.multiply = multiply;
  made.check = check;
  made.twin = twin;
  made.close = close_gpu;
  return made;
}

const lk_gpu_ops ops = make_ops();

}  // namespace

lk_gpu *emulated_gpu_open(emulated_recipe recipe) {
  emulated *gpu = new emulated();
  gpu->base.ops = &ops;
  snprintf(gpu->base.name, sizeof gpu->base.name, "emulated");
  gpu->base.processors = recipe.processors > 0 ? recipe.processors : 1;
  gpu->base.hopper = recipe.hopper;
  gpu->base.pairs_room = recipe.pairs_room;
  gpu->base.bytes_in_reserve = recipe.bytes_in_reserve;
  gpu->recipe = recipe;
  return &gpu->base;
}

void emulated_resize(lk_gpu *gpu, size_t memory_bytes) { of(gpu)->recipe.memory_bytes = memory_bytes; }

uint64_t emulated_launches(lk_kernel kernel) { return launches[kernel]; }

uint64_t emulated_recordings(void) { return recordings; }

uint64_t emulated_replays(void) { return replays; }

size_t emulated_bytes_lent(void) {
  size_t bytes = 0;
  for (const auto &entry : lent) bytes += entry.second;
  return bytes;
}
