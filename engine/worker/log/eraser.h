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
  uint64_t wanted; /* the last entry that asks for it; 0: none */
} lk_eraser;

/* An entry of this number asks for it. */
void lk_eraser_want(lk_eraser *eraser, uint64_t seq);
/* Begins, where one is wanted, none runs, and all entries up to it are acknowledged. */
void lk_eraser_turn(lk_eraser *eraser, uint64_t acknowledged);
/* Waits for one that runs. */
void lk_eraser_end(lk_eraser *eraser);

#endif
