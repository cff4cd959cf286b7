// A GPU by the CUDA runtime. It has one stream, on which everything happens in order. cuBLAS multiplies for the float
// scan.
#include <cuda_runtime.h>

#include <cstdio>
#include <cstdlib>

#include "kernels/cuda/device/kernels.cuh"
#include "kernels/cuda/host/blas.h"
#include "kernels/cuda/host/gpu.h"
extern "C" {
#include "base/fail.h"
}

namespace {

/* Most pairs that a round may leave. With the lists that follow from them they take less than a gigabyte. */
const uint64_t pairs_room = UINT64_C(1) << 24;
/* At most so much memory is kept free for passes when exact rows are loaded. */
const size_t most_in_reserve = (size_t)4 << 30;

struct cuda_gpu {
  lk_gpu base;
  int number;
  cudaStream_t stream;
  lk_blas *blas; /* opened for the first product */
  bool no_blas;
  cudaError_t failed; /* the first failure */
  const char *blas_failed;
};

/* Sets the GPU that this thread speaks to: each thread has a setting of its own, and any thread may search. False: the
 * GPU has failed. */
bool enter(cuda_gpu *gpu) {
  if (gpu->failed != cudaSuccess || gpu->blas_failed != nullptr) return false;
  gpu->failed = cudaSetDevice(gpu->number);
  return gpu->failed == cudaSuccess;
}

void note(cuda_gpu *gpu, cudaError_t result) {
  if (gpu->failed == cudaSuccess) gpu->failed = result;
}

cuda_gpu *of(lk_gpu *gpu) { return reinterpret_cast<cuda_gpu *>(gpu); }

void *allocate(lk_gpu *base, size_t bytes) {
  void *memory;
  if (!enter(of(base))) return nullptr;
  if (cudaMalloc(&memory, bytes) == cudaSuccess) return memory;
  cudaGetLastError(); /* a GPU whose memory is full has not failed */
  return nullptr;
}

void release(lk_gpu *base, void *memory) {
  if (memory != nullptr && cudaSetDevice(of(base)->number) == cudaSuccess) cudaFree(memory);
}

size_t bytes_left(lk_gpu *base) {
  size_t left = 0, all;
  if (enter(of(base))) note(of(base), cudaMemGetInfo(&left, &all));
  return left;
}

void *allocate_host(lk_gpu *base, size_t bytes) {
  void *memory;
  if (!enter(of(base))) return nullptr;
  if (cudaMallocHost(&memory, bytes) == cudaSuccess) return memory;
  cudaGetLastError();
  return nullptr;
}

void free_host(lk_gpu *base, void *memory) {
  if (memory == nullptr || cudaSetDevice(of(base)->number) != cudaSuccess) return;
  cudaStreamSynchronize(of(base)->stream);
  cudaFreeHost(memory);
}

/* Files that are mapped for reading need the first kind of registration, which not every machine has. */
const void *lend(lk_gpu *base, const void *host, size_t bytes) {
  void *seen = nullptr, *writable = const_cast<void *>(host);
  if (bytes == 0 || !enter(of(base))) return nullptr;
  for (unsigned flags : {cudaHostRegisterMapped | cudaHostRegisterReadOnly, cudaHostRegisterMapped}) {
    if (cudaHostRegister(writable, bytes, flags) != cudaSuccess) continue;
    if (cudaHostGetDevicePointer(&seen, writable, 0) == cudaSuccess) return seen;
    cudaHostUnregister(writable);
  }
  cudaGetLastError();
  return nullptr;
}

void take_back(lk_gpu *base, const void *host) {
  if (cudaSetDevice(of(base)->number) == cudaSuccess) cudaHostUnregister(const_cast<void *>(host));
}

void write(lk_gpu *base, void *to, const void *host, size_t bytes) {
  cuda_gpu *gpu = of(base);
  if (bytes > 0 && enter(gpu)) note(gpu, cudaMemcpyAsync(to, host, bytes, cudaMemcpyHostToDevice, gpu->stream));
}

void clear(lk_gpu *base, void *to, size_t bytes) {
  cuda_gpu *gpu = of(base);
  if (bytes > 0 && enter(gpu)) note(gpu, cudaMemsetAsync(to, 0, bytes, gpu->stream));
}

void read(lk_gpu *base, void *host, const void *from, size_t bytes) {
  cuda_gpu *gpu = of(base);
  if (bytes == 0 || !enter(gpu)) return;
  note(gpu, cudaMemcpyAsync(host, from, bytes, cudaMemcpyDeviceToHost, gpu->stream));
}

void wait(lk_gpu *base) {
  cuda_gpu *gpu = of(base);
  if (enter(gpu)) note(gpu, cudaStreamSynchronize(gpu->stream));
}

void launch(lk_gpu *base, lk_kernel kernel, uint32_t blocks, const lk_cuda_pass *pass) {
  cuda_gpu *gpu = of(base);
  const lk_kernel_entry &entry = lk_kernels[kernel];
  if (blocks == 0 || !enter(gpu)) return;
  cudaLaunchAttribute cluster = {};
  cluster.id = cudaLaunchAttributeClusterDimension;
  cluster.val.clusterDim = {lk_hopper_cluster(pass->probes), 1, 1};
  cudaLaunchConfig_t launched = {};
  launched.gridDim = blocks;
  launched.blockDim = entry.threads;
  launched.dynamicSmemBytes = entry.shared_bytes;
  launched.stream = gpu->stream;
  launched.attrs = &cluster;
  launched.numAttrs = kernel == LK_KERNEL_HOPPER ? 1 : 0;
  note(gpu, cudaLaunchKernelEx(&launched, entry.function, *pass));
}

void record(lk_gpu *base) {
  cuda_gpu *gpu = of(base);
  if (enter(gpu)) note(gpu, cudaStreamBeginCapture(gpu->stream, cudaStreamCaptureModeThreadLocal));
}

lk_recording *recorded(lk_gpu *base) {
  cuda_gpu *gpu = of(base);
  cudaGraph_t graph = nullptr;
  cudaGraphExec_t recording = nullptr;
  if (cudaSetDevice(gpu->number) == cudaSuccess) note(gpu, cudaStreamEndCapture(gpu->stream, &graph));
  if (graph == nullptr) return nullptr;
  if (enter(gpu)) note(gpu, cudaGraphInstantiate(&recording, graph, 0));
  cudaGraphDestroy(graph);
  return reinterpret_cast<lk_recording *>(recording);
}

void replay(lk_gpu *base, lk_recording *recording) {
  cuda_gpu *gpu = of(base);
  if (enter(gpu)) note(gpu, cudaGraphLaunch(reinterpret_cast<cudaGraphExec_t>(recording), gpu->stream));
}

void forget(lk_gpu *base, lk_recording *recording) {
  if (cudaSetDevice(of(base)->number) == cudaSuccess)
    cudaGraphExecDestroy(reinterpret_cast<cudaGraphExec_t>(recording));
}

bool multiply(lk_gpu *base, const float *rows, uint32_t rows_count, const float *probes, uint32_t probes_count,
              uint32_t dim, float *product) {
  cuda_gpu *gpu = of(base);
  if (!enter(gpu)) return true;
  if (gpu->blas == nullptr && !gpu->no_blas) gpu->blas = lk_blas_open(gpu->stream);
  gpu->no_blas = gpu->blas == nullptr;
  if (gpu->no_blas) return false;
  gpu->blas_failed = lk_blas_multiply(gpu->blas, rows, rows_count, probes, probes_count, dim, product);
  return true;
}

lk_status check(lk_gpu *base, lk_error *error) {
  cuda_gpu *gpu = of(base);
  if (gpu->failed != cudaSuccess)
    return lk_fail(error, LK_EINTERNAL, "%s failed: %s", gpu->base.name, cudaGetErrorString(gpu->failed));
  if (gpu->blas_failed != nullptr)
    return lk_fail(error, LK_EINTERNAL, "%s: cuBLAS failed: %s", gpu->base.name, gpu->blas_failed);
  return LK_OK;
}

void close_gpu(lk_gpu *base) {
  cuda_gpu *gpu = of(base);
  if (cudaSetDevice(gpu->number) == cudaSuccess) {
    lk_blas_close(gpu->blas);
    if (gpu->stream != nullptr) cudaStreamDestroy(gpu->stream);
  }
  free(gpu);
}

lk_status twin(lk_gpu *base, lk_gpu **opened, lk_error *error) {
  return lk_gpu_open(static_cast<uint32_t>(of(base)->number), opened, error);
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

lk_status find(uint32_t number, lk_error *error) {
  int count = 0, major = 0;
  cudaError_t result = cudaGetDeviceCount(&count);
  if (result != cudaSuccess)
    return lk_fail(error, LK_ENODEVICE, "device 'cuda:%u': %s", number, cudaGetErrorString(result));
  if (number >= static_cast<uint32_t>(count))
    return lk_fail(error, LK_ENODEVICE, "device 'cuda:%u': this machine has %d GPUs", number, count);
  cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, static_cast<int>(number));
  if (major < 8)
    return lk_fail(error, LK_ENODEVICE, "device 'cuda:%u': it has compute capability %d, but 8 is needed", number,
                   major);
  return LK_OK;
}

void prepare(cuda_gpu *gpu) {
  int processors = 0, major = 0, minor = 0;
  size_t left, all = 0;
  if (!enter(gpu)) return;
  note(gpu, cudaStreamCreateWithFlags(&gpu->stream, cudaStreamNonBlocking));
  note(gpu, cudaDeviceGetAttribute(&processors, cudaDevAttrMultiProcessorCount, gpu->number));
  note(gpu, cudaMemGetInfo(&left, &all));
  note(gpu, cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, gpu->number));
  note(gpu, cudaDeviceGetAttribute(&minor, cudaDevAttrComputeCapabilityMinor, gpu->number));
  gpu->base.hopper = major == 9 && minor == 0;
  for (const lk_kernel_entry &entry : lk_kernels)
    if (entry.kernel != LK_KERNEL_HOPPER || gpu->base.hopper)
      note(gpu,
           cudaFuncSetAttribute(reinterpret_cast<const void *>(entry.function),
                                cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(entry.shared_bytes)));
  gpu->base.processors = static_cast<uint32_t>(processors);
  gpu->base.pairs_room = pairs_room;
  gpu->base.bytes_in_reserve = all / 8 < most_in_reserve ? all / 8 : most_in_reserve;
}

}  // namespace

lk_status lk_gpu_open(uint32_t number, lk_gpu **out, lk_error *error) {
  lk_status status = find(number, error);
  if (status != LK_OK) return status;
  cuda_gpu *gpu = static_cast<cuda_gpu *>(calloc(1, sizeof *gpu));
  if (gpu == nullptr) return lk_fail_memory(error);
  gpu->base.ops = &ops;
  gpu->number = static_cast<int>(number);
  snprintf(gpu->base.name, sizeof gpu->base.name, "cuda:%u", number);
  prepare(gpu);
  status = check(&gpu->base, error);
  if (status != LK_OK) {
    close_gpu(&gpu->base);
    return status;
  }
  *out = &gpu->base;
  return LK_OK;
}
