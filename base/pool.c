#include "base/pool.h"

#include <fenv.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>

#include <likeness/types.h>
#include "base/fail.h"

/* A waiting thread looks for its call so many times, for some 40 microseconds, before it sleeps: calls of one search
 * follow each other closely, and waking a thread takes about as long. */
enum { LOOKS = 1000 };

struct lk_pool {
  pthread_mutex_t lock;
  pthread_cond_t work;
  pthread_cond_t idle;
  _Atomic uint64_t call; /* counts calls, so that a worker joins each of them once */
  bool open;             /* workers may join the call; nobody waits for one that comes too late */
  atomic_uint working;   /* workers that have joined */
  bool closing;

  void (*task)(void *context, uint32_t thread, uint32_t item);
  void *context;
  uint32_t items;
  atomic_uint next;

  uint32_t looks;   /* 0 with more threads than processors: looking would take the others' time */
  uint32_t threads; /* the caller included */
  struct lk_pool_worker {
    pthread_t thread;
    lk_pool *pool;
    uint32_t number;
  } workers[];
};

static uint32_t processors(void) {
  cpu_set_t set;
  return sched_getaffinity(0, sizeof set, &set) == 0 ? (uint32_t)CPU_COUNT(&set) : 1;
}

static fenv_t enter_default(void) {
  fenv_t environment;
  fegetenv(&environment);
  fesetenv(FE_DFL_ENV);
  return environment;
}

static void work_through(lk_pool *pool, uint32_t thread) {
  fenv_t environment = enter_default();
  for (uint32_t item; (item = atomic_fetch_add(&pool->next, 1)) < pool->items;) pool->task(pool->context, thread, item);
  fesetenv(&environment);
}

static void work_alone(uint32_t items, void (*task)(void *context, uint32_t thread, uint32_t item), void *context) {
  fenv_t environment = enter_default();
  for (uint32_t item = 0; item < items; item++) task(context, 0, item);
  fesetenv(&environment);
}

static void relax(void) {
#ifdef __x86_64__
  __builtin_ia32_pause();
#endif
}

/* Joins a call that the worker has not seen yet; false: the pool closes. */
static bool join_call(lk_pool *pool, uint64_t *seen) {
  for (bool joined = false; !joined;) {
    for (uint32_t i = 0; i < pool->looks && pool->call == *seen; i++) relax();
    pthread_mutex_lock(&pool->lock);
    while (pool->call == *seen && !pool->closing) pthread_cond_wait(&pool->work, &pool->lock);
    bool closing = pool->closing;
    joined = pool->open;
    pool->working += joined;
    *seen = pool->call;
    pthread_mutex_unlock(&pool->lock);
    if (closing) return false;
  }
  return true;
}

static void leave_call(lk_pool *pool) {
  pthread_mutex_lock(&pool->lock);
  if (--pool->working == 0) pthread_cond_signal(&pool->idle);
  pthread_mutex_unlock(&pool->lock);
}

static void *worker_main(void *argument) {
  struct lk_pool_worker *worker = argument;
  uint64_t seen = 0;
  while (join_call(worker->pool, &seen)) {
    work_through(worker->pool, worker->number);
    leave_call(worker->pool);
  }
  return NULL;
}

lk_status lk_pool_open(uint32_t threads, lk_pool **pool, lk_error *error) {
  if (threads > LK_THREADS_MAX)
    return lk_fail(error, LK_EINVAL, "%u threads; at most %d are allowed", threads, LK_THREADS_MAX);
  if (threads == 0) threads = processors();
  lk_pool *opened = calloc(1, sizeof *opened + (threads - 1) * sizeof opened->workers[0]);
  if (opened == NULL) return lk_fail_memory(error);
  pthread_mutex_init(&opened->lock, NULL);
  pthread_cond_init(&opened->work, NULL);
  pthread_cond_init(&opened->idle, NULL);
  opened->looks = threads <= processors() ? LOOKS : 0;
  opened->threads = 1;
  for (uint32_t i = 1; i < threads; i++) {
    struct lk_pool_worker *worker = &opened->workers[i - 1];
    worker->pool = opened;
    worker->number = i;
    if (pthread_create(&worker->thread, NULL, worker_main, worker) != 0) {
      lk_pool_close(opened);
      return lk_fail(error, LK_ENOMEM, "cannot start thread %u of %u", i + 1, threads);
    }
    opened->threads++;
  }
  *pool = opened;
  return LK_OK;
}

void lk_pool_close(lk_pool *pool) {
  if (pool == NULL) return;
  pthread_mutex_lock(&pool->lock);
  pool->closing = true;
  pthread_cond_broadcast(&pool->work);
  pthread_mutex_unlock(&pool->lock);
  for (uint32_t i = 1; i < pool->threads; i++) pthread_join(pool->workers[i - 1].thread, NULL);
  pthread_cond_destroy(&pool->idle);
  pthread_cond_destroy(&pool->work);
  pthread_mutex_destroy(&pool->lock);
  free(pool);
}

uint32_t lk_pool_threads(const lk_pool *pool) { return pool != NULL ? pool->threads : 1; }

/* Lets no further worker join, and waits until those that have joined are done. */
static void close_call(lk_pool *pool) {
  pthread_mutex_lock(&pool->lock);
  pool->open = false;
  pthread_mutex_unlock(&pool->lock);
  for (uint32_t i = 0; i < pool->looks && pool->working > 0; i++) relax();
  pthread_mutex_lock(&pool->lock);
  while (pool->working > 0) pthread_cond_wait(&pool->idle, &pool->lock);
  pthread_mutex_unlock(&pool->lock);
}

void lk_pool_run(lk_pool *pool, uint32_t items, void (*task)(void *context, uint32_t thread, uint32_t item),
                 void *context) {
  if (pool == NULL) {
    work_alone(items, task, context);
    return;
  }
  pthread_mutex_lock(&pool->lock);
  pool->task = task;
  pool->context = context;
  pool->items = items;
  atomic_store(&pool->next, 0);
  if (items > 1) {
    pool->open = true;
    pool->call++;
    pthread_cond_broadcast(&pool->work);
  }
  pthread_mutex_unlock(&pool->lock);
  work_through(pool, 0);
  close_call(pool);
}
