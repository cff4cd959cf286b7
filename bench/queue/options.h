/* The command line of bench_queue. */
#ifndef BENCH_QUEUE_OPTIONS_H
#define BENCH_QUEUE_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "bench/queue/submission.h"

typedef struct queue_options {
  uint32_t rows, dim, k;
  uint32_t small_rows, large_rows; /* of the galleries where a job's search is the smaller part, and the greater */
  uint32_t workers, threads;       /* the most workers at once; search threads of each */
  uint32_t batch;                  /* a worker's preferred probes; 0: the program's own */
  uint32_t job_probes, window;
  uint32_t rate; /* jobs a second in open loop; 0: half of what was found to be sustained */
  uint32_t seed, seconds;
  bool poisson, aof;
  submission_way way;
  const char *measures; /* names with commas between; NULL: all */
} queue_options;

/* Reads the command line over the defaults. Ends the process where an option is wrong. */
void queue_options_parse(queue_options *options, int argc, char **argv);

/* Whether this measure is asked for. */
bool queue_options_has(const queue_options *options, const char *measure);

#endif
