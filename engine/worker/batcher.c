#include "engine/worker/batcher.h"

#include <stddef.h>

enum { LO_EVERY = 4 };

void lk_batcher_init(lk_batcher *batcher, uint32_t preferred_probes, uint64_t max_delay_us) {
  *batcher = (lk_batcher){.preferred_probes = preferred_probes, .max_delay_us = max_delay_us};
  for (int priority = 0; priority < LK_PRIORITIES; priority++)
    batcher->queues[priority].last = &batcher->queues[priority].first;
}

void lk_batcher_push(lk_batcher *batcher, lk_priority priority, lk_queued *job, uint64_t now_us) {
  job->next = NULL;
  job->since_us = now_us;
  *batcher->queues[priority].last = job;
  batcher->queues[priority].last = &job->next;
  batcher->queues[priority].probes += job->probes;
  batcher->probes += job->probes;
}

static lk_priority first_priority(const lk_batcher *batcher) {
  if (batcher->queues[LK_HI].first == NULL) return LK_LO;
  bool turn_of_lo = batcher->batches % LO_EVERY == LO_EVERY - 1;
  return turn_of_lo && batcher->queues[LK_LO].first != NULL ? LK_LO : LK_HI;
}

/* Whether two jobs may share a batch. */
static bool fit(const lk_queued *job, const lk_queued *other) {
  const lk_batch_key *a = &job->key, *b = &other->key;
  return !job->alone && !other->alone && a->gallery == b->gallery && a->k == b->k && a->fusion == b->fusion &&
         a->by_subject == b->by_subject && a->tags == b->tags && a->mask == b->mask;
}

static bool joins(const lk_queued *head, const lk_queued *job, uint32_t probes, uint32_t most) {
  return job == head || (fit(job, head) && probes + job->probes <= most);
}

/* Whether the batch of `head` is full: it has the preferred number of probes, or a waiting job does not fit in. */
static bool is_full(const lk_batcher *batcher, const lk_queued *head) {
  uint32_t probes = head->probes;
  for (int priority = 0; priority < LK_PRIORITIES; priority++)
    for (const lk_queued *job = batcher->queues[priority].first; job != NULL; job = job->next) {
      if (job == head || !fit(job, head)) continue;
      if (!joins(head, job, probes, batcher->preferred_probes)) return true;
      probes += job->probes;
    }
  return probes >= batcher->preferred_probes;
}

static void unlink_joining(lk_batcher *batcher, int priority, const lk_queued *head, uint32_t *probes,
                           lk_queued ***tail) {
  lk_queued **at = &batcher->queues[priority].first;
  while (*at != NULL) {
    lk_queued *job = *at;
    if (job == head || !joins(head, job, *probes, batcher->preferred_probes)) {
      at = &job->next;
      continue;
    }
    *at = job->next;
    batcher->queues[priority].probes -= job->probes;
    *probes += job->probes;
    **tail = job;
    *tail = &job->next;
  }
  batcher->queues[priority].last = at;
}

static lk_queued *unlink_batch(lk_batcher *batcher, lk_priority priority, lk_queued *head) {
  batcher->queues[priority].first = head->next;
  batcher->queues[priority].probes -= head->probes;
  if (head->next == NULL) batcher->queues[priority].last = &batcher->queues[priority].first;
  uint32_t probes = head->probes;
  lk_queued **tail = &head->next;
  for (int p = 0; p < LK_PRIORITIES; p++) unlink_joining(batcher, p, head, &probes, &tail);
  *tail = NULL;
  batcher->probes -= probes;
  batcher->batches++;
  return head;
}

lk_queued *lk_batcher_take(lk_batcher *batcher, uint64_t now_us, bool flush, uint64_t *wake_us) {
  *wake_us = UINT64_MAX;
  lk_priority priority = first_priority(batcher);
  lk_queued *head = batcher->queues[priority].first;
  if (head == NULL) return NULL;
  uint64_t due_us = head->since_us + batcher->max_delay_us;
  if (!flush && now_us < due_us && !head->alone && !is_full(batcher, head)) {
    *wake_us = due_us;
    return NULL;
  }
  return unlink_batch(batcher, priority, head);
}

lk_queued *lk_batcher_begin(lk_batcher *batcher, uint64_t now_us, uint64_t *wake_us) {
  const lk_queued *head = batcher->queues[first_priority(batcher)].first;
  *wake_us = UINT64_MAX;
  if (head == NULL || batcher->guarded || (head->suspected && batcher->begun > 0)) return NULL;
  lk_queued *batch = lk_batcher_take(batcher, now_us, false, wake_us);
  if (batch == NULL) return NULL;
  batcher->begun++;
  batcher->guarded = batch->suspected;
  return batch;
}

void lk_batcher_end(lk_batcher *batcher) {
  batcher->begun--;
  batcher->guarded = false;
}
