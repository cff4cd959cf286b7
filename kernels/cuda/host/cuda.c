#include "kernels/cuda/host/cuda.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/cuda/host/internal.h"
#include "kernels/plan.h"

lk_status lk_cuda_fail_memory(const lk_cuda *cuda, size_t bytes, lk_error *error) {
  return lk_fail(error, LK_ENOMEM, "out of memory on %s: %.1f MiB needed, %.1f MiB left", cuda->gpu->name,
                 (double)bytes / (1 << 20), (double)cuda->gpu->ops->bytes_left(cuda->gpu) / (1 << 20));
}

void *lk_cuda_reserve_host(lk_cuda *cuda, lk_cuda_buffer buffer, size_t bytes) {
  lk_cuda_memory *memory = &cuda->host[buffer];
  if (memory->data == NULL || memory->bytes < bytes) {
    cuda->gpu->ops->free_host(cuda->gpu, memory->data);
    memory->data = cuda->gpu->ops->allocate_host(cuda->gpu, bytes > 0 ? bytes : 1);
    memory->bytes = memory->data != NULL ? bytes : 0;
  }
  return memory->data;
}

static void free_buffer(lk_cuda *cuda, lk_cuda_buffer buffer) {
  lk_cuda_memory *memory = &cuda->device[buffer];
  if (memory->data == NULL) return;
  lk_cuda_forget(cuda);
  if (buffer == LK_BUFFER_TILES) cuda->order_number = 0;
  cuda->gpu->ops->free(cuda->gpu, memory->data);
  *memory = (lk_cuda_memory){0};
}

lk_status lk_cuda_reserve(lk_cuda *cuda, lk_cuda_buffer buffer, size_t bytes, void **out, lk_error *error) {
  lk_cuda_memory *memory = &cuda->device[buffer];
  if (memory->data == NULL || memory->bytes < bytes) {
    free_buffer(cuda, buffer);
    memory->data = cuda->gpu->ops->allocate(cuda->gpu, bytes > 0 ? bytes : 1);
    memory->bytes = memory->data != NULL ? bytes : 0;
    if (memory->data == NULL) return lk_cuda_fail_memory(cuda, bytes, error);
  }
  *out = memory->data;
  return LK_OK;
}

static void free_buffers(lk_cuda *cuda) {
  for (uint32_t i = 0; i < LK_BUFFERS; i++) {
    free_buffer(cuda, (lk_cuda_buffer)i);
    cuda->gpu->ops->free_host(cuda->gpu, cuda->host[i].data);
    cuda->host[i] = (lk_cuda_memory){0};
  }
}

static void free_cuda(lk_cuda *cuda) {
  lk_cuda_forget(cuda);
  free_buffers(cuda);
  lk_centres_free(&cuda->centres);
  lk_buffer_free(&cuda->found_buffer);
  lk_pool_close(cuda->pool);
  free(cuda);
}

static void close_device(lk_backend *backend) {
  lk_gpu *gpu = ((lk_cuda *)backend)->gpu;
  free_cuda((lk_cuda *)backend);
  gpu->ops->close(gpu);
}

static lk_status open_twin(lk_backend *backend, lk_backend **twin, lk_error *error);

static const lk_backend_ops ops = {.load = lk_cuda_load_block,
                                   .unload = lk_cuda_unload_block,
                                   .update = lk_cuda_update_block,
                                   .begin = lk_cuda_begin,
                                   .exact_scan = lk_cuda_exact_scan,
                                   .seed = lk_cuda_seed,
                                   .rounds = lk_cuda_rounds,
                                   .finish = lk_cuda_finish,
                                   .twin = open_twin,
                                   .close = close_device};

static lk_status open_cuda(lk_gpu *gpu, uint32_t threads, lk_cuda **cuda, lk_error *error) {
  lk_cuda *made = calloc(1, sizeof *made);
  if (made == NULL) return lk_fail_memory(error);
  made->gpu = gpu;
  made->base = (lk_backend){.ops = &ops, .name = made->name, .tiles_at_once = gpu->processors};
  lk_status status = lk_pool_open(threads, &made->pool, error);
  if (status != LK_OK) {
    free(made);
    return status;
  }
  *cuda = made;
  return LK_OK;
}

/* The twin takes the kernels that have passed the self-test already. */
static lk_status open_twin(lk_backend *backend, lk_backend **twin, lk_error *error) {
  const lk_cuda *cuda = (const lk_cuda *)backend;
  lk_gpu *gpu;
  lk_cuda *made = NULL;
  lk_status status = cuda->gpu->ops->twin(cuda->gpu, &gpu, error);
  if (status != LK_OK) return status;
  status = open_cuda(gpu, lk_pool_threads(cuda->pool), &made, error);
  if (status != LK_OK) {
    gpu->ops->close(gpu);
    return status;
  }
  made->hopper = cuda->hopper;
  memcpy(made->name, cuda->name, sizeof made->name);
  *twin = &made->base;
  return LK_OK;
}

/* The generic kernels must pass the self-test; Hopper's is taken only where it passes. */
static lk_status choose_kernels(lk_cuda *cuda, bool hopper, lk_error *error) {
  lk_status status = lk_cuda_self_test(cuda, error);
  cuda->hopper = status == LK_OK && hopper;
  if (cuda->hopper) cuda->hopper = lk_cuda_self_test(cuda, NULL) == LK_OK;
  lk_cuda_forget(cuda);
  free_buffers(cuda);
  snprintf(cuda->name, sizeof cuda->name, "%s:%s%s", cuda->gpu->name, cuda->hopper ? "hopper" : "generic",
           hopper && !cuda->hopper ? " (hopper failed its self-test)" : "");
  return status;
}

lk_status lk_cuda_make(lk_gpu *gpu, bool hopper, uint32_t threads, lk_backend **backend, lk_error *error) {
  lk_cuda *cuda = NULL;
  lk_status status = open_cuda(gpu, threads, &cuda, error);
  if (status != LK_OK) return status;
  status = choose_kernels(cuda, hopper && gpu->hopper, error);
  if (status != LK_OK) {
    free_cuda(cuda);
    return status;
  }
  *backend = &cuda->base;
  return LK_OK;
}

/* Reads "cuda", "cuda:N", "cuda:N:generic" or "cuda:N:hopper"; false: the name is none of them. */
static bool parse_name(const char *device, uint32_t *number, bool *hopper) {
  *number = 0;
  *hopper = false;
  if (strcmp(device, "cuda") == 0) return true;
  if (strncmp(device, "cuda:", 5) != 0) return false;
  size_t digits = strspn(device + 5, "0123456789");
  if (digits == 0 || digits > 3) return false;
  const char *kernels = device + 5 + digits;
  *number = (uint32_t)strtoul(device + 5, NULL, 10);
  *hopper = strcmp(kernels, ":hopper") == 0;
  return *hopper || kernels[0] == '\0' || strcmp(kernels, ":generic") == 0;
}

lk_status lk_cuda_open(const char *device, uint32_t threads, lk_backend **backend, lk_error *error) {
  uint32_t number;
  bool hopper;
  lk_gpu *gpu;
  if (!parse_name(device, &number, &hopper))
    return lk_fail(error, LK_ENODEVICE, "device '%s': this build does not know it", device);
  lk_status status = lk_gpu_open(number, &gpu, error);
  if (status != LK_OK) return status;
  if (hopper && !gpu->hopper) {
    gpu->ops->close(gpu);
    return lk_fail(error, LK_ENODEVICE, "device '%s': this GPU is not a Hopper", device);
  }
  status = lk_cuda_make(gpu, hopper, threads, backend, error);
  if (status != LK_OK) gpu->ops->close(gpu);
  return status;
}
