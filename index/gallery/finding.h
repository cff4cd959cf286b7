#ifndef INDEX_GALLERY_FINDING_H
#define INDEX_GALLERY_FINDING_H

#include <stdbool.h>
#include <stdint.h>

#include <likeness/types.h>

/* All that a check tells of what it has found: the best candidate of one of its probes, or that there is none. */
typedef struct lk_finding {
  uint64_t epoch, searched, total; /* as in lk_release */
  bool found;
  uint32_t probe;
  uint64_t number; /* the candidate's */
  char key[LK_TEXT_MAX + 1], subject[LK_TEXT_MAX + 1];
  float score; /* NaN: it is not released */
} lk_finding;

#endif
