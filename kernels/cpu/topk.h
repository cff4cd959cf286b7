/* The best k hits so far, as a binary heap with the worst of them at its root. */
#ifndef KERNELS_CPU_TOPK_H
#define KERNELS_CPU_TOPK_H

#include "kernels/order.h"

static inline void lk_topk_sink(lk_hit *heap, uint32_t count, uint32_t at, lk_hit hit) {
  for (uint32_t child; (child = 2 * at + 1) < count; at = child) {
    if (child + 1 < count && lk_hit_before(&heap[child], &heap[child + 1])) child++;
    if (!lk_hit_before(&hit, &heap[child])) break;
    heap[at] = heap[child];
  }
  heap[at] = hit;
}

static inline void lk_topk_rise(lk_hit *heap, uint32_t at, lk_hit hit) {
  for (; at > 0 && lk_hit_before(&heap[(at - 1) / 2], &hit); at = (at - 1) / 2) heap[at] = heap[(at - 1) / 2];
  heap[at] = hit;
}

static inline void lk_topk_push(lk_hit *heap, uint32_t *count, uint32_t k, lk_hit hit) {
  if (*count < k)
    lk_topk_rise(heap, (*count)++, hit);
  else if (lk_hit_before(&hit, &heap[0]))
    lk_topk_sink(heap, k, 0, hit);
}

/* The same with at most one hit a subject. To search the heap for the subject is linear in k, but a table beside the
 * heap would have to follow every move in it. Most hits come after all of a full heap, and so after their subject's own
 * hit: these are dropped at once. */
static inline void lk_topk_push_subject(lk_hit *heap, uint32_t *count, uint32_t k, lk_hit hit) {
  if (*count == k && !lk_hit_before(&hit, &heap[0])) return;
  for (uint32_t i = 0; i < *count; i++)
    if (heap[i].subject == hit.subject) {
      /* A better hit belongs further from the root, where the worst one is. */
      if (lk_hit_before(&hit, &heap[i])) lk_topk_sink(heap, *count, i, hit);
      return;
    }
  lk_topk_push(heap, count, k, hit);
}

/* Puts the worst `some` hits in order behind the others, which stay a heap. */
static inline void lk_topk_sort_worst(lk_hit *heap, uint32_t count, uint32_t some) {
  for (; some > 0; some--) {
    lk_hit worst = heap[0], last = heap[--count];
    lk_topk_sink(heap, count, 0, last);
    heap[count] = worst;
  }
}

/* Turns the heap into a list in order, best first. */
static inline void lk_topk_sort(lk_hit *heap, uint32_t count) {
  if (count > 1) lk_topk_sort_worst(heap, count, count - 1);
}

#endif
