/* Appends to a log what Redis has lost of it: entries that this worker has applied, and whose clients may know it. */
#ifndef ENGINE_WORKER_LOG_REWINDER_H
#define ENGINE_WORKER_LOG_REWINDER_H

#include "engine/queue/keys.h"
#include "engine/queue/redis.h"
#include "engine/worker/log/ownership.h"
#include "index/live/log.h"

typedef enum lk_rewound {
  LK_REWOUND_APPENDED, /* the log has what this worker has */
  LK_REWOUND_FOLDED,   /* the journal does not have all of it any more: a log can only begin anew */
  LK_REWOUND_DIVERGED  /* the log ends with an entry that this worker does not have */
} lk_rewound;

/* Appends what follows the entry at which the log ends, as the claimant was told in `rewound`, and keeps its lease
 * meanwhile. *appended: how many entries that were. LK_EIO: the connection broke, or the journal cannot be read.
 * LK_EBUSY: Redis refuses it, in `error`. Else as lk_owner_log_visit. */
lk_status lk_rewinder_append(lk_owner *owner, lk_redis *redis, const lk_keys *keys, const lk_claimant *claimant,
                             const lk_ownership *rewound, lk_rewound *how, uint64_t *appended, lk_error *error);

#endif
