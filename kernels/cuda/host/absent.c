/* Replaces gpu.cu where the build has no CUDA toolkit. */
#include "base/fail.h"
#include "kernels/cuda/host/gpu.h"

lk_status lk_gpu_open(uint32_t number, lk_gpu **gpu, lk_error *error) {
  (void)gpu;
  return lk_fail(error, LK_ENODEVICE, "device 'cuda:%u': this build has no CUDA", number);
}
