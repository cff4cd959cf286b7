/* A calibration of a model: how often templates of different subjects reach a score. The file is JSON
 * (docs/evaluate.md). Rules with max_fmr take their thresholds from it. */
#ifndef GOVERNANCE_CALIBRATION_H
#define GOVERNANCE_CALIBRATION_H

#include <stdbool.h>
#include <stddef.h>

#include <likeness/status.h>
#include <likeness/types.h>

#define LK_CALIBRATION_VERSION 1
/* The rule of three (ISO/IEC 19795-1): n comparisons cannot establish a rate below 3 / n. */
#define LK_CALIBRATION_LEAST_MATCHES 3

/* The number of scores at or above this one. */
typedef struct lk_calibration_level {
  float score;
  uint64_t count;
} lk_calibration_level;

typedef struct lk_calibration {
  char model[LK_TEXT_MAX + 1];
  lk_metric metric;
  uint32_t dim;
  uint64_t templates, probes;   /* compared with each other */
  uint64_t comparisons;         /* those between different subjects */
  lk_calibration_level *levels; /* by descending score; the first count is 0, the last is `comparisons` */
  uint32_t levels_count;
} lk_calibration;

/* LK_EIO. LK_EFORMAT: the error says what is wrong. `line` (may be NULL) receives the number of the faulty line, from
 * 1; 0 on success or when no line is at fault. */
lk_status lk_calibration_open(const char *path, lk_calibration *calibration, uint32_t *line, lk_error *error);
lk_status lk_calibration_parse(const char *name, const void *data, size_t size, lk_calibration *calibration,
                               uint32_t *line, lk_error *error);
void lk_calibration_close(lk_calibration *calibration);

/* Replaces `path` atomically. LK_EIO. */
lk_status lk_calibration_write(const char *path, const lk_calibration *calibration, lk_error *error);

/* Writes the least listed score whose measured FMR is at most `fmr`. LK_EINVAL: `fmr` is not within 0 .. 1, or below
 * 3 / comparisons. */
lk_status lk_calibration_score(const lk_calibration *calibration, double fmr, float *score, lk_error *error);

/* Whether it was made with templates of this model, scored by this metric. */
bool lk_calibration_fits(const lk_calibration *calibration, lk_text model, lk_metric metric);

/* The same for a policy (lk_policy_calibration): `calibration` is a lk_calibration. False: it is of another model, or
 * the rate cannot be established. */
bool lk_calibration_threshold(const void *calibration, lk_text model, double max_fmr, float *threshold);

/* The measured FMR at the greatest listed score that is at most `score`, which is never below the FMR at `score`
 * itself; 1 if `score` is below all listed ones. */
double lk_calibration_fmr(const lk_calibration *calibration, float score);

#endif
