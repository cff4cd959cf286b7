#include "index/evaluation/tally.h"

#include <stdlib.h>
#include <string.h>

#include "base/fail.h"

enum { SHIFT = 12, BINS = 1 << (32 - SHIFT) };
static const uint32_t SIGN = UINT32_C(1) << 31;

/* Maps floats to whole numbers in the same order (Herf 2001): all bits of a negative float are inverted, of others the
 * sign. */
static uint32_t bin_of(float score) {
  uint32_t bits;
  score += 0.0F; /* -0 is 0 */
  memcpy(&bits, &score, sizeof bits);
  return (bits & SIGN ? ~bits : bits | SIGN) >> SHIFT;
}

/* The least float of the bin. */
static float level_of(uint32_t bin) {
  uint32_t bits = bin << SHIFT;
  bits = bits & SIGN ? bits & ~SIGN : ~bits;
  float score;
  memcpy(&score, &bits, sizeof score);
  return score + 0.0F;
}

lk_status lk_tally_open(lk_tally *tally, lk_error *error) {
  *tally = (lk_tally){.bins = calloc(BINS, sizeof *tally->bins)};
  return tally->bins != NULL ? LK_OK : lk_fail_memory(error);
}

void lk_tally_close(lk_tally *tally) {
  free(tally->bins);
  *tally = (lk_tally){0};
}

void lk_tally_add(lk_tally *tally, float score) {
  tally->bins[bin_of(score)]++;
  tally->total++;
}

void lk_tally_merge(lk_tally *tally, const lk_tally *other) {
  for (uint32_t bin = 0; bin < BINS; bin++) tally->bins[bin] += other->bins[bin];
  tally->total += other->total;
}

/* Writes the levels if `levels` is not NULL, and returns their number. */
static uint32_t list_levels(const lk_tally *tally, lk_calibration_level *levels) {
  uint32_t listed = 0;
  uint64_t count = 0, last = 0;
  for (uint32_t bin = BINS; bin-- > 0 && count < tally->total;) {
    if (tally->bins[bin] == 0) continue;
    if (listed == 0 && levels != NULL) levels[0] = (lk_calibration_level){.score = level_of(bin + 1)};
    if (listed == 0) listed = 1;
    count += tally->bins[bin];
    if (count - last <= last / 64 && count < tally->total) continue;
    if (levels != NULL) levels[listed] = (lk_calibration_level){.score = level_of(bin), .count = count};
    listed++;
    last = count;
  }
  return listed;
}

lk_status lk_tally_levels(const lk_tally *tally, lk_calibration_level **levels, uint32_t *count, lk_error *error) {
  *count = list_levels(tally, NULL);
  *levels = malloc((*count + (size_t)1) * sizeof **levels);
  if (*levels == NULL) return lk_fail_memory(error);
  list_levels(tally, *levels);
  return LK_OK;
}
