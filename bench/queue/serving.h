/* A Redis of its own and workers that serve a gallery, as programs; and the CPU time that each has taken. Whatever goes
 * wrong ends the process, and they end with it. */
#ifndef BENCH_QUEUE_SERVING_H
#define BENCH_QUEUE_SERVING_H

#include <stdbool.h>
#include <sys/types.h>

#include "bench/queue/faces.h"
#include "engine/queue/redis.h"

enum { SERVING_WORKERS_MOST = 32 };

typedef struct serving_options {
  uint32_t workers, threads; /* a worker */
  uint32_t batch;            /* probes; 0: the program's own */
  bool aof;
} serving_options;

typedef struct serving {
  const faces *faces;
  serving_options options;
  char folder[64], socket[72]; /* the folder is this Redis' own: what one has logged, another must not load */
  pid_t redis, workers[SERVING_WORKERS_MOST];
  lk_redis *link;
} serving;

/* Returns when all workers serve. */
void serving_open(serving *serving, const faces *faces, const serving_options *options);
/* Stops the workers and kills Redis. Writes how many jobs each worker answered, if `jobs` is not NULL. */
void serving_close(serving *serving, uint64_t jobs[SERVING_WORKERS_MOST]);

/* The integer that Redis answers, to `count` words. */
int64_t serving_ask(serving *serving, size_t count, const char *const *words);

/* CPU time of a process and all its threads, us. */
double serving_cpu_us(pid_t pid);

#endif
