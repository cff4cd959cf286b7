/* Compares a gallery with its log before a worker serves it: another worker may have owned the log meanwhile, and have
 * logged other changes than this gallery's last ones, which nobody was told of for good. */
#ifndef ENGINE_WORKER_LOG_COMPARISON_H
#define ENGINE_WORKER_LOG_COMPARISON_H

#include "engine/queue/address.h"
#include "index/live/log.h"

/* *parted: the gallery's last entry is not of the log; then *common is the last one that both have, or all zeros: all
 * of the gallery's entries must go. LK_EINVAL: they part, and have no entry in common. LK_EIO: Redis cannot be reached,
 * or asked. */
lk_status lk_log_compare(const lk_address *address, lk_owner *owner, bool *parted, lk_log_mark *common,
                         lk_error *error);

#endif
