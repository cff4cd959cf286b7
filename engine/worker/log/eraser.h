/* Erases, in a thread of its own, what was deleted of a gallery: rewriting its segments takes long, and changes and
 * searches go on meanwhile. */
#ifndef ENGINE_WORKER_LOG_ERASER_H
#define ENGINE_WORKER_LOG_ERASER_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

#include "index/live/log.h"

typedef struct lk_eraser {
  lk_owner *owner;
  const char *gallery; /* its name */
  FILE *log;
  pthread_t thread;
  bool runs;
  atomic_bool over;
  uint64_t retry_us; /* not before that, after one that failed */
} lk_eraser;

/* Begins, where an entry asks for it (lk_owner_log_erases), none runs, and all entries up to it are acknowledged. What
 * failed is tried again. */
void lk_eraser_turn(lk_eraser *eraser, uint64_t acknowledged);
/* Waits for one that runs. */
void lk_eraser_end(lk_eraser *eraser);

#endif
