#include "kernels/search/device.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "base/clock.h"
#include "kernels/cpu/cpu.h"
#include "kernels/cuda/host/cuda.h"
#include "kernels/search/sharded_search.h"

enum { NAME_BYTES = 64 }; /* of one backend's name in a list */

/* A device whose backends have twins runs two searches at a time: while one copies, begins or waits for the host, the
 * other one has the GPU. */
enum { SEARCHERS = 2 };

enum { MOMENT_US = 20000 };

/* What runs one search at a time: for each shard a search on its backend, or on the backend's twin. */
struct searcher {
  lk_sharded_search *sharded; /* NULL: there is one shard */
  lk_backend_search *searches;
};

/* A place in the line of those who wait for searchers. */
struct place {
  TAILQ_ENTRY(place) next;
};

struct lk_device {
  pthread_mutex_t lock;
  pthread_cond_t moved; /* the line, or a searcher became free */
  char *name;
  uint32_t shards_count, searchers_count;
  uint32_t users;                       /* who opened it, until they close it; and whoever holds it */
  bool closed;                          /* set with the lock and all searchers, read with the lock or a searcher */
  uint32_t busy;                        /* searchers, the first in bit 0 */
  TAILQ_HEAD(, place) line;             /* whoever came first is served first */
  struct searcher searchers[SEARCHERS]; /* the first has the backends themselves */
  uint64_t rows[];                      /* in each shard */
};

/* The backends' names as a list, with which such a device can be opened again. */
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

static void close_searcher(struct searcher *searcher, uint32_t shards_count, bool backends_too) {
  lk_sharded_search_close(searcher->sharded);
  for (uint32_t i = 0; searcher->searches != NULL && i < shards_count; i++) {
    lk_backend *backend = searcher->searches[i].backend;
    lk_backend_search_free(&searcher->searches[i]);
    if (backends_too && backend != NULL) backend->ops->close(backend);
  }
  free(searcher->searches);
}

/* Closes the twins before the backends whose blocks they read. */
static void free_device(lk_device *device, bool backends_too) {
  for (uint32_t i = SEARCHERS; i-- > 0;)
    close_searcher(&device->searchers[i], device->shards_count, backends_too || i > 0);
  pthread_cond_destroy(&device->moved);
  pthread_mutex_destroy(&device->lock);
  free(device->name);
  free(device);
}

static lk_status open_searcher(lk_device *device, uint32_t number, lk_backend *const *backends, lk_error *error) {
  struct searcher *searcher = &device->searchers[number];
  uint32_t count = device->shards_count;
  searcher->searches = calloc(count, sizeof *searcher->searches);
  lk_status status = searcher->searches == NULL ? lk_fail_memory(error) : LK_OK;
  for (uint32_t i = 0; status == LK_OK && i < count; i++) {
    if (number == 0)
      searcher->searches[i].backend = backends[i];
    else
      status = backends[i]->ops->twin(backends[i], &searcher->searches[i].backend, error);
  }
  if (status == LK_OK && count > 1)
    status = lk_sharded_search_open(searcher->searches, count, &searcher->sharded, error);
  device->searchers_count += status == LK_OK;
  return status;
}

static bool have_twins(lk_backend *const *backends, uint32_t count) {
  for (uint32_t i = 0; i < count; i++)
    if (backends[i]->ops->twin == NULL) return false;
  return true;
}

/* Waits are measured by the monotonic clock. */
static void init_moved(pthread_cond_t *moved) {
  pthread_condattr_t attributes;
  pthread_condattr_init(&attributes);
  pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
  pthread_cond_init(moved, &attributes);
  pthread_condattr_destroy(&attributes);
}

lk_status lk_device_make(lk_backend *const *backends, uint32_t count, lk_device **device, lk_error *error) {
  lk_device *made = calloc(1, sizeof *made + count * sizeof made->rows[0]);
  if (made == NULL) return lk_fail_memory(error);
  pthread_mutex_init(&made->lock, NULL);
  init_moved(&made->moved);
  TAILQ_INIT(&made->line);
  made->users = 1;
  made->shards_count = count;
  made->name = join_names(backends, count);
  lk_status status = made->name == NULL ? lk_fail_memory(error) : LK_OK;
  uint32_t searchers = have_twins(backends, count) ? SEARCHERS : 1;
  for (uint32_t i = 0; status == LK_OK && i < searchers; i++) status = open_searcher(made, i, backends, error);
  if (status != LK_OK) {
    free_device(made, false);
    return status;
  }
  *device = made;
  return LK_OK;
}

/* "auto" takes no GPU: the CUDA backend has not run on one yet (bench/results/GPU.md), and who has not
 * asked for it shall not be the first to try it. */
static lk_status open_backend(const char *name, uint32_t threads, lk_backend **backend, lk_error *error) {
  if (strncmp(name, "cuda", 4) == 0) return lk_cuda_open(name, threads, backend, error);
  return lk_cpu_open(strcmp(name, "auto") == 0 ? "cpu" : name, threads, backend, error);
}

/* Opens the backends that a list names, separated by commas; `opened` counts them, also where one fails. */
static lk_status open_backends(const char *list, uint32_t threads, lk_backend *backends[], uint32_t *opened,
                               lk_error *error) {
  lk_status status = LK_OK;
  for (const char *at = list, *end; status == LK_OK; at = end + 1) {
    char name[NAME_BYTES];
    end = strchrnul(at, ',');
    if (*opened == LK_DEVICE_BACKENDS_MAX)
      return lk_fail(error, LK_ENODEVICE, "device '%s': the list names more than %d devices", list,
                     LK_DEVICE_BACKENDS_MAX);
    if (snprintf(name, sizeof name, "%.*s", (int)(end - at), at) >= NAME_BYTES)
      return lk_fail(error, LK_ENODEVICE, "device '%.*s': this build does not know it", (int)(end - at), at);
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

const char *lk_device_name(const lk_device *device) { return device->name; }

uint32_t lk_device_searches(const lk_device *device) { return device->searchers_count; }

/* What somebody needs. A search can use any searcher; the first alone loads and unloads, while its twin searches other
 * blocks; where rows change, no search may run. */
typedef enum need { NEED_ANY, NEED_FIRST, NEED_ALL } need;

static uint32_t all_searchers(const lk_device *device) { return (1U << device->searchers_count) - 1; }

/* The searchers to take; 0: they are not free. Of any, it is the first that is free: so searches that follow each other
 * run where memory has grown already. */
static uint32_t find_free(const lk_device *device, need what) {
  uint32_t all = all_searchers(device), unused = all & ~device->busy;
  if (what == NEED_ALL) return unused == all ? all : 0;
  return unused & (what == NEED_FIRST ? 1U : -unused);
}

/* Waits for a change; under a control only for a moment, since nobody wakes a search that is cancelled. */
static void await_moved(lk_device *device, const lk_search_control *control) {
  if (control == NULL) {
    pthread_cond_wait(&device->moved, &device->lock);
    return;
  }
  const struct timespec until = lk_clock_timespec(lk_clock_us() + MOMENT_US);
  pthread_cond_timedwait(&device->moved, &device->lock, &until);
}

/* Takes what is needed when its turn has come: no stream of searches keeps a change waiting, nor the other way round.
 * 0: it was cancelled. */
static uint32_t occupy(lk_device *device, need what, const lk_search_control *control) {
  struct place place;
  uint32_t taken = 0;
  pthread_mutex_lock(&device->lock);
  TAILQ_INSERT_TAIL(&device->line, &place, next);
  while (!lk_control_is_cancelled(control) &&
         (TAILQ_FIRST(&device->line) != &place || (taken = find_free(device, what)) == 0))
    await_moved(device, control);
  TAILQ_REMOVE(&device->line, &place, next);
  device->busy |= taken;
  pthread_cond_broadcast(&device->moved);
  pthread_mutex_unlock(&device->lock);
  return taken;
}

static void vacate(lk_device *device, uint32_t taken) {
  pthread_mutex_lock(&device->lock);
  device->busy &= ~taken;
  pthread_cond_broadcast(&device->moved);
  pthread_mutex_unlock(&device->lock);
}

static lk_status check_open(const lk_device *device, lk_error *error) {
  return device->closed ? lk_fail(error, LK_EINVAL, "the device is closed") : LK_OK;
}

lk_status lk_device_hold(lk_device *device, lk_error *error) {
  pthread_mutex_lock(&device->lock);
  lk_status status = check_open(device, error);
  device->users += status == LK_OK;
  pthread_mutex_unlock(&device->lock);
  return status;
}

void lk_device_release(lk_device *device) {
  pthread_mutex_lock(&device->lock);
  bool last = --device->users == 0;
  pthread_mutex_unlock(&device->lock);
  if (last) free_device(device, true);
}

void lk_device_close(lk_device *device) {
  if (device == NULL) return;
  uint32_t taken = occupy(device, NEED_ALL, NULL);
  pthread_mutex_lock(&device->lock);
  device->closed = true;
  pthread_mutex_unlock(&device->lock);
  vacate(device, taken);
  lk_device_release(device);
}

/* The shard with the fewest rows: a gallery loads its blocks one after the other, which spreads them evenly. */
static uint32_t least_shard(const lk_device *device) {
  uint32_t least = 0;
  for (uint32_t i = 1; i < device->shards_count; i++)
    if (device->rows[i] < device->rows[least]) least = i;
  return least;
}

static lk_backend *first_backend(const lk_device *device, uint32_t shard) {
  return device->searchers[0].searches[shard].backend;
}

static lk_status load(lk_device *device, lk_shape shape, const lk_block *block, lk_resident_block **resident,
                      lk_error *error) {
  uint32_t shard = least_shard(device);
  lk_backend *backend = first_backend(device, shard);
  lk_status status = backend->ops->load(backend, shape, block, resident, error);
  if (status != LK_OK) return status;
  (*resident)->shard = shard;
  device->rows[shard] += block->rows;
  return LK_OK;
}

lk_status lk_device_load_block(lk_device *device, lk_shape shape, const lk_block *block, lk_resident_block **resident,
                               lk_error *error) {
  uint32_t taken = occupy(device, NEED_FIRST, NULL);
  lk_status status = check_open(device, error);
  if (status == LK_OK) status = load(device, shape, block, resident, error);
  vacate(device, taken);
  return status;
}

void lk_device_unload_block(lk_device *device, lk_resident_block *resident) {
  if (resident == NULL) return;
  uint32_t taken = occupy(device, NEED_FIRST, NULL);
  lk_backend *backend = first_backend(device, resident->shard);
  device->rows[resident->shard] -= resident->rows;
  backend->ops->unload(backend, resident);
  vacate(device, taken);
}

lk_status lk_device_begin_changes(lk_device *device, lk_error *error) {
  uint32_t taken = occupy(device, NEED_ALL, NULL);
  lk_status status = check_open(device, error);
  if (status != LK_OK) vacate(device, taken);
  return status;
}

lk_status lk_device_update_block(lk_device *device, lk_resident_block *resident, const lk_visibility *visibility,
                                 uint32_t first, uint32_t count, lk_error *error) {
  lk_backend *backend = first_backend(device, resident->shard);
  return backend->ops->update(backend, resident, visibility, first, count, error);
}

void lk_device_end_changes(lk_device *device) { vacate(device, all_searchers(device)); }

void lk_search_cancel(lk_search_control *control) { __atomic_store_n(&control->cancelled, 1, __ATOMIC_RELAXED); }

uint64_t lk_search_progress(const lk_search_control *control) {
  return __atomic_load_n(&control->progress, __ATOMIC_RELAXED);
}

static lk_status run(struct searcher *searcher, const lk_batch *batch, lk_candidate_lists *lists,
                     lk_search_stats *stats, lk_error *error) {
  if (searcher->sharded != NULL) return lk_sharded_search_run(searcher->sharded, batch, lists, stats, error);
  return lk_backend_search_run(&searcher->searches[0], batch, lists, stats, error);
}

lk_status lk_search(lk_device *device, const lk_batch *batch, lk_candidate_lists *lists, lk_search_stats *stats,
                    lk_error *error) {
  uint64_t rows = 0;
  for (uint32_t i = 0; i < batch->blocks_count; i++) rows += batch->blocks[i]->rows;
  if (rows > UINT32_MAX)
    return lk_fail(error, LK_EINVAL, "the search has %llu rows; at most %u can be searched at once",
                   (unsigned long long)rows, UINT32_MAX);
  lk_search_stats unseen = {0};
  if (stats == NULL) stats = &unseen;
  uint32_t taken = occupy(device, NEED_ANY, batch->control);
  lk_status status = taken == 0 ? lk_control_check(batch->control, error) : check_open(device, error);
  if (status == LK_OK) status = run(&device->searchers[__builtin_ctz(taken)], batch, lists, stats, error);
  if (taken != 0) vacate(device, taken);
  if (status == LK_ECANCELLED) lk_candidate_lists_clear(lists);
  return status;
}
