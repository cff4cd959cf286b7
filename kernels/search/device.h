/* A device: one backend, or several that share what it holds; and one exact search on it. */
#ifndef KERNELS_SEARCH_DEVICE_H
#define KERNELS_SEARCH_DEVICE_H

#include <likeness/device.h>
#include "kernels/backend.h"
#include "kernels/candidate_lists.h"

#define LK_DEVICE_BACKENDS_MAX 64

/* A device of `count` (1 to LK_DEVICE_BACKENDS_MAX) backends, which it closes; where it fails they stay the caller's.
 */
lk_status lk_device_make(lk_backend *const *backends, uint32_t count, lk_device **device, lk_error *error);

/* With several backends a block goes to the one that holds the fewest rows. */
lk_status lk_device_load_block(lk_device *device, lk_shape shape, const lk_block *block, lk_resident_block **hold,
                               lk_error *error);
/* In place, without the rest of the block: rows `first` to `first + count - 1` carry other values from here on. The
 * arrays have all rows of the block and must outlive the hold; one may be there that was not before, but none less.
 * Waits for the searches that run; those that begin later see it. LK_ENOMEM: nothing has changed. */
lk_status lk_device_update_block(lk_device *device, lk_resident_block *hold, const lk_visibility *visibility,
                                 uint32_t first, uint32_t count, lk_error *error);
/* No search has it. NULL is no hold. */
void lk_device_unload_block(lk_device *device, lk_resident_block *hold);

/* Fills `lists` with a list a probe, and adds to `stats` where it is not NULL. Any thread; as many searches as
 * lk_device_searches says run at a time, the others wait.
 * The result is the same bits on every device, with every number of threads and however probes are batched. */
lk_status lk_search(lk_device *device, const lk_batch *batch, lk_candidate_lists *lists, lk_search_stats *stats,
                    lk_error *error);

#endif
