#include "kernels/cuda/host/blas.h"

#include <cublas_v2.h>
#include <dlfcn.h>

#include <cstdlib>

#define STRING(number) STRING_OF(number)
#define STRING_OF(number) #number

struct lk_blas {
  void *library;
  cublasHandle_t handle;
  decltype(&cublasDestroy) destroy;
  decltype(&cublasSgemm) multiply;
  decltype(&cublasGetStatusString) text;
};

namespace {

/* Looks for the library by its name first, as the system is set up, and then where the build found it. */
void *open_library() {
  void *library = dlopen("libcublas.so." STRING(CUBLAS_VER_MAJOR), RTLD_NOW | RTLD_LOCAL);
  return library != nullptr ? library : dlopen(LK_CUBLAS_PATH, RTLD_NOW | RTLD_LOCAL);
}

template <typename FUNCTION>
bool find(void *library, const char *name, FUNCTION *function) {
  *function = reinterpret_cast<FUNCTION>(dlsym(library, name));
  return *function != nullptr;
}

/* Pedantic mode: no TF32 and no emulation by shorter floats, whatever the environment says. */
bool start(lk_blas *blas, cudaStream_t stream) {
  decltype(&cublasCreate) create;
  decltype(&cublasSetStream) set_stream;
  decltype(&cublasSetMathMode) set_mode;
  blas->library = open_library();
  if (blas->library == nullptr || !find(blas->library, "cublasCreate_v2", &create) ||
      !find(blas->library, "cublasDestroy_v2", &blas->destroy) ||
      !find(blas->library, "cublasSetStream_v2", &set_stream) || !find(blas->library, "cublasSetMathMode", &set_mode) ||
      !find(blas->library, "cublasSgemm_v2", &blas->multiply) ||
      !find(blas->library, "cublasGetStatusString", &blas->text))
    return false;
  cublasStatus_t status = create(&blas->handle);
  if (status == CUBLAS_STATUS_SUCCESS) status = set_stream(blas->handle, stream);
  if (status == CUBLAS_STATUS_SUCCESS) status = set_mode(blas->handle, CUBLAS_PEDANTIC_MATH);
  return status == CUBLAS_STATUS_SUCCESS;
}

}  // namespace

lk_blas *lk_blas_open(cudaStream_t stream) {
  lk_blas *blas = static_cast<lk_blas *>(calloc(1, sizeof *blas));
  if (blas != nullptr && start(blas, stream)) return blas;
  lk_blas_close(blas);
  return nullptr;
}

/* The library stays open: it is not made to be unloaded. */
void lk_blas_close(lk_blas *blas) {
  if (blas != nullptr && blas->handle != nullptr) blas->destroy(blas->handle);
  free(blas);
}

/* cuBLAS stores matrices column by column: to it this product is that of the probes and the transposed rows. */
const char *lk_blas_multiply(lk_blas *blas, const float *rows, uint32_t rows_count, const float *probes,
                             uint32_t probes_count, uint32_t dim, float *product) {
  const float one = 1, zero = 0;
  int m = static_cast<int>(probes_count), n = static_cast<int>(rows_count), k = static_cast<int>(dim);
  cublasStatus_t status =
      blas->multiply(blas->handle, CUBLAS_OP_T, CUBLAS_OP_N, m, n, k, &one, probes, k, rows, k, &zero, product, m);
  return status == CUBLAS_STATUS_SUCCESS ? nullptr : blas->text(status);
}
