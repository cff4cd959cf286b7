/* The names of ptx_sm90a.cuh for GPUs that do not have its instructions. */
#ifndef KERNELS_CUDA_DEVICE_PTX_ABSENT_CUH
#define KERNELS_CUDA_DEVICE_PTX_ABSENT_CUH

#include "kernels/cuda/device/ptx.cuh"

template <int COUNT>
LK_DEVICE void lk_registers_give() {
  __trap();
}
template <int COUNT>
LK_DEVICE void lk_registers_take() {
  __trap();
}

LK_DEVICE void lk_mbarrier_make(lk_shared<uint64_t>, uint32_t, uint32_t) { __trap(); }
LK_DEVICE void lk_mbarrier_fence() { __trap(); }
LK_DEVICE void lk_mbarrier_arrive(lk_shared<uint64_t>, uint32_t) { __trap(); }
LK_DEVICE void lk_mbarrier_announce(lk_shared<uint64_t>, uint32_t, uint32_t) { __trap(); }
LK_DEVICE void lk_mbarrier_wait(lk_shared<uint64_t>, uint32_t, uint32_t) { __trap(); }
LK_DEVICE void lk_bulk_copy(lk_shared<lk_quad>, uint32_t, const void *, uint32_t, lk_shared<uint64_t>, uint32_t) {
  __trap();
}
LK_DEVICE void lk_bulk_copy_to_all(lk_shared<lk_quad>, uint32_t, const void *, uint32_t, lk_shared<uint64_t>, uint32_t,
                                   uint32_t) {
  __trap();
}
LK_DEVICE void lk_mbarrier_arrive_at(lk_shared<uint64_t>, uint32_t, uint32_t) { __trap(); }
LK_DEVICE void lk_cluster_barrier() { __trap(); }
LK_DEVICE uint64_t lk_matrix(lk_shared<lk_quad>, uint32_t) { return 0; }
LK_DEVICE void lk_product_fence() { __trap(); }
LK_DEVICE void lk_product_commit() { __trap(); }
template <int PENDING>
LK_DEVICE void lk_product_wait() {
  __trap();
}
LK_DEVICE void lk_product(int32_t (&)[128], uint64_t, uint64_t, bool) { __trap(); }

#endif
