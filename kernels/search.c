#include "kernels/search.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/cpu/cpu.h"
#include "kernels/cuda/cuda.h"
#include "kernels/several.h"

enum { NAME_BYTES = 64 }; /* of one backend in a list */

struct lk_device {
  pthread_mutex_t lock;
  char *name;
  lk_several *several; /* NULL: one part */
  uint32_t parts_count;
  lk_part parts[];
};

/* The backends' names, as a list that opens such a device again. */
static char *join_names(lk_backend *const *backends, uint32_t count) {
  size_t bytes = 1;
  for (uint32_t i = 0; i < count; i++) bytes += strlen(backends[i]->name) + 1;
  char *name = calloc(bytes, 1);
  for (uint32_t i = 0; name != NULL && i < count; i++) {
    if (i > 0) strcat(name, ",");
    strcat(name, backends[i]->name);
  }
  return name;
}

static void free_device(lk_device *device) {
  lk_several_close(device->several);
  for (uint32_t i = 0; i < device->parts_count; i++) lk_part_free(&device->parts[i]);
  free(device->name);
  free(device);
}

lk_status lk_device_make(lk_backend *const *backends, uint32_t count, lk_device **device, lk_error *error) {
  lk_device *made = calloc(1, sizeof *made + count * sizeof made->parts[0]);
  if (made == NULL) return lk_fail_memory(error);
  made->parts_count = count;
  for (uint32_t i = 0; i < count; i++) made->parts[i].backend = backends[i];
  made->name = join_names(backends, count);
  lk_status status = made->name == NULL ? lk_fail_memory(error) : LK_OK;
  if (status == LK_OK && count > 1) status = lk_several_open(made->parts, count, &made->several, error);
  if (status != LK_OK) {
    free_device(made);
    return status;
  }
  pthread_mutex_init(&made->lock, NULL);
  *device = made;
  return LK_OK;
}

/* "auto" takes no GPU: the CUDA backend has not run on one yet (bench/results/GPU.md), and exactness is not tried out
 * on who did not ask for it. */
static lk_status open_backend(const char *name, uint32_t threads, lk_backend **backend, lk_error *error) {
  if (strncmp(name, "cuda", 4) == 0) return lk_cuda_open(name, threads, backend, error);
  return lk_cpu_open(strcmp(name, "auto") == 0 ? "cpu" : name, threads, backend, error);
}

/* Those that a list names, separated by commas; `opened` counts them, also where one fails. */
static lk_status open_backends(const char *list, uint32_t threads, lk_backend *backends[], uint32_t *opened,
                               lk_error *error) {
  lk_status status = LK_OK;
  for (const char *at = list, *end; status == LK_OK; at = end + 1) {
    char name[NAME_BYTES];
    end = strchrnul(at, ',');
    if (*opened == LK_DEVICE_PARTS_MAX)
      return lk_fail(error, LK_ENODEVICE, "device '%s': more than %d in one list", list, LK_DEVICE_PARTS_MAX);
    if (snprintf(name, sizeof name, "%.*s", (int)(end - at), at) >= NAME_BYTES)
      return lk_fail(error, LK_ENODEVICE, "device '%.*s' is not known to this build", (int)(end - at), at);
    status = open_backend(name, threads, &backends[*opened], error);
    *opened += status == LK_OK;
    if (*end == '\0') break;
  }
  return status;
}

lk_status lk_device_open(const char *name, uint32_t threads, lk_device **device, lk_error *error) {
  lk_backend *backends[LK_DEVICE_PARTS_MAX];
  uint32_t opened = 0;
  lk_status status = open_backends(name, threads, backends, &opened, error);
  if (status == LK_OK) status = lk_device_make(backends, opened, device, error);
  for (uint32_t i = 0; status != LK_OK && i < opened; i++) backends[i]->ops->close(backends[i]);
  return status;
}

void lk_device_close(lk_device *device) {
  if (device == NULL) return;
  for (uint32_t i = 0; i < device->parts_count; i++) device->parts[i].backend->ops->close(device->parts[i].backend);
  pthread_mutex_destroy(&device->lock);
  free_device(device);
}

const char *lk_device_name(const lk_device *device) { return device->name; }

/* The part that holds the fewest rows: blocks of one gallery come one after the other, and so are spread evenly. */
static uint32_t least_part(const lk_device *device) {
  uint32_t least = 0;
  for (uint32_t i = 1; i < device->parts_count; i++)
    if (device->parts[i].rows < device->parts[least].rows) least = i;
  return least;
}

lk_status lk_device_hold(lk_device *device, lk_shape shape, const lk_block *block, lk_hold **hold, lk_error *error) {
  pthread_mutex_lock(&device->lock);
  uint32_t number = least_part(device);
  lk_part *part = &device->parts[number];
  lk_status status = part->backend->ops->hold(part->backend, shape, block, hold, error);
  if (status == LK_OK) {
    (*hold)->part = number;
    part->rows += block->rows;
  }
  pthread_mutex_unlock(&device->lock);
  return status;
}

void lk_device_release(lk_device *device, lk_hold *hold) {
  if (hold == NULL) return;
  pthread_mutex_lock(&device->lock);
  lk_part *part = &device->parts[hold->part];
  part->rows -= hold->rows;
  part->backend->ops->release(part->backend, hold);
  pthread_mutex_unlock(&device->lock);
}

lk_status lk_search(lk_device *device, const lk_batch *batch, lk_lists *lists, lk_search_stats *stats,
                    lk_error *error) {
  uint64_t rows = 0;
  for (uint32_t i = 0; i < batch->holds_count; i++) rows += batch->holds[i]->rows;
  if (rows > UINT32_MAX) return lk_fail(error, LK_EINVAL, "more than %u rows in one search", UINT32_MAX);
  lk_search_stats unseen = {0};
  if (stats == NULL) stats = &unseen;
  pthread_mutex_lock(&device->lock);
  lk_status status = device->several != NULL ? lk_several_search(device->several, batch, lists, stats, error)
                                             : lk_part_search(&device->parts[0], batch, lists, stats, error);
  pthread_mutex_unlock(&device->lock);
  return status;
}
