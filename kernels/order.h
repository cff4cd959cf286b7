/* The one total order of candidates: score descending, then template number ascending. Rescore, every merge and the
 * tests use it and no other. */
#ifndef KERNELS_ORDER_H
#define KERNELS_ORDER_H

#include <stdbool.h>
#include <stdint.h>

#include "kernels/portable.h"

typedef struct lk_hit {
  uint64_t number; /* template number, unique in its gallery */
  float score;
  uint32_t row;     /* counted from 0 through all searched blocks */
  uint32_t subject; /* the row's subject, where the search is by subject */
} lk_hit;

LK_INLINE bool lk_hit_before(const lk_hit *a, const lk_hit *b) {
  return a->score > b->score || (a->score == b->score && a->number < b->number);
}

#endif
