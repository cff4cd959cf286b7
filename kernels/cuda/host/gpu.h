/* What the CUDA backend asks of a GPU: memory, copies, launches, one product. gpu.cu answers with the CUDA runtime; the
 * tests answer with an emulator and so run all of the backend's host code. A GPU does what it is asked in order, but
 * later: all is done when `wait`, or a free, returns. One thread at a time uses it.
 *
 * A GPU that fails stays failed: it does nothing that it is asked afterwards, and `check` says why. */
#ifndef KERNELS_CUDA_HOST_GPU_H
#define KERNELS_CUDA_HOST_GPU_H

#include <likeness/status.h>
#include "kernels/cuda/device/kernel.h"
#include "kernels/cuda/device/pass.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct lk_gpu lk_gpu;
typedef struct lk_recording lk_recording;

typedef struct lk_gpu_ops {
  /* NULL where less memory is left. */
  void *(*allocate)(lk_gpu *gpu, size_t bytes);
  void (*free)(lk_gpu *gpu, void *memory);
  size_t (*bytes_left)(lk_gpu *gpu);
  /* Memory of the host from and to which copies run beside all else. NULL where less is left. */
  void *(*allocate_host)(lk_gpu *gpu, size_t bytes);
  void (*free_host)(lk_gpu *gpu, void *memory);
  /* Lets kernels read the host's memory where it lies, at the returned address; NULL where they cannot. */
  const void *(*lend)(lk_gpu *gpu, const void *host, size_t bytes);
  void (*take_back)(lk_gpu *gpu, const void *host);

  /* Memory of allocate_host must stay as it is until the write has been waited for. Other memory may change at once:
   * the GPU has taken a copy, for which it may have waited. */
  void (*write)(lk_gpu *gpu, void *to, const void *host, size_t bytes);
  void (*clear)(lk_gpu *gpu, void *to, size_t bytes);
  void (*read)(lk_gpu *gpu, void *host, const void *from, size_t bytes);
  /* Returns when all is done that was asked before. */
  void (*wait)(lk_gpu *gpu);

  /* Between `record` and `recorded` the GPU does nothing that it is asked, but records it; each replay then does all of
   * it, in order. Nothing may be allocated, freed or waited for in between, and no memory that the recording uses may
   * be freed before it is forgotten. */
  void (*record)(lk_gpu *gpu);
  lk_recording *(*recorded)(lk_gpu *gpu); /* NULL: the GPU has failed */
  void (*replay)(lk_gpu *gpu, lk_recording *recording);
  void (*forget)(lk_gpu *gpu, lk_recording *recording);

  void (*launch)(lk_gpu *gpu, lk_kernel kernel, uint32_t blocks, const lk_cuda_pass *pass);
  /* product (rows x probes) = rows (rows x dim) times probes (probes x dim), in float, sums in any order. False, and
   * nothing is done, where the machine has no library for it; LK_KERNEL_PRODUCT does the same. */
  bool (*multiply)(lk_gpu *gpu, const float *rows, uint32_t rows_count, const float *probes, uint32_t probes_count,
                   uint32_t dim, float *product);
  lk_status (*check)(lk_gpu *gpu, lk_error *error);
  /* Opens the same GPU a second time: it has the same memory, but does what it is asked in an order of its own. */
  lk_status (*twin)(lk_gpu *gpu, lk_gpu **twin, lk_error *error);
  void (*close)(lk_gpu *gpu);
} lk_gpu_ops;

/* Every GPU begins with this. */
struct lk_gpu {
  const lk_gpu_ops *ops;
  char name[32];           /* "cuda:0" */
  bool hopper;             /* runs LK_KERNEL_HOPPER */
  uint32_t processors;     /* multiprocessors: each runs blocks of its own */
  uint64_t pairs_room;     /* most pairs that a round may leave, or those of one tile if they are more */
  size_t bytes_in_reserve; /* kept free for passes when blocks are loaded */
};

/* LK_ENODEVICE where the machine has no GPU of that number, or the build has no CUDA. */
lk_status lk_gpu_open(uint32_t number, lk_gpu **gpu, lk_error *error);

#ifdef __cplusplus
}
#endif

#endif
