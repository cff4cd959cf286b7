/* A pool of threads that work through the items of one call together with the caller. Every thread runs the items in
 * the default floating-point environment, even where another library has changed the caller's. */
#ifndef BASE_POOL_H
#define BASE_POOL_H

#include <stdint.h>

#include <likeness/status.h>

typedef struct lk_pool lk_pool;

/* `threads` counts the caller; 0: as many as this process may run on. LK_ENOMEM: also where a thread cannot be started.
 * LK_EINVAL: more than LK_THREADS_MAX. */
lk_status lk_pool_open(uint32_t threads, lk_pool **pool, lk_error *error);
void lk_pool_close(lk_pool *pool);
uint32_t lk_pool_threads(const lk_pool *pool); /* 1 of NULL */

/* Calls task(context, thread, item) once for each item, in any order, thread in 0 .. lk_pool_threads - 1; returns when
 * all are done. One call at a time. Allocates nothing. NULL is a pool of the caller alone, for any number of calls at a
 * time. */
void lk_pool_run(lk_pool *pool, uint32_t items, void (*task)(void *context, uint32_t thread, uint32_t item),
                 void *context);

#endif
