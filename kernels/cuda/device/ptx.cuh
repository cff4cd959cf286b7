/* Everything that device code needs of the machine, one function for each instruction. The tests have an emulator whose
 * file of this name defines the same names, so device code does not know where it runs. */
#ifndef KERNELS_CUDA_DEVICE_PTX_CUH
#define KERNELS_CUDA_DEVICE_PTX_CUH

#include <stdint.h>

#define LK_DEVICE static __device__ __forceinline__
#define LK_KERNEL(threads, blocks) static __global__ void __launch_bounds__(threads, blocks)
#define LK_MEMBER __device__ __forceinline__
#define LK_UNROLL _Pragma("unroll")
#define LK_WARP 32

/* Grids and blocks have one dimension. */
LK_DEVICE uint32_t lk_thread() { return threadIdx.x; }
LK_DEVICE uint32_t lk_threads() { return blockDim.x; }
LK_DEVICE uint32_t lk_block() { return blockIdx.x; }
LK_DEVICE uint32_t lk_blocks() { return gridDim.x; }

/* A piece of 16 bytes. */
struct alignas(16) lk_quad {
  uint32_t word[4];
};

/* An array in the block's shared memory. */
template <typename T>
struct lk_shared {
  T *data;
  __device__ __forceinline__ T load(uint32_t i) const { return data[i]; }
  __device__ __forceinline__ void store(uint32_t i, const T &value) const { data[i] = value; }
  template <typename U>
  __device__ __forceinline__ lk_shared<U> as() const {
    return {reinterpret_cast<U *>(data)};
  }
};

/* `count` elements from byte `offset` on. The alignment is for wgmma, whose swizzle depends on the address. */
template <typename T>
LK_DEVICE lk_shared<T> lk_shared_array(uint32_t offset, uint32_t count) {
  extern __shared__ __align__(1024) lk_quad lk_shared_memory[];
  (void)count;
  return {reinterpret_cast<T *>(reinterpret_cast<unsigned char *>(lk_shared_memory) + offset)};
}

LK_DEVICE uint32_t lk_add_shared(lk_shared<uint32_t> array, uint32_t i, uint32_t value) {
  return atomicAdd(&array.data[i], value);
}

/* All threads of the block call these together. */
LK_DEVICE void lk_barrier() { __syncthreads(); }
LK_DEVICE bool lk_barrier_any(bool value) { return __syncthreads_or(value) != 0; }

/* All lanes of the warp call these together. */
LK_DEVICE bool lk_any(bool value) { return __any_sync(0xffffffff, value) != 0; }
LK_DEVICE uint32_t lk_ballot(bool value) { return __ballot_sync(0xffffffff, value); }
template <typename T>
LK_DEVICE T lk_shuffle(T value, uint32_t lane) {
  return __shfl_sync(0xffffffff, value, lane);
}
template <typename T>
LK_DEVICE T lk_shuffle_up(T value, uint32_t lanes) {
  return __shfl_up_sync(0xffffffff, value, lanes);
}
template <typename T>
LK_DEVICE T lk_shuffle_down(T value, uint32_t lanes) {
  return __shfl_down_sync(0xffffffff, value, lanes);
}
template <typename T>
LK_DEVICE T lk_shuffle_xor(T value, uint32_t lanes) {
  return __shfl_xor_sync(0xffffffff, value, lanes);
}

/* Both return the value before the addition. */
LK_DEVICE uint32_t lk_add(uint32_t *to, uint32_t value) { return atomicAdd(to, value); }
LK_DEVICE uint64_t lk_add(uint64_t *to, uint64_t value) {
  return atomicAdd(reinterpret_cast<unsigned long long *>(to), static_cast<unsigned long long>(value));
}
LK_DEVICE void lk_raise(uint64_t *to, uint64_t value) {
  atomicMax(reinterpret_cast<unsigned long long *>(to), static_cast<unsigned long long>(value));
}
/* Reads past the first-level cache, which does not see what other blocks write. */
LK_DEVICE uint64_t lk_peek(const uint64_t *from) { return __ldcg(reinterpret_cast<const unsigned long long *>(from)); }

LK_DEVICE uint32_t lk_count_bits(uint32_t value) { return static_cast<uint32_t>(__popc(value)); }
LK_DEVICE uint32_t lk_count_bits(uint64_t value) { return static_cast<uint32_t>(__popcll(value)); }
LK_DEVICE uint32_t lk_lowest_bit(uint64_t value) {
  return static_cast<uint32_t>(__ffsll(static_cast<long long>(value)) - 1);
}
LK_DEVICE int32_t lk_max3(int32_t a, int32_t b, int32_t c) { return __vimax3_s32(a, b, c); }

/* Starts to copy 16 bytes of global memory into shared memory. */
LK_DEVICE void lk_copy(lk_shared<lk_quad> to, uint32_t i, const void *from) {
  uint32_t address = static_cast<uint32_t>(__cvta_generic_to_shared(&to.data[i]));
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(address), "l"(from) : "memory");
}
LK_DEVICE void lk_copy_commit() { asm volatile("cp.async.commit_group;" ::: "memory"); }
/* Waits until at most PENDING of this thread's groups of copies are on their way. */
template <int PENDING>
LK_DEVICE void lk_copy_wait() {
  asm volatile("cp.async.wait_group %0;" ::"n"(PENDING) : "memory");
}

/* sum += a b: a is 16 x 32, b is 32 x 8, of signed bytes. */
LK_DEVICE void lk_multiply(int32_t (&sum)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
  asm("mma.sync.aligned.m16n8k32.row.col.s32.s8.s8.s32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
      : "+r"(sum[0]), "+r"(sum[1]), "+r"(sum[2]), "+r"(sum[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

#endif
