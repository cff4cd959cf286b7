/* Prints what the searches of a command did, as a line of JSON. */
#ifndef ENGINE_CLI_STATS_H
#define ENGINE_CLI_STATS_H

#include <stdio.h>

#include <likeness/likeness.h>

/* `device`: the device's name. */
void lk_stats_render(FILE *out, const char *device, uint64_t probes, const lk_search_stats *stats);

#endif
