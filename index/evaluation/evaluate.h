/* Error rates of identification, from what each search of labelled probes gave. Pure: no files, no gallery, no
 * printing. Definitions and their sources: docs/evaluate.md. */
#ifndef INDEX_EVALUATION_EVALUATE_H
#define INDEX_EVALUATION_EVALUATE_H

#include <likeness/status.h>
#include <likeness/types.h>

#define LK_GROUPS_MAX 256
#define LK_GROUP_NONE UINT32_MAX      /* of a probe without one */
#define LK_GROUP_ALL (UINT32_MAX - 1) /* to ask for the rates of all searches */

/* One search: of a mated probe, the best template of whose subject is the mate; or of a non-mated one. */
typedef struct lk_trial {
  bool mated;
  uint32_t group;     /* or LK_GROUP_NONE */
  uint32_t mate_rank; /* from 1; 0 where the list has no mate */
  float mate_score;   /* where it has one */
  float top_score;    /* the first candidate's; -INFINITY where there is none */
} lk_trial;

typedef struct lk_trials {
  lk_trial *all;
  uint32_t count;
  lk_text *groups; /* their names, in the order of their bytes; LK_GROUPS_MAX at most */
  uint32_t groups_count;
} lk_trials;

/* `count` of `of`. */
typedef struct lk_rate {
  uint64_t count, of;
} lk_rate;

/* NaN where `of` is 0. */
double lk_rate_value(lk_rate rate);

typedef struct lk_interval {
  double low, high;
} lk_interval;

/* Wilson's 95 % interval; 0 .. 1 where `of` is 0. */
lk_interval lk_rate_interval(lk_rate rate);

/* Searches of a group, mated or not. */
uint64_t lk_trials_mated(const lk_trials *trials, uint32_t group);
uint64_t lk_trials_non_mated(const lk_trials *trials, uint32_t group);

/* Non-mated searches with a candidate at or above the threshold. */
lk_rate lk_trials_fpir(const lk_trials *trials, uint32_t group, float threshold);

/* Mated searches that do not return the mate within `rank` at or above the threshold. */
lk_rate lk_trials_fnir(const lk_trials *trials, uint32_t group, float threshold, uint32_t rank);

/* Mated searches that return the mate within `rank`, whatever its score. */
lk_rate lk_trials_identified(const lk_trials *trials, uint32_t group, uint32_t rank);

/* The least score of a non-mated search's first candidate at which FPIR, over all groups, is `fpir` or less. Where each
 * of them gives more, the float above the greatest. Searches with equal scores pass together or fail together.
 * LK_EINVAL where there is no non-mated search. */
lk_status lk_trials_threshold(const lk_trials *trials, double fpir, float *threshold, lk_error *error);

typedef struct lk_det_point {
  float threshold;
  lk_rate fpir, fnir;
} lk_det_point;

typedef struct lk_det {
  lk_det_point *points; /* by falling threshold: FPIR never falls, FNIR never rises */
  uint32_t count;
} lk_det;

/* FNIR against FPIR at every score at which one of them changes. */
lk_status lk_det_open(const lk_trials *trials, uint32_t group, uint32_t rank, lk_det *det, lk_error *error);
/* Keeps the first point, the last, and those at which a count is 5 % beyond what it was at the one kept before. */
void lk_det_thin(lk_det *det);
void lk_det_close(lk_det *det);

/* How a rate differs between groups. Groups without such searches (`of` is 0) are left out; NaN is what is undefined.
 */
typedef struct lk_spread {
  uint32_t groups;    /* that count */
  uint32_t zeros;     /* of them, how many have a rate of zero */
  double max_min;     /* the two ratios are undefined where there are zeros, or fewer than 2 groups */
  double max_geomean; /* the largest over the geometric mean */
  double gini;        /* 0: all equal; 1: one group has all; undefined where all are zero, or fewer than 2 groups */
} lk_spread;

lk_spread lk_spread_of(const lk_rate *rates, uint32_t count);

#endif
