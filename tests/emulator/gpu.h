/* A GPU of the CUDA backend that is emulated: its memory is the process's, its kernels run in the block emulator. What
 * the emulator finds fault with ends the process. */
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
  bool multiplies; /* has a library for it */
  bool breaks;     /* a kernel: it sees one probe too few */
  lk_kernel broken;
} emulated_recipe;

/* Several may be used by a thread each. What they are asked is done when they are waited for, not before. */
lk_gpu *emulated_gpu_open(emulated_recipe recipe);

/* It has less memory from here on, or more. */
void emulated_resize(lk_gpu *gpu, size_t memory_bytes);

/* How often a kernel was launched, since the start, and how much of the memory that is not given back is lent. */
uint64_t emulated_launches(lk_kernel kernel);
uint64_t emulated_recordings(void);
uint64_t emulated_replays(void);
size_t emulated_bytes_lent(void);

#ifdef __cplusplus
}
#endif

#endif
