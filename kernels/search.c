#include "kernels/search.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/cpu/cpu.h"
#include "kernels/cuda/cuda.h"
#include "kernels/plan.h"

struct lk_device {
  pthread_mutex_t lock;
  lk_backend *backend;
  uint32_t *tiles; /* a round's tiles */
  uint32_t tiles_room;
  uint64_t *seed_rows;
  uint32_t seed_room;
};

lk_status lk_device_make(lk_backend *backend, lk_device **device, lk_error *error) {
  lk_device *made = calloc(1, sizeof *made);
  if (made == NULL) return lk_fail_memory(error);
  made->backend = backend;
  pthread_mutex_init(&made->lock, NULL);
  *device = made;
  return LK_OK;
}

/* "auto" takes no GPU: the CUDA backend has not run on one yet (bench/results/GPU.md), and exactness is not tried out on
 * who did not ask for it. */
static lk_status open_backend(const char *name, uint32_t threads, lk_backend **backend, lk_error *error) {
  if (strncmp(name, "cuda", 4) == 0) return lk_cuda_open(name, threads, backend, error);
  return lk_cpu_open(strcmp(name, "auto") == 0 ? "cpu" : name, threads, backend, error);
}

lk_status lk_device_open(const char *name, uint32_t threads, lk_device **device, lk_error *error) {
  lk_backend *backend;
  lk_status status = open_backend(name, threads, &backend, error);
  if (status != LK_OK) return status;
  status = lk_device_make(backend, device, error);
  if (status != LK_OK) backend->ops->close(backend);
  return status;
}

void lk_device_close(lk_device *device) {
  if (device == NULL) return;
  device->backend->ops->close(device->backend);
  pthread_mutex_destroy(&device->lock);
  free(device->tiles);
  free(device->seed_rows);
  free(device);
}

const char *lk_device_name(const lk_device *device) { return device->backend->name; }

lk_status lk_device_hold(lk_device *device, lk_shape shape, const lk_block *block, lk_hold **hold, lk_error *error) {
  pthread_mutex_lock(&device->lock);
  lk_status status = device->backend->ops->hold(device->backend, shape, block, hold, error);
  pthread_mutex_unlock(&device->lock);
  return status;
}

void lk_device_release(lk_device *device, lk_hold *hold) {
  pthread_mutex_lock(&device->lock);
  device->backend->ops->release(device->backend, hold);
  pthread_mutex_unlock(&device->lock);
}

static lk_status reserve(lk_device *device, uint32_t tiles, uint32_t seed_rows, lk_error *error) {
  if (device->tiles_room < tiles) {
    uint32_t *grown = realloc(device->tiles, tiles * sizeof *grown);
    if (grown == NULL) return lk_fail_memory(error);
    device->tiles = grown;
    device->tiles_room = tiles;
  }
  if (device->seed_room < seed_rows) {
    uint64_t *grown = realloc(device->seed_rows, seed_rows * sizeof *grown);
    if (grown == NULL) return lk_fail_memory(error);
    device->seed_rows = grown;
    device->seed_room = seed_rows;
  }
  return LK_OK;
}

static void seed(lk_device *device, const lk_plan *plan, uint64_t rows) {
  if (plan->seed_rows == 0) return;
  for (uint32_t i = 0; i < plan->seed_rows; i++) device->seed_rows[i] = lk_plan_seed_row(plan, rows, i);
  device->backend->ops->seed(device->backend, device->seed_rows, plan->seed_rows);
}

/* One pass's rounds. */
struct rounds {
  lk_backend *backend;
  uint32_t probes;
  bool wide;
  lk_search_stats *stats;
};

/* A round that overflows is halved until it fits; the bars rise between the halves. */
static void run_round(struct rounds *rounds, const uint32_t *tiles, uint32_t count) {
  lk_round done;
  if (!rounds->backend->ops->round(rounds->backend, tiles, count, rounds->wide, &done)) {
    rounds->stats->reruns++;
    run_round(rounds, tiles, count / 2);
    run_round(rounds, tiles + count / 2, count - count / 2);
    return;
  }
  rounds->stats->rounds++;
  rounds->stats->wide_rounds += rounds->wide;
  rounds->wide |= lk_plan_widens((uint64_t)count * LK_TILE_ROWS * rounds->probes, rounds->probes, &done);
}

static void run_rounds(lk_device *device, const lk_plan *plan, uint32_t tiles, uint32_t probes,
                       lk_search_stats *stats) {
  struct rounds rounds = {.backend = device->backend, .probes = probes, .stats = stats};
  for (uint32_t begin = 0, end; begin < tiles; begin = end) {
    end = lk_plan_round_end(plan, tiles, begin);
    for (uint32_t i = begin; i < end; i++) device->tiles[i - begin] = lk_plan_tile(plan, tiles, i);
    run_round(&rounds, device->tiles, end - begin);
  }
}

static lk_status run_pass(lk_device *device, const lk_plan *plan, const lk_batch *pass, uint64_t rows, uint32_t tiles,
                          lk_lists *lists, lk_search_stats *stats, lk_error *error) {
  const lk_backend_ops *ops = device->backend->ops;
  uint64_t visible;
  lk_status status = ops->begin(device->backend, pass, &visible, error);
  if (status != LK_OK) return status;
  if (lk_plan_gathers(rows, visible, pass->k)) {
    ops->gather(device->backend);
  } else {
    seed(device, plan, rows);
    run_rounds(device, plan, tiles, pass->count, stats);
  }
  return ops->finish(device->backend, lists, stats, error);
}

lk_status lk_search(lk_device *device, const lk_batch *batch, lk_lists *lists, lk_search_stats *stats,
                    lk_error *error) {
  uint64_t rows = 0;
  uint32_t tiles = 0;
  for (uint32_t i = 0; i < batch->holds_count; i++) {
    rows += batch->holds[i]->rows;
    tiles += batch->holds[i]->tiles;
  }
  if (rows > UINT32_MAX) return lk_fail(error, LK_EINVAL, "more than %u rows on one device", UINT32_MAX);
  lk_plan plan = lk_plan_make(rows, tiles, batch->k);
  lk_search_stats unseen = {0};
  lk_lists_clear(lists);
  pthread_mutex_lock(&device->lock);
  lk_status status = reserve(device, tiles, plan.seed_rows, error);
  for (uint32_t first = 0; status == LK_OK && first < batch->count; first += plan.probes) {
    lk_batch pass = *batch;
    pass.probes += (size_t)first * batch->shape.dim;
    if (batch->thresholds != NULL) pass.thresholds += first;
    pass.count = batch->count - first < plan.probes ? batch->count - first : plan.probes;
    status = run_pass(device, &plan, &pass, rows, tiles, lists, stats != NULL ? stats : &unseen, error);
  }
  pthread_mutex_unlock(&device->lock);
  return status;
}
