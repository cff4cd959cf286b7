/* The command line of the benchmarks. */
#ifndef BENCH_OPTIONS_H
#define BENCH_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "bench/data.h"

#define OPTIONS_MOST 16 /* in a list */

typedef struct options {
  data_recipe data;
  bool all_kinds; /* --data all, for a program that measures each kind */
  uint32_t rows, threads, repeat, at_once;
  uint32_t batches[OPTIONS_MOST], batches_count, ks[OPTIONS_MOST], ks_count;
  const char *devices[OPTIONS_MOST]; /* --device, again and again */
  uint32_t devices_count;
  bool views, filter;
  const char *json;
} options;

/* Reads the command line over the defaults that the program has set; a list of devices has one of them at most. Ends
 * the process where an option is wrong. */
void options_parse(options *options, int argc, char **argv);

#endif
