/* Which jobs go together, and when: dynamic batching with two priorities. Pure: it gets the clock as a number.
 *
 * The first job to go is the oldest one of priority hi, but every fourth batch begins with the oldest lo where one
 * waits. Jobs with the same key join it, hi before lo, up to the preferred number of probes. A batch goes when it is
 * full, or when its first job has waited as long as it may. */
#ifndef ENGINE_WORKER_BATCHER_H
#define ENGINE_WORKER_BATCHER_H

#include <stdbool.h>
#include <stdint.h>

typedef enum lk_priority { LK_HI, LK_LO, LK_PRIORITIES } lk_priority;

/* A job as the batcher sees it; part of the caller's own struct. */
typedef struct lk_queued {
  struct lk_queued *next;
  uint64_t key; /* jobs of equal keys may share a batch; 0: it goes alone */
  uint32_t probes;
  uint64_t since_us;
} lk_queued;

typedef struct lk_batcher {
  uint32_t preferred_probes;
  uint64_t max_delay_us;
  struct {
    lk_queued *first, **last;
  } lanes[LK_PRIORITIES];
  uint32_t probes; /* queued */
  uint32_t batches;
} lk_batcher;

void lk_batcher_init(lk_batcher *batcher, uint32_t preferred_probes, uint64_t max_delay_us);
void lk_batcher_push(lk_batcher *batcher, lk_priority priority, lk_queued *job, uint64_t now_us);

/* Takes a batch that is due: a list through `next`. NULL: none is; *wake_us then says when one will be, UINT64_MAX for
 * never. `flush`: whatever is queued is due. */
lk_queued *lk_batcher_take(lk_batcher *batcher, uint64_t now_us, bool flush, uint64_t *wake_us);

#endif
