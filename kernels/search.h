/* One exact search on any backend: passes of probes, rounds of tiles. */
#ifndef KERNELS_SEARCH_H
#define KERNELS_SEARCH_H

#include "kernels/lists.h"
#include "kernels/scan.h"

typedef struct lk_device lk_device;

/* Opens a device: "auto", "cpu" (the best instruction set this processor has), "cpu:avx512vnni", "cpu:avx2",
 * "cpu:portable".
 * `threads` 0: as many as this process may run on. */
lk_status lk_device_open(const char *name, uint32_t threads, lk_device **device, lk_error *error);
void lk_device_close(lk_device *device);
const char *lk_device_name(const lk_device *device);

lk_status lk_device_hold(lk_device *device, lk_shape shape, const lk_block *block, lk_hold **hold, lk_error *error);
void lk_device_release(lk_device *device, lk_hold *hold);

/* Fills `lists` with a list a probe, and `stats` where it is not NULL. Any thread; one search runs at a time. The
 * result is the same bits on every device, with every number of threads and however probes are batched. */
lk_status lk_search(lk_device *device, const lk_batch *batch, lk_lists *lists, lk_search_stats *stats, lk_error *error);

#endif
