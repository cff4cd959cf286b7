/* Dynamic batching with two priorities: it decides which jobs go together, and when. Pure: the clock is a number.
 *
 * A batch begins with the oldest job of priority hi; every fourth one begins with the oldest lo, if one waits. Jobs
 * with an equal key join it, hi before lo, up to the preferred number of probes. A batch is due when it is full, or
 * when its first job has waited for the maximum delay. A job that a worker died of begins only when all batches that
 * began before are answered, and no batch begins before it is: so only one can be to blame for the next death. */
#ifndef ENGINE_WORKER_BATCHER_H
#define ENGINE_WORKER_BATCHER_H

#include <stdbool.h>
#include <stdint.h>

#include <likeness/types.h>
#include "engine/queue/keys.h"

/* What the jobs of one batch have in common: a gallery, and what its templates are searched for. */
typedef struct lk_batch_key {
  uint32_t gallery; /* its number */
  uint32_t k;
  lk_fusion fusion;
  bool by_subject;
  uint64_t tags, mask;
} lk_batch_key;

/* A job as the batcher sees it. It is a member of the caller's struct. */
typedef struct lk_queued {
  struct lk_queued *next;
  bool alone;     /* it is a batch of its own, at once */
  bool suspected; /* a worker died of it, maybe; then it is `alone` too */
  lk_batch_key key;
  uint32_t probes;
  uint64_t since_us;
} lk_queued;

typedef struct lk_batcher {
  uint32_t preferred_probes;
  uint64_t max_delay_us;
  struct {
    lk_queued *first, **last;
    uint32_t probes; /* queued */
  } queues[LK_PRIORITIES];
  uint32_t probes; /* queued in all */
  uint32_t batches;
  uint32_t begun; /* batches that have not ended */
  bool guarded;   /* the one that has begun is suspected */
} lk_batcher;

void lk_batcher_init(lk_batcher *batcher, uint32_t preferred_probes, uint64_t max_delay_us);
void lk_batcher_push(lk_batcher *batcher, lk_priority priority, lk_queued *job, uint64_t now_us);

/* Takes a batch that is due, as a list linked by `next`. NULL: none is due; *wake_us then says when one will be
 * (UINT64_MAX: never). `flush`: every queued job is due. */
lk_queued *lk_batcher_take(lk_batcher *batcher, uint64_t now_us, bool flush, uint64_t *wake_us);

/* The same for a batch that is to be searched. Call lk_batcher_end when it is answered. */
lk_queued *lk_batcher_begin(lk_batcher *batcher, uint64_t now_us, uint64_t *wake_us);
void lk_batcher_end(lk_batcher *batcher);

#endif
