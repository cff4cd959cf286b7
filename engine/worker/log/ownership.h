/* Asks Redis for the log of a gallery: one worker at a time owns it, and acknowledges what it has applied. */
#ifndef ENGINE_WORKER_LOG_OWNERSHIP_H
#define ENGINE_WORKER_LOG_OWNERSHIP_H

#include "engine/queue/keys.h"
#include "engine/queue/redis.h"
#include "index/journal/log_mark.h"

/* What a worker is to a log (engine/queue/functions.h). */
typedef enum lk_standing {
  LK_STANDING_UNKNOWN,
  LK_STANDING_OWNER,
  LK_STANDING_BEHIND,
  LK_STANDING_REWOUND,
  LK_STANDING_DIVERGED,
  LK_STANDING_OWNED
} lk_standing;

typedef struct lk_ownership {
  lk_standing standing;
  uint64_t term;                     /* as the owner */
  uint64_t seq;                      /* where the log ends */
  char hash[LK_LOG_HASH_DIGITS + 1]; /* there; of a log that was rewound or has diverged */
  uint64_t acked;                    /* as the owner: up to which entry all is acknowledged */
  char owner[160];                   /* another worker */
} lk_ownership;

/* Who asks. `mark` and `number` (of the next template): what it has applied durably. */
typedef struct lk_claimant {
  const char *nonce, *worker;
  const lk_log_mark *mark;
  uint64_t number;
  uint32_t lease_ms;
  const char *wish; /* NULL; "rebase": a log that was rewound, and to which nothing can be appended, begins anew after
                       `mark`; "leave": it wants the log no more */
} lk_claimant;

/* LK_EIO: the connection broke, or Redis said something else. */
lk_status lk_ownership_ask(lk_redis *redis, const lk_keys *keys, const lk_claimant *claimant, lk_ownership *ownership,
                           lk_error *error);

/* Acknowledges what is left up to `seq` without replies, as the owner. The standing becomes unknown where another
 * worker owns the log now. LK_EIO. */
lk_status lk_ownership_acknowledge(lk_redis *redis, const lk_keys *keys, const char *nonce, uint64_t seq,
                                   lk_ownership *ownership, lk_error *error);

#endif
