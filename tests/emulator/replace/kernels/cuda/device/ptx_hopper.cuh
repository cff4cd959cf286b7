/* The names of kernels/cuda/device/ptx_hopper.cuh for the block emulator. */
#ifndef KERNELS_CUDA_PTX_HOPPER_CUH
#define KERNELS_CUDA_PTX_HOPPER_CUH

#include "kernels/cuda/device/ptx.cuh"

template <int COUNT>
LK_DEVICE void lk_registers_give() {}
template <int COUNT>
LK_DEVICE void lk_registers_take() {}

LK_DEVICE void lk_mbarrier_make(lk_shared<uint64_t> mbarriers, uint32_t i, uint32_t count,
                                emulator_site site = emulator_here()) {
  emulator_mbarrier_make(mbarriers.at(i, site), count);
}
LK_DEVICE void lk_mbarrier_fence() {}
LK_DEVICE void lk_mbarrier_arrive(lk_shared<uint64_t> mbarriers, uint32_t i, emulator_site site = emulator_here()) {
  emulator_mbarrier_arrive(mbarriers.at(i, site), 0);
}
LK_DEVICE void lk_mbarrier_announce(lk_shared<uint64_t> mbarriers, uint32_t i, uint32_t bytes,
                                    emulator_site site = emulator_here()) {
  emulator_mbarrier_arrive(mbarriers.at(i, site), bytes);
}
LK_DEVICE void lk_mbarrier_wait(lk_shared<uint64_t> mbarriers, uint32_t i, uint32_t parity,
                                emulator_site site = emulator_here()) {
  emulator_mbarrier_wait(mbarriers.at(i, site), parity, site);
}

LK_DEVICE void lk_bulk_copy(lk_shared<lk_quad> to, uint32_t i, const void *from, uint32_t bytes,
                            lk_shared<uint64_t> mbarriers, uint32_t mbarrier, emulator_site site = emulator_here()) {
  to.at(i + bytes / 16 - 1, site);
  emulator_bulk_copy(to.at(i, site), from, bytes, mbarriers.at(mbarrier, site), site);
}

LK_DEVICE void lk_bulk_copy_to_all(lk_shared<lk_quad> to, uint32_t i, const void *from, uint32_t bytes,
                                   lk_shared<uint64_t> mbarriers, uint32_t mbarrier, uint32_t blocks,
                                   emulator_site site = emulator_here()) {
  (void)blocks;
  to.at(i + bytes / 16 - 1, site);
  emulator_bulk_copy_to_all(to.at(i, site), from, bytes, mbarriers.at(mbarrier, site), site);
}

LK_DEVICE void lk_mbarrier_arrive_at(lk_shared<uint64_t> mbarriers, uint32_t i, uint32_t rank,
                                     emulator_site site = emulator_here()) {
  emulator_mbarrier_arrive_at(mbarriers.at(i, site), rank, site);
}

LK_DEVICE void lk_cluster_barrier(emulator_site site = emulator_here()) { emulator_cluster_barrier(site); }

LK_DEVICE uint64_t lk_matrix(lk_shared<lk_quad> quads, uint32_t i, emulator_site site = emulator_here()) {
  return (uint64_t)2 << 62 | (uint64_t)(512 >> 4) << 32 | (uint64_t)1 << 16 | (quads.at(i, site) >> 4 & 0x3fff);
}

LK_DEVICE void lk_product_fence() {}
LK_DEVICE void lk_product_commit() { emulator_product_commit(); }
template <int PENDING>
LK_DEVICE void lk_product_wait(emulator_site site = emulator_here()) {
  emulator_product_wait(PENDING, site);
}
LK_DEVICE void lk_product(int32_t (&sums)[128], uint64_t a, uint64_t b, bool adds) {
  emulator_product(sums, a, b, adds);
}

#endif
