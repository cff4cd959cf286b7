/* How many of a stream of scores lie at or above each of many levels. A level is a float whose last 12 bits are zero in
 * the order of floats: 2048 of them between a score and its double. Counts are exact. */
#ifndef INDEX_EVALUATION_TALLY_H
#define INDEX_EVALUATION_TALLY_H

#include <stdint.h>

#include <likeness/status.h>

#include "governance/calibration.h"

typedef struct lk_tally {
  uint64_t *bins;
  uint64_t total;
} lk_tally;

lk_status lk_tally_open(lk_tally *tally, lk_error *error);
void lk_tally_close(lk_tally *tally);
void lk_tally_add(lk_tally *tally, float score);
/* Adds what another one has counted. */
void lk_tally_merge(lk_tally *tally, const lk_tally *other);

/* Levels by falling score: the first, at a count of 0; every next one whose count is more than 1/64 above that of the
 * one before; and the last, at the total. The caller frees them. */
lk_status lk_tally_levels(const lk_tally *tally, lk_calibration_level **levels, uint32_t *count, lk_error *error);

#endif
