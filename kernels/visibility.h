/* The one rule that says which rows a search sees. */
#ifndef KERNELS_VISIBILITY_H
#define KERNELS_VISIBILITY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kernels/portable.h"

/* What decides whether a search sees a row: arrays with one element a row. An array is NULL where it would say nothing.
 */
typedef struct lk_visibility {
  const uint64_t *born;       /* the epoch in which the row was enrolled; NULL: before the first */
  const uint64_t *died;       /* the epoch in which it was deleted; UINT64_MAX: it was not */
  const uint64_t *expires_ms; /* the time at which it expires (Unix, milliseconds); UINT64_MAX: never */
  const uint64_t *tags;       /* NULL: no row has a tag */
} lk_visibility;

/* Which rows a search may see. */
typedef struct lk_filter {
  uint64_t epoch; /* fixed when the search starts, as is now_ms */
  uint64_t now_ms;
  uint64_t tags, mask;            /* those of the row's tags that are in `mask` must be as in `tags` */
  const uint64_t *const *allowed; /* a bitmap for each block, row r in bit r % 64 of word r / 64; NULL: all rows */
} lk_filter;

LK_INLINE bool lk_visible(const lk_visibility *rows, const lk_filter *filter, const uint64_t *allowed, uint32_t row) {
  uint64_t tags = rows->tags != NULL ? rows->tags[row] : 0;
  return (rows->born == NULL || rows->born[row] <= filter->epoch) &&
         (rows->died == NULL || filter->epoch < rows->died[row]) &&
         (rows->expires_ms == NULL || filter->now_ms < rows->expires_ms[row]) &&
         (tags & filter->mask) == (filter->tags & filter->mask) &&
         (allowed == NULL || (allowed[row / 64] >> row % 64 & 1) != 0);
}

/* Applies the rule to `count` (1 to 64) rows from `first` on, a multiple of 64: row first + i in bit i. It goes through
 * one array after the other and has no branches: where few rows pass a filter, this is most of the search's cost. */
LK_INLINE uint64_t lk_visible_word(const lk_visibility *rows, const lk_filter *filter, const uint64_t *allowed,
                                   uint32_t first, uint32_t count) {
  uint64_t word = ~UINT64_C(0) >> (64 - count);
  if (allowed != NULL) word &= allowed[first / 64];
  if (rows->tags == NULL && (filter->tags & filter->mask) != 0) word = 0;
  if (word == 0) return 0;
  uint64_t unborn = 0, dead = 0, expired = 0, other = 0;
  for (uint32_t i = 0; rows->born != NULL && i < count; i++)
    unborn |= (uint64_t)(rows->born[first + i] > filter->epoch) << i;
  for (uint32_t i = 0; rows->died != NULL && i < count; i++)
    dead |= (uint64_t)(rows->died[first + i] <= filter->epoch) << i;
  for (uint32_t i = 0; rows->expires_ms != NULL && i < count; i++)
    expired |= (uint64_t)(rows->expires_ms[first + i] <= filter->now_ms) << i;
  for (uint32_t i = 0; rows->tags != NULL && filter->mask != 0 && i < count; i++)
    other |= (uint64_t)(((rows->tags[first + i] ^ filter->tags) & filter->mask) != 0) << i;
  return word & ~(unborn | dead | expired | other);
}

/* Whether the rule lets every row through, so that no row has to be looked at. */
LK_INLINE bool lk_all_visible(const lk_visibility *rows, const lk_filter *filter, const uint64_t *allowed) {
  return rows->born == NULL && rows->died == NULL && rows->expires_ms == NULL && allowed == NULL && filter->mask == 0;
}

#endif
