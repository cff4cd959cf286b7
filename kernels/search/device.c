#include "kernels/search/device.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/cpu/cpu.h"
#include "kernels/cuda/host/cuda.h"
#include "kernels/search/sharded_search.h"

enum { NAME_BYTES = 64 }; /* of one backend in a list */

/* Searches of a device that run side by side, where its backends have twins: what one leaves of a GPU while it copies,
 * waits for the host or begins, the other one takes. */
enum { LANES = 2 };

/* All that one search at a time needs: a part for each backend, or its twin. */
struct lane {
  bool busy;
  lk_sharded_search *several; /* NULL: one part */
  lk_backend_search *parts;
};

struct lk_device {
  pthread_mutex_t lock;
  pthread_cond_t freed;
  char *name;
  uint32_t parts_count, lanes_count;
  uint32_t updates;         /* that want all lanes: no further search begins */
  struct lane lanes[LANES]; /* the first has the backends that hold the blocks */
  uint64_t rows[];          /* that each part holds */
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

static void close_lane(struct lane *lane, uint32_t parts_count, bool backends_too) {
  lk_sharded_search_close(lane->several);
  for (uint32_t i = 0; lane->parts != NULL && i < parts_count; i++) {
    lk_backend *backend = lane->parts[i].backend;
    lk_backend_search_free(&lane->parts[i]);
    if (backends_too && backend != NULL) backend->ops->close(backend);
  }
  free(lane->parts);
}

/* The twins first. */
static void free_device(lk_device *device, bool backends_too) {
  for (uint32_t i = LANES; i-- > 0;) close_lane(&device->lanes[i], device->parts_count, backends_too || i > 0);
  pthread_cond_destroy(&device->freed);
  pthread_mutex_destroy(&device->lock);
  free(device->name);
  free(device);
}

static lk_status open_lane(lk_device *device, uint32_t number, lk_backend *const *backends, lk_error *error) {
  struct lane *lane = &device->lanes[number];
  uint32_t count = device->parts_count;
  lane->parts = calloc(count, sizeof *lane->parts);
  lk_status status = lane->parts == NULL ? lk_fail_memory(error) : LK_OK;
  for (uint32_t i = 0; status == LK_OK && i < count; i++) {
    if (number == 0)
      lane->parts[i].backend = backends[i];
    else
      status = backends[i]->ops->twin(backends[i], &lane->parts[i].backend, error);
  }
  if (status == LK_OK && count > 1) status = lk_sharded_search_open(lane->parts, count, &lane->several, error);
  device->lanes_count += status == LK_OK;
  return status;
}

static bool have_twins(lk_backend *const *backends, uint32_t count) {
  for (uint32_t i = 0; i < count; i++)
    if (backends[i]->ops->twin == NULL) return false;
  return true;
}

lk_status lk_device_make(lk_backend *const *backends, uint32_t count, lk_device **device, lk_error *error) {
  lk_device *made = calloc(1, sizeof *made + count * sizeof made->rows[0]);
  if (made == NULL) return lk_fail_memory(error);
  pthread_mutex_init(&made->lock, NULL);
  pthread_cond_init(&made->freed, NULL);
  made->parts_count = count;
  made->name = join_names(backends, count);
  lk_status status = made->name == NULL ? lk_fail_memory(error) : LK_OK;
  uint32_t lanes = have_twins(backends, count) ? LANES : 1;
  for (uint32_t i = 0; status == LK_OK && i < lanes; i++) status = open_lane(made, i, backends, error);
  if (status != LK_OK) {
    free_device(made, false);
    return status;
  }
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
    if (*opened == LK_DEVICE_BACKENDS_MAX)
      return lk_fail(error, LK_ENODEVICE, "device '%s': more than %d in one list", list, LK_DEVICE_BACKENDS_MAX);
    if (snprintf(name, sizeof name, "%.*s", (int)(end - at), at) >= NAME_BYTES)
      return lk_fail(error, LK_ENODEVICE, "device '%.*s' is not known to this build", (int)(end - at), at);
    status = open_backend(name, threads, &backends[*opened], error);
    *opened += status == LK_OK;
    if (*end == '\0') break;
  }
  return status;
}

lk_status lk_device_open(const char *name, uint32_t threads, lk_device **device, lk_error *error) {
  lk_backend *backends[LK_DEVICE_BACKENDS_MAX];
  uint32_t opened = 0;
  lk_status status = open_backends(name, threads, backends, &opened, error);
  if (status == LK_OK) status = lk_device_make(backends, opened, device, error);
  for (uint32_t i = 0; status != LK_OK && i < opened; i++) backends[i]->ops->close(backends[i]);
  return status;
}

void lk_device_close(lk_device *device) {
  if (device != NULL) free_device(device, true);
}

const char *lk_device_name(const lk_device *device) { return device->name; }

uint32_t lk_device_searches(const lk_device *device) { return device->lanes_count; }

static struct lane *enter(lk_device *device, struct lane *lane) {
  pthread_mutex_lock(&device->lock);
  while (lane->busy) pthread_cond_wait(&device->freed, &device->lock);
  lane->busy = true;
  pthread_mutex_unlock(&device->lock);
  return lane;
}

static struct lane *find_free(lk_device *device) {
  for (uint32_t i = 0; device->updates == 0 && i < device->lanes_count; i++)
    if (!device->lanes[i].busy) return &device->lanes[i];
  return NULL;
}

/* The first lane that is free: so one search after the other has the same lane, whose memory has grown to it. */
static struct lane *enter_free(lk_device *device) {
  struct lane *lane;
  pthread_mutex_lock(&device->lock);
  while ((lane = find_free(device)) == NULL) pthread_cond_wait(&device->freed, &device->lock);
  lane->busy = true;
  pthread_mutex_unlock(&device->lock);
  return lane;
}

static void leave(lk_device *device, struct lane *lane) {
  pthread_mutex_lock(&device->lock);
  lane->busy = false;
  pthread_cond_broadcast(&device->freed);
  pthread_mutex_unlock(&device->lock);
}

static void add_update(lk_device *device, int32_t more) {
  pthread_mutex_lock(&device->lock);
  device->updates += (uint32_t)more;
  pthread_cond_broadcast(&device->freed);
  pthread_mutex_unlock(&device->lock);
}

/* The part that holds the fewest rows: blocks of one gallery come one after the other, and so are spread evenly. */
static uint32_t least_part(const lk_device *device) {
  uint32_t least = 0;
  for (uint32_t i = 1; i < device->parts_count; i++)
    if (device->rows[i] < device->rows[least]) least = i;
  return least;
}

lk_status lk_device_load_block(lk_device *device, lk_shape shape, const lk_block *block, lk_resident_block **hold,
                               lk_error *error) {
  struct lane *lane = enter(device, &device->lanes[0]);
  uint32_t part = least_part(device);
  lk_backend *backend = lane->parts[part].backend;
  lk_status status = backend->ops->hold(backend, shape, block, hold, error);
  if (status == LK_OK) {
    (*hold)->part = part;
    device->rows[part] += block->rows;
  }
  leave(device, lane);
  return status;
}

/* In all lanes at once: for the first of them an update waits for another one. */
lk_status lk_device_update_block(lk_device *device, lk_resident_block *hold, const lk_visibility *visibility,
                                 uint32_t first, uint32_t count, lk_error *error) {
  add_update(device, 1);
  for (uint32_t i = 0; i < device->lanes_count; i++) enter(device, &device->lanes[i]);
  lk_backend *backend = device->lanes[0].parts[hold->part].backend;
  lk_status status = backend->ops->update(backend, hold, visibility, first, count, error);
  for (uint32_t i = 0; i < device->lanes_count; i++) leave(device, &device->lanes[i]);
  add_update(device, -1);
  return status;
}

void lk_device_unload_block(lk_device *device, lk_resident_block *hold) {
  if (hold == NULL) return;
  struct lane *lane = enter(device, &device->lanes[0]);
  lk_backend *backend = lane->parts[hold->part].backend;
  device->rows[hold->part] -= hold->rows;
  backend->ops->release(backend, hold);
  leave(device, lane);
}

lk_status lk_search(lk_device *device, const lk_batch *batch, lk_candidate_lists *lists, lk_search_stats *stats,
                    lk_error *error) {
  uint64_t rows = 0;
  for (uint32_t i = 0; i < batch->holds_count; i++) rows += batch->holds[i]->rows;
  if (rows > UINT32_MAX) return lk_fail(error, LK_EINVAL, "more than %u rows in one search", UINT32_MAX);
  lk_search_stats unseen = {0};
  if (stats == NULL) stats = &unseen;
  struct lane *lane = enter_free(device);
  lk_status status = lane->several != NULL ? lk_sharded_search_run(lane->several, batch, lists, stats, error)
                                           : lk_backend_search_run(&lane->parts[0], batch, lists, stats, error);
  leave(device, lane);
  return status;
}
