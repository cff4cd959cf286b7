/* The command line of the programs here. */
#ifndef BENCH_OPTIONS_H
#define BENCH_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "bench/data.h"

#define OPTIONS_MOST 16 /* in a list */

typedef struct options {
  data_recipe data;
  bool all_kinds; /* --data all, of programs that go through them */
  uint32_t rows, threads, repeat, at_once;
  uint32_t batches[OPTIONS_MOST], batches_count, ks[OPTIONS_MOST], ks_count;
  const char *devices[OPTIONS_MOST]; /* --device, again and again */
  uint32_t devices_count;
  bool views, filter;
  const char *json;
} options;

/* Over what the program sets before, which are lists of one at most. Ends the process where something is wrong. */
void options_parse(options *options, int argc, char **argv);

#endif
