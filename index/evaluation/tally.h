/* Counts how many scores of a stream are at or above each of many levels. A level is a float whose last 12 bits are
 * zero in the order of floats: there are 2048 levels between a score and its double. Counts are exact. */
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
/* Adds the counts of another tally. */
void lk_tally_merge(lk_tally *tally, const lk_tally *other);

/* Levels by falling score: the first has the count 0; each next one has a count more than 1/64 above the one before;
 * the last has the total. The caller frees them. */
lk_status lk_tally_levels(const lk_tally *tally, lk_calibration_level **levels, uint32_t *count, lk_error *error);

#endif
