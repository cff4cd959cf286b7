/* Searches that see part of a gallery, or see it by subject, beside the plain search in the same run. */
#ifndef BENCH_VIEWS_H
#define BENCH_VIEWS_H

#include "bench/gallery.h"

/* Prints a table for batches of `count` probes: every view in turn, again and again; medians. */
void views_measure(const gallery *gallery, lk_device *device, lk_resident_block *const *residents, uint32_t count,
                   uint32_t k);

#endif
