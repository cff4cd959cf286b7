/* The command line of the programs here. */
#ifndef BENCH_OPTIONS_H
#define BENCH_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "bench/data.h"

#define OPTIONS_MOST_BATCHES 16

typedef struct options {
  data_recipe data;
  bool all_kinds; /* --data all, of programs that go through them */
  uint32_t rows, k, threads, batches[OPTIONS_MOST_BATCHES], batches_count;
  const char *device;
  bool views;
} options;

/* Over what the program sets before. Ends the process where something is wrong. */
void options_parse(options *options, int argc, char **argv);

#endif
