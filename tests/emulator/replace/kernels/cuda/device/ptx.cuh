/* The names of kernels/cuda/device/ptx.cuh for the block emulator. The tests compile device code with this file instead
 * of that one, and otherwise unchanged. */
#ifndef KERNELS_CUDA_PTX_CUH
#define KERNELS_CUDA_PTX_CUH

#include <cmath>
#include <cstring>

#include "tests/emulator/emulator.h"

#define LK_DEVICE static inline
#define LK_MEMBER inline
#define LK_KERNEL(threads, blocks) static void
#define LK_UNROLL
#define LK_WARP 32

LK_DEVICE uint32_t lk_thread() { return emulator_thread(); }
LK_DEVICE uint32_t lk_threads() { return emulator_threads(); }
LK_DEVICE uint32_t lk_block() { return emulator_block(); }
LK_DEVICE uint32_t lk_blocks() { return emulator_blocks(); }

struct alignas(16) lk_quad {
  uint32_t word[4];
};

/* `first` and `bytes` are those of the array in the block's shared memory. */
template <typename T>
struct lk_shared {
  uint32_t first, bytes;
  uint32_t at(uint32_t i, emulator_site site) const {
    if (((uint64_t)i + 1) * sizeof(T) > bytes)
      emulator_fail("element " + std::to_string(i) + " of a shared array of " + std::to_string(bytes / sizeof(T)) +
                    ": " + site.file + ":" + std::to_string(site.line));
    return first + i * (uint32_t)sizeof(T);
  }
  T load(uint32_t i, emulator_site site = emulator_here()) const {
    T value;
    memcpy(&value, emulator_read(at(i, site), sizeof(T), site), sizeof(T));
    return value;
  }
  void store(uint32_t i, const T &value, emulator_site site = emulator_here()) const {
    emulator_write(at(i, site), &value, sizeof(T), site);
  }
  template <typename U>
  lk_shared<U> as() const {
    return {first, bytes};
  }
};

template <typename T>
LK_DEVICE lk_shared<T> lk_shared_array(uint32_t offset, uint32_t count) {
  emulator_bound(offset, count * (uint32_t)sizeof(T));
  return {offset, count * (uint32_t)sizeof(T)};
}

LK_DEVICE uint32_t lk_add_shared(lk_shared<uint32_t> array, uint32_t i, uint32_t value,
                                 emulator_site site = emulator_here()) {
  void *word = emulator_atomic(array.at(i, site), sizeof value);
  uint32_t before, after;
  memcpy(&before, word, sizeof before);
  after = before + value;
  memcpy(word, &after, sizeof after);
  return before;
}

LK_DEVICE void lk_barrier(emulator_site site = emulator_here()) { emulator_barrier(false, site); }
LK_DEVICE bool lk_barrier_any(bool value, emulator_site site = emulator_here()) {
  return emulator_barrier(value, site);
}

/* ---- warps ---- */

LK_DEVICE void emulator_ballot(emulator_lane *lanes) {
  uint32_t votes = 0;
  for (uint32_t i = 0; i < LK_WARP; i++) votes |= (uint32_t)(lanes[i].in[0] != 0) << i;
  for (uint32_t i = 0; i < LK_WARP; i++) memcpy(lanes[i].out, &votes, sizeof votes);
}

LK_DEVICE uint32_t lk_ballot(bool value, emulator_site site = emulator_here()) {
  unsigned char in = value;
  uint32_t votes;
  emulator_meet(&in, sizeof in, &votes, sizeof votes, emulator_ballot, site);
  return votes;
}

LK_DEVICE bool lk_any(bool value, emulator_site site = emulator_here()) { return lk_ballot(value, site) != 0; }

/* What a lane brings to a shuffle: a value, and the lane whose value it wants. */
struct emulator_shuffled {
  uint64_t bits;
  uint32_t from;
};

LK_DEVICE void emulator_shuffle(emulator_lane *lanes) {
  for (uint32_t i = 0; i < LK_WARP; i++) {
    emulator_shuffled wants, has;
    memcpy(&wants, lanes[i].in, sizeof wants);
    memcpy(&has, lanes[wants.from].in, sizeof has);
    memcpy(lanes[i].out, &has.bits, sizeof has.bits);
  }
}

template <typename T>
LK_DEVICE T emulator_shuffle_from(T value, uint32_t from, emulator_site site) {
  static_assert(sizeof(T) <= 8, "a shuffle moves a register or two");
  emulator_shuffled in = {0, from};
  uint64_t bits;
  memcpy(&in.bits, &value, sizeof value);
  emulator_meet(&in, sizeof in, &bits, sizeof bits, emulator_shuffle, site);
  memcpy(&value, &bits, sizeof value);
  return value;
}

template <typename T>
LK_DEVICE T lk_shuffle(T value, uint32_t lane, emulator_site site = emulator_here()) {
  return emulator_shuffle_from(value, lane % LK_WARP, site);
}
template <typename T>
LK_DEVICE T lk_shuffle_up(T value, uint32_t lanes, emulator_site site = emulator_here()) {
  uint32_t lane = lk_thread() % LK_WARP;
  return emulator_shuffle_from(value, lane >= lanes ? lane - lanes : lane, site);
}
template <typename T>
LK_DEVICE T lk_shuffle_down(T value, uint32_t lanes, emulator_site site = emulator_here()) {
  uint32_t lane = lk_thread() % LK_WARP;
  return emulator_shuffle_from(value, lane + lanes < LK_WARP ? lane + lanes : lane, site);
}
template <typename T>
LK_DEVICE T lk_shuffle_xor(T value, uint32_t lanes, emulator_site site = emulator_here()) {
  return emulator_shuffle_from(value, lk_thread() % LK_WARP ^ lanes, site);
}

/* ---- memory and numbers ---- */

LK_DEVICE uint32_t lk_add(uint32_t *to, uint32_t value) {
  uint32_t before = *to;
  *to += value;
  return before;
}
LK_DEVICE uint64_t lk_add(uint64_t *to, uint64_t value) {
  uint64_t before = *to;
  *to += value;
  return before;
}
LK_DEVICE void lk_raise(uint64_t *to, uint64_t value) {
  if (value > *to) *to = value;
}
LK_DEVICE uint64_t lk_peek(const uint64_t *from) { return *from; }

LK_DEVICE uint32_t lk_count_bits(uint32_t value) { return (uint32_t)__builtin_popcount(value); }
LK_DEVICE uint32_t lk_count_bits(uint64_t value) { return (uint32_t)__builtin_popcountll(value); }
LK_DEVICE uint32_t lk_lowest_bit(uint64_t value) { return (uint32_t)__builtin_ctzll(value); }
LK_DEVICE int32_t lk_max3(int32_t a, int32_t b, int32_t c) {
  int32_t top = a > b ? a : b;
  return top > c ? top : c;
}

LK_DEVICE void lk_copy(lk_shared<lk_quad> to, uint32_t i, const void *from, emulator_site site = emulator_here()) {
  emulator_copy(to.at(i, site), from, site);
}
LK_DEVICE void lk_copy_commit() { emulator_copy_commit(); }
template <int PENDING>
LK_DEVICE void lk_copy_wait() {
  emulator_copy_wait(PENDING);
}

/* ---- the tensor cores ---- */

struct emulator_operands {
  int32_t sum[4];
  uint32_t a[4], b[2];
};

/* Four bytes times four bytes. */
LK_DEVICE int32_t emulator_dot4(uint32_t a, uint32_t b) {
  int32_t sum = 0;
  for (int i = 0; i < 32; i += 8) sum += (int8_t)(a >> i) * (int8_t)(b >> i);
  return sum;
}

/* The fragments as the PTX manual has them for mma.m16n8k32 of 8-bit integers: lane l holds of A rows l / 4 and
 * l / 4 + 8, of B column l / 4, in both of k the bytes from 4(l % 4) and from 16 + 4(l % 4); of the sums columns
 * 2(l % 4) and the next. */
LK_DEVICE void emulator_multiply(emulator_lane *lanes) {
  emulator_operands all[LK_WARP];
  for (uint32_t i = 0; i < LK_WARP; i++) memcpy(&all[i], lanes[i].in, sizeof all[i]);
  for (uint32_t lane = 0; lane < LK_WARP; lane++) {
    for (uint32_t i = 0; i < 4; i++) {
      uint32_t a = lane / 4 * 4, b = (lane % 4 * 2 + i % 2) * 4;
      for (uint32_t quad = 0; quad < 4; quad++)
        for (uint32_t half = 0; half < 2; half++)
          all[lane].sum[i] += emulator_dot4(all[a + quad].a[i / 2 + half * 2], all[b + quad].b[half]);
    }
    memcpy(lanes[lane].out, all[lane].sum, sizeof all[lane].sum);
  }
}

LK_DEVICE void lk_multiply(int32_t (&sum)[4], const uint32_t (&a)[4], const uint32_t (&b)[2],
                           emulator_site site = emulator_here()) {
  emulator_operands in;
  memcpy(in.sum, sum, sizeof sum);
  memcpy(in.a, a, sizeof a);
  memcpy(in.b, b, sizeof b);
  emulator_meet(&in, sizeof in, sum, sizeof sum, emulator_multiply, site);
}

#endif
