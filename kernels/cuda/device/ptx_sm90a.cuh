/* What Hopper adds to ptx.cuh, one function for each instruction. Only ptx_hopper.cuh includes it. */
#ifndef KERNELS_CUDA_DEVICE_PTX_SM90A_CUH
#define KERNELS_CUDA_DEVICE_PTX_SM90A_CUH

#include "kernels/cuda/device/ptx.cuh"

LK_DEVICE uint32_t lk_address(const void *shared) { return static_cast<uint32_t>(__cvta_generic_to_shared(shared)); }

/* Sets the number of registers of a thread. All threads of a group of four warps call these together; what some groups
 * give, others take. */
template <int COUNT>
LK_DEVICE void lk_registers_give() {
  asm volatile("setmaxnreg.dec.sync.aligned.u32 %0;" ::"n"(COUNT));
}
template <int COUNT>
LK_DEVICE void lk_registers_take() {
  asm volatile("setmaxnreg.inc.sync.aligned.u32 %0;" ::"n"(COUNT));
}

/* A phase of an mbarrier ends once `count` threads have arrived and all announced bytes are there; then the next phase
 * begins. */
LK_DEVICE void lk_mbarrier_make(lk_shared<uint64_t> mbarriers, uint32_t i, uint32_t count) {
  asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(lk_address(&mbarriers.data[i])), "r"(count) : "memory");
}
/* Makes new mbarriers visible to bulk copies; a barrier of the block must follow. */
LK_DEVICE void lk_mbarrier_fence() { asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory"); }
LK_DEVICE void lk_mbarrier_arrive(lk_shared<uint64_t> mbarriers, uint32_t i) {
  asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(lk_address(&mbarriers.data[i])) : "memory");
}
LK_DEVICE void lk_mbarrier_announce(lk_shared<uint64_t> mbarriers, uint32_t i, uint32_t bytes) {
  asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(lk_address(&mbarriers.data[i])),
               "r"(bytes)
               : "memory");
}
/* Waits until the phase of this parity is over. */
LK_DEVICE void lk_mbarrier_wait(lk_shared<uint64_t> mbarriers, uint32_t i, uint32_t parity) {
  uint32_t open = 0;
  while (open == 0)
    asm volatile("{.reg .pred p; mbarrier.try_wait.parity.shared::cta.b64 p, [%1], %2; selp.u32 %0, 1, 0, p;}"
                 : "=r"(open)
                 : "r"(lk_address(&mbarriers.data[i])), "r"(parity)
                 : "memory");
}

/* Starts to copy global memory into shared memory; the mbarrier counts the bytes that arrive. */
LK_DEVICE void lk_bulk_copy(lk_shared<lk_quad> to, uint32_t i, const void *from, uint32_t bytes,
                            lk_shared<uint64_t> mbarriers, uint32_t mbarrier) {
  asm volatile("cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1], %2, [%3];" ::"r"(
                   lk_address(&to.data[i])),
               "l"(from), "r"(bytes), "r"(lk_address(&mbarriers.data[mbarrier]))
               : "memory");
}

/* Copies to the same offset in all blocks of the cluster; each block's own mbarrier counts its bytes. */
LK_DEVICE void lk_bulk_copy_to_all(lk_shared<lk_quad> to, uint32_t i, const void *from, uint32_t bytes,
                                   lk_shared<uint64_t> mbarriers, uint32_t mbarrier, uint32_t blocks) {
  asm volatile("cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes.multicast::cluster [%0], [%1], %2, "
               "[%3], %4;" ::"r"(lk_address(&to.data[i])),
               "l"(from), "r"(bytes), "r"(lk_address(&mbarriers.data[mbarrier])), "h"((uint16_t)((1u << blocks) - 1))
               : "memory");
}

/* Arrives at the mbarrier of block `rank` of the cluster, which may be this block. */
LK_DEVICE void lk_mbarrier_arrive_at(lk_shared<uint64_t> mbarriers, uint32_t i, uint32_t rank) {
  asm volatile(
      "{.reg .b32 remote; mapa.shared::cluster.u32 remote, %0, %1; "
      "mbarrier.arrive.release.cluster.shared::cluster.b64 _, [remote];}" ::"r"(lk_address(&mbarriers.data[i])),
      "r"(rank)
      : "memory");
}

/* All threads of all blocks of the cluster call it together. */
LK_DEVICE void lk_cluster_barrier() {
  asm volatile("barrier.cluster.arrive.release; barrier.cluster.wait.acquire;" ::: "memory");
}

/* Describes a matrix in shared memory from quad `i` on: rows of 64 bytes, their quads swizzled. */
LK_DEVICE uint64_t lk_matrix(lk_shared<lk_quad> quads, uint32_t i) {
  return (uint64_t)2 << 62 | (uint64_t)(512 >> 4) << 32 | (uint64_t)1 << 16 |
         (lk_address(&quads.data[i]) >> 4 & 0x3fff);
}

/* Must come before the first product that uses registers which the threads have written. */
LK_DEVICE void lk_product_fence() { asm volatile("wgmma.fence.sync.aligned;" ::: "memory"); }
LK_DEVICE void lk_product_commit() { asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory"); }
template <int PENDING>
LK_DEVICE void lk_product_wait() {
  asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(PENDING) : "memory");
}

/* sums = a b, or sums += a b: a is 64 x 32, b is 32 x 256, of signed bytes. Four warps call it together. */
LK_DEVICE void lk_product(int32_t (&sums)[128], uint64_t a, uint64_t b, bool adds) {
  asm volatile(
      "{.reg .pred p; setp.ne.b32 p, %130, 0; "
      "wgmma.mma_async.sync.aligned.m64n256k32.s32.s8.s8 "
      "{%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, "
      "%16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31, "
      "%32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47, "
      "%48, %49, %50, %51, %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63, "
      "%64, %65, %66, %67, %68, %69, %70, %71, %72, %73, %74, %75, %76, %77, %78, %79, "
      "%80, %81, %82, %83, %84, %85, %86, %87, %88, %89, %90, %91, %92, %93, %94, %95, "
      "%96, %97, %98, %99, %100, %101, %102, %103, %104, %105, %106, %107, %108, %109, %110, %111, "
      "%112, %113, %114, %115, %116, %117, %118, %119, %120, %121, %122, %123, %124, %125, %126, %127}, "
      "%128, %129, p;}"
      : "+r"(sums[0]), "+r"(sums[1]), "+r"(sums[2]), "+r"(sums[3]), "+r"(sums[4]), "+r"(sums[5]), "+r"(sums[6]),
        "+r"(sums[7]), "+r"(sums[8]), "+r"(sums[9]), "+r"(sums[10]), "+r"(sums[11]), "+r"(sums[12]), "+r"(sums[13]),
        "+r"(sums[14]), "+r"(sums[15]), "+r"(sums[16]), "+r"(sums[17]), "+r"(sums[18]), "+r"(sums[19]), "+r"(sums[20]),
        "+r"(sums[21]), "+r"(sums[22]), "+r"(sums[23]), "+r"(sums[24]), "+r"(sums[25]), "+r"(sums[26]), "+r"(sums[27]),
        "+r"(sums[28]), "+r"(sums[29]), "+r"(sums[30]), "+r"(sums[31]), "+r"(sums[32]), "+r"(sums[33]), "+r"(sums[34]),
        "+r"(sums[35]), "+r"(sums[36]), "+r"(sums[37]), "+r"(sums[38]), "+r"(sums[39]), "+r"(sums[40]), "+r"(sums[41]),
        "+r"(sums[42]), "+r"(sums[43]), "+r"(sums[44]), "+r"(sums[45]), "+r"(sums[46]), "+r"(sums[47]), "+r"(sums[48]),
        "+r"(sums[49]), "+r"(sums[50]), "+r"(sums[51]), "+r"(sums[52]), "+r"(sums[53]), "+r"(sums[54]), "+r"(sums[55]),
        "+r"(sums[56]), "+r"(sums[57]), "+r"(sums[58]), "+r"(sums[59]), "+r"(sums[60]), "+r"(sums[61]), "+r"(sums[62]),
        "+r"(sums[63]), "+r"(sums[64]), "+r"(sums[65]), "+r"(sums[66]), "+r"(sums[67]), "+r"(sums[68]), "+r"(sums[69]),
        "+r"(sums[70]), "+r"(sums[71]), "+r"(sums[72]), "+r"(sums[73]), "+r"(sums[74]), "+r"(sums[75]), "+r"(sums[76]),
        "+r"(sums[77]), "+r"(sums[78]), "+r"(sums[79]), "+r"(sums[80]), "+r"(sums[81]), "+r"(sums[82]), "+r"(sums[83]),
        "+r"(sums[84]), "+r"(sums[85]), "+r"(sums[86]), "+r"(sums[87]), "+r"(sums[88]), "+r"(sums[89]), "+r"(sums[90]),
        "+r"(sums[91]), "+r"(sums[92]), "+r"(sums[93]), "+r"(sums[94]), "+r"(sums[95]), "+r"(sums[96]), "+r"(sums[97]),
        "+r"(sums[98]), "+r"(sums[99]), "+r"(sums[100]), "+r"(sums[101]), "+r"(sums[102]), "+r"(sums[103]),
        "+r"(sums[104]), "+r"(sums[105]), "+r"(sums[106]), "+r"(sums[107]), "+r"(sums[108]), "+r"(sums[109]),
        "+r"(sums[110]), "+r"(sums[111]), "+r"(sums[112]), "+r"(sums[113]), "+r"(sums[114]), "+r"(sums[115]),
        "+r"(sums[116]), "+r"(sums[117]), "+r"(sums[118]), "+r"(sums[119]), "+r"(sums[120]), "+r"(sums[121]),
        "+r"(sums[122]), "+r"(sums[123]), "+r"(sums[124]), "+r"(sums[125]), "+r"(sums[126]), "+r"(sums[127])
      : "l"(a), "l"(b), "r"((uint32_t)adds));
}

#endif
