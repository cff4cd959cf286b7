/* A device: one backend, or several, each with the blocks that were loaded on it; and one exact search on all of them.
 */
#ifndef KERNELS_SEARCH_DEVICE_H
#define KERNELS_SEARCH_DEVICE_H

#include <likeness/device.h>
#include "kernels/backend.h"
#include "kernels/candidate_lists.h"

#define LK_DEVICE_BACKENDS_MAX 64

/* Makes a device of `count` (1 to LK_DEVICE_BACKENDS_MAX) backends, which it closes; where it fails they stay the
 * caller's. */
lk_status lk_device_make(lk_backend *const *backends, uint32_t count, lk_device **device, lk_error *error);

/* A device lives until it is closed and whoever holds it has released it. Who loads, searches or unloads blocks holds
 * it or has opened it. LK_EINVAL: it is closed. */
lk_status lk_device_hold(lk_device *device, lk_error *error);
void lk_device_release(lk_device *device);

/* Any thread may call these. Whoever waits for a device is served in the order in which they came, so that neither
 * searches nor changes are kept from it. LK_EINVAL: it is closed; then it only unloads.
 *
 * Of several backends the one with the fewest rows loads the block. */
lk_status lk_device_load_block(lk_device *device, lk_shape shape, const lk_block *block, lk_resident_block **resident,
                               lk_error *error);
/* No search may be using the block; others may go on. NULL unloads nothing. */
void lk_device_unload_block(lk_device *device, lk_resident_block *resident);

/* Begins a group of changes to what searches see of blocks: they see all of them or none. Waits for the searches that
 * run. Until lk_device_end_changes none runs on this device, so that the arrays of any block's visibility may be
 * written in place, and the thread may call nothing of the device but lk_device_update_block. After an error nothing
 * has begun. */
lk_status lk_device_begin_changes(lk_device *device, lk_error *error);
/* Within a group: replaces the visibility of rows `first` to `first + count - 1`; the rest of the block stays as it is.
 * The arrays have all rows of the block and must outlive the resident block. They may include one that was NULL before,
 * of which all rows are read, but must include all that were not. LK_ENOMEM: this block has not changed, while what was
 * changed before it in the group stays so. Only a new array can meet it: who wants all or nothing first updates no rows
 * (`count` 0) of each block, with arrays that still say what was so before. */
lk_status lk_device_update_block(lk_device *device, lk_resident_block *resident, const lk_visibility *visibility,
                                 uint32_t first, uint32_t count, lk_error *error);
void lk_device_end_changes(lk_device *device);

/* Fills `lists` with one list a probe, and adds to `stats` where it is not NULL. Any thread may call it; as many
 * searches run at a time as lk_device_searches says, and the others wait. LK_EINVAL: the device is closed.
 * LK_ECANCELLED, by the batch's control, leaves no lists, and the device as after any other search.
 * The result is the same bits on every device, with every number of threads and however probes are batched. */
lk_status lk_search(lk_device *device, const lk_batch *batch, lk_candidate_lists *lists, lk_search_stats *stats,
                    lk_error *error);

#endif
