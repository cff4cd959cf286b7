/* An emulated GPU for the CUDA backend. Its memory is the process's, and the block emulator runs its kernels. A fault
 * that the emulator finds ends the process. */
#ifndef TESTS_EMULATOR_GPU_H
#define TESTS_EMULATOR_GPU_H

#include "kernels/cuda/host/gpu.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct emulated_recipe {
  size_t memory_bytes;     /* that it has */
  size_t bytes_in_reserve; /* of these, for passes */
  uint64_t pairs_room;
  uint32_t processors; /* 0: one */
  bool lends;          /* its kernels can read the host's memory */
  bool hopper;
  bool multiplies; /* has a library for products */
  bool breaks;     /* the kernel `broken` sees one probe too few */
  lk_kernel broken;
} emulated_recipe;

/* Each GPU may be used by a thread of its own. It does what it is asked when it is waited for, not before. */
lk_gpu *emulated_gpu_open(emulated_recipe recipe);

/* Changes how much memory it has. */
void emulated_resize(lk_gpu *gpu, size_t memory_bytes);

/* Since the start of the process: how often a kernel was launched, how many recordings were made and replayed; and how
 * many bytes of the host's memory are lent. */
uint64_t emulated_launches(lk_kernel kernel);
uint64_t emulated_recordings(void);
uint64_t emulated_replays(void);
size_t emulated_bytes_lent(void);

#ifdef __cplusplus
}
#endif

#endif
