/* A calibration of a model: how often templates of different subjects reach a score. JSON (docs/evaluate.md). Policies
 * take their thresholds from it. */
#ifndef GOVERNANCE_CALIBRATION_H
#define GOVERNANCE_CALIBRATION_H

#include <stddef.h>

#include <likeness/status.h>
#include <likeness/types.h>

#define LK_CALIBRATION_VERSION 1
/* The rule of three (ISO/IEC 19795-1): from n comparisons no rate below 3 / n can be established. */
#define LK_CALIBRATION_LEAST_MATCHES 3

/* How many scores are at or above this one. */
typedef struct lk_calibration_level {
  float score;
  uint64_t count;
} lk_calibration_level;

typedef struct lk_calibration {
  char model[LK_TEXT_MAX + 1];
  lk_metric metric;
  uint32_t dim;
  uint64_t templates, probes;   /* that were compared */
  uint64_t comparisons;         /* of them, between different subjects */
  lk_calibration_level *levels; /* by falling score; the first count is 0, the last is `comparisons` */
  uint32_t levels_count;
} lk_calibration;

/* LK_EIO. LK_EFORMAT says what is wrong with the file; `line` (may be NULL) receives the line, from 1; 0: not at a
 * line.
 */
lk_status lk_calibration_open(const char *path, lk_calibration *calibration, uint32_t *line, lk_error *error);
lk_status lk_calibration_parse(const char *name, const void *data, size_t size, lk_calibration *calibration,
                               uint32_t *line, lk_error *error);
void lk_calibration_close(lk_calibration *calibration);

/* Replaces `path` in one step. LK_EIO. */
lk_status lk_calibration_write(const char *path, const lk_calibration *calibration, lk_error *error);

/* The least listed score whose measured FMR is `fmr` or less. LK_EINVAL: `fmr` is not within 0 .. 1, or below
 * 3 / comparisons. */
lk_status lk_calibration_score(const lk_calibration *calibration, double fmr, float *score, lk_error *error);

/* The measured FMR at the greatest listed score that is not above `score`, so never less than at `score` itself; 1
 * below all of them. */
double lk_calibration_fmr(const lk_calibration *calibration, float score);

#endif
