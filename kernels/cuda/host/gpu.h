/* What the CUDA backend asks of a GPU: memory, copies, launches, one product. gpu.cu answers with the CUDA runtime; the
 * tests answer with an emulator, and so run all of the backend's host code as well. Everything happens in the order in
 * which it is asked for, but at any time until `wait`, or a free, returns. One thread at a time.
 *
 * A GPU that fails stays failed: what is asked of it afterwards is not done, and `check` says why. */
#ifndef KERNELS_CUDA_HOST_GPU_H
#define KERNELS_CUDA_HOST_GPU_H

#include <likeness/status.h>
#include "kernels/cuda/device/pass.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum lk_kernel {
  LK_KERNEL_SCAN_16,
  LK_KERNEL_SCAN_32,
  LK_KERNEL_SCAN_64,
  LK_KERNEL_SCAN_128,
  LK_KERNEL_HOPPER,
  LK_KERNEL_RESCORE,
  LK_KERNEL_STARTS,
  LK_KERNEL_SCATTER,
  LK_KERNEL_SELECT,
  LK_KERNEL_VISIBLE,
  LK_KERNEL_SEED,
  LK_KERNEL_LIST,
  LK_KERNEL_PAIRS,
  LK_KERNEL_CENTRE,
  LK_KERNEL_PRODUCT,
  LK_KERNEL_FLOAT,
  LK_KERNELS
} lk_kernel;

typedef struct lk_gpu lk_gpu;
typedef struct lk_recording lk_recording;

typedef struct lk_gpu_ops {
  /* NULL where there is not that much left. */
  void *(*allocate)(lk_gpu *gpu, size_t bytes);
  void (*free)(lk_gpu *gpu, void *memory);
  size_t (*bytes_left)(lk_gpu *gpu);
  /* The host's memory, from and to which copies run beside all else. NULL where there is not that much. */
  void *(*allocate_host)(lk_gpu *gpu, size_t bytes);
  void (*free_host)(lk_gpu *gpu, void *memory);
  /* Lets kernels read the host's memory where it lies; NULL where they cannot. */
  const void *(*lend)(lk_gpu *gpu, const void *host, size_t bytes);
  void (*take_back)(lk_gpu *gpu, const void *host);

  /* What lies in memory of allocate_host must stay as it is until it has been waited for; of other memory the GPU has
   * taken a copy, for which it may have waited. */
  void (*write)(lk_gpu *gpu, void *to, const void *host, size_t bytes);
  void (*clear)(lk_gpu *gpu, void *to, size_t bytes);
  void (*read)(lk_gpu *gpu, void *host, const void *from, size_t bytes);
  /* Until all that was asked before is done. */
  void (*wait)(lk_gpu *gpu);

  /* What is asked between these two is not done but recorded, to be done at once and in order by each replay. Memory
   * that is given back must not be in it. Nothing is allocated, freed or waited for in between. */
  void (*record)(lk_gpu *gpu);
  lk_recording *(*recorded)(lk_gpu *gpu); /* NULL: the GPU has failed */
  void (*replay)(lk_gpu *gpu, lk_recording *recording);
  void (*forget)(lk_gpu *gpu, lk_recording *recording);

  void (*launch)(lk_gpu *gpu, lk_kernel kernel, uint32_t blocks, const lk_cuda_pass *pass);
  /* product (rows x probes) = rows (rows x dim) times probes (probes x dim), in float, sums in any order. False where
   * the machine has no library for it: nothing is done, and LK_KERNEL_PRODUCT does the same. */
  bool (*multiply)(lk_gpu *gpu, const float *rows, uint32_t rows_count, const float *probes, uint32_t probes_count,
                   uint32_t dim, float *product);
  lk_status (*check)(lk_gpu *gpu, lk_error *error);
  /* Opens the same GPU again: with the same memory, in an order of its own. */
  lk_status (*twin)(lk_gpu *gpu, lk_gpu **twin, lk_error *error);
  void (*close)(lk_gpu *gpu);
} lk_gpu_ops;

/* Every GPU begins with this. */
struct lk_gpu {
  const lk_gpu_ops *ops;
  char name[32];           /* "cuda:0" */
  bool hopper;             /* runs LK_KERNEL_HOPPER */
  uint32_t processors;     /* that run blocks side by side */
  uint64_t pairs_room;     /* most pairs that a round may leave, where more than one tile's */
  size_t bytes_in_reserve; /* kept free for passes when rows are taken in */
};

/* LK_ENODEVICE where the machine has no GPU of that number, or the build has no CUDA. */
lk_status lk_gpu_open(uint32_t number, lk_gpu **gpu, lk_error *error);

#ifdef __cplusplus
}
#endif

#endif
