/* Error rates of identification, from the outcome of each labelled probe's search. Pure functions: no files, no
 * gallery, no printing. docs/evaluate.md has the definitions and their sources. */
#ifndef INDEX_EVALUATION_EVALUATE_H
#define INDEX_EVALUATION_EVALUATE_H

#include <likeness/status.h>
#include <likeness/types.h>

#define LK_GROUPS_MAX 256
#define LK_GROUP_NONE UINT32_MAX      /* the probe has no group */
#define LK_GROUP_ALL (UINT32_MAX - 1) /* asks for the rates of all searches */

/* One search. The mate of a mated probe is the best template of its subject. */
typedef struct lk_trial {
  bool mated;
  uint32_t group;     /* or LK_GROUP_NONE */
  uint32_t mate_rank; /* from 1; 0: the list does not have the mate */
  float mate_score;   /* valid where mate_rank is not 0 */
  float top_score;    /* the first candidate's; -INFINITY: no candidate */
} lk_trial;

typedef struct lk_trials {
  lk_trial *all;
  uint32_t count;
  lk_text *groups; /* their names, sorted by bytes; at most LK_GROUPS_MAX */
  uint32_t groups_count;
} lk_trials;

/* `count` out of `of`. */
typedef struct lk_rate {
  uint64_t count, of;
} lk_rate;

/* NaN if `of` is 0. */
double lk_rate_value(lk_rate rate);

typedef struct lk_interval {
  double low, high;
} lk_interval;

/* Wilson's 95 % interval; 0 .. 1 if `of` is 0. */
lk_interval lk_rate_interval(lk_rate rate);

/* Counts the mated or the non-mated searches of a group. */
uint64_t lk_trials_mated(const lk_trials *trials, uint32_t group);
uint64_t lk_trials_non_mated(const lk_trials *trials, uint32_t group);

/* Non-mated searches with a candidate at or above the threshold. */
lk_rate lk_trials_fpir(const lk_trials *trials, uint32_t group, float threshold);

/* Mated searches that do not return the mate within `rank` at or above the threshold. */
lk_rate lk_trials_fnir(const lk_trials *trials, uint32_t group, float threshold, uint32_t rank);

/* Mated searches that return the mate within `rank`, whatever its score. */
lk_rate lk_trials_identified(const lk_trials *trials, uint32_t group, uint32_t rank);

/* The least threshold at which FPIR over all groups is `fpir` or less, among the top scores of the non-mated searches;
 * if each of those gives a higher FPIR, the float above the greatest. Searches with equal scores count together.
 * LK_EINVAL: no search is non-mated. */
lk_status lk_trials_threshold(const lk_trials *trials, double fpir, float *threshold, lk_error *error);

typedef struct lk_det_point {
  float threshold;
  lk_rate fpir, fnir;
} lk_det_point;

typedef struct lk_det {
  lk_det_point *points; /* by falling threshold, so FPIR never falls and FNIR never rises */
  uint32_t count;
} lk_det;

/* FNIR against FPIR, at every score at which one of them changes. */
lk_status lk_det_open(const lk_trials *trials, uint32_t group, uint32_t rank, lk_det *det, lk_error *error);
/* Keeps the first point, the last one, and each point at which a count has grown by 5 % since the point kept before. */
void lk_det_thin(lk_det *det);
void lk_det_close(lk_det *det);

/* How a rate differs between groups. Groups without such searches (`of` is 0) do not count. NaN: undefined. */
typedef struct lk_spread {
  uint32_t groups;    /* that have such searches */
  uint32_t zeros;     /* groups whose rate is zero */
  double max_min;     /* both ratios are undefined with a zero rate, or with fewer than 2 groups */
  double max_geomean; /* the largest rate over the geometric mean */
  double gini;        /* 0: all equal; 1: one group has all; undefined if all are zero, or with fewer than 2 groups */
} lk_spread;

lk_spread lk_spread_of(const lk_rate *rates, uint32_t count);

#endif
