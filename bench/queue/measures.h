/* What bench_queue measures. Each prints its table. */
#ifndef BENCH_QUEUE_MEASURES_H
#define BENCH_QUEUE_MEASURES_H

#include "bench/queue/faces.h"
#include "bench/queue/options.h"

typedef struct queue_measure {
  const char *name, *title;
  void (*run)(const queue_options *options, const faces *faces);
} queue_measure;

extern const queue_measure queue_measures[]; /* ends with a name of NULL */

#endif
