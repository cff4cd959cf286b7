#include "index/evaluation/evaluate.h"

#include <math.h>
#include <stdlib.h>

#include "base/fail.h"

double lk_rate_value(lk_rate rate) { return rate.of > 0 ? (double)rate.count / (double)rate.of : NAN; }

/* Wilson 1927. The ends are set exactly for 0 and for all, where rounding would leave them slightly off. */
lk_interval lk_rate_interval(lk_rate rate) {
  static const double z = 1.959963984540054; /* the normal distribution's 97.5 % quantile */
  if (rate.of == 0) return (lk_interval){.low = 0, .high = 1};
  double n = (double)rate.of, k = (double)rate.count;
  double centre = (k + z * z / 2) / (n + z * z);
  double half = z / (n + z * z) * sqrt(k * (n - k) / n + z * z / 4);
  return (lk_interval){.low = rate.count == 0 ? 0 : centre - half, .high = rate.count == rate.of ? 1 : centre + half};
}

static bool is_in(const lk_trial *trial, uint32_t group) { return group == LK_GROUP_ALL || trial->group == group; }

static uint64_t count_kind(const lk_trials *trials, uint32_t group, bool mated) {
  uint64_t count = 0;
  for (uint32_t i = 0; i < trials->count; i++) count += trials->all[i].mated == mated && is_in(&trials->all[i], group);
  return count;
}

uint64_t lk_trials_mated(const lk_trials *trials, uint32_t group) { return count_kind(trials, group, true); }
uint64_t lk_trials_non_mated(const lk_trials *trials, uint32_t group) { return count_kind(trials, group, false); }

static bool is_returned(const lk_trial *trial, uint32_t rank) {
  return trial->mate_rank >= 1 && trial->mate_rank <= rank;
}

lk_rate lk_trials_fpir(const lk_trials *trials, uint32_t group, float threshold) {
  lk_rate rate = {0};
  for (uint32_t i = 0; i < trials->count; i++) {
    const lk_trial *trial = &trials->all[i];
    if (trial->mated || !is_in(trial, group)) continue;
    rate.of++;
    rate.count += trial->top_score >= threshold;
  }
  return rate;
}

static lk_rate count_returned(const lk_trials *trials, uint32_t group, float threshold, uint32_t rank) {
  lk_rate rate = {0};
  for (uint32_t i = 0; i < trials->count; i++) {
    const lk_trial *trial = &trials->all[i];
    if (!trial->mated || !is_in(trial, group)) continue;
    rate.of++;
    rate.count += is_returned(trial, rank) && trial->mate_score >= threshold;
  }
  return rate;
}

lk_rate lk_trials_fnir(const lk_trials *trials, uint32_t group, float threshold, uint32_t rank) {
  lk_rate returned = count_returned(trials, group, threshold, rank);
  return (lk_rate){.count = returned.of - returned.count, .of = returned.of};
}

lk_rate lk_trials_identified(const lk_trials *trials, uint32_t group, uint32_t rank) {
  return count_returned(trials, group, -INFINITY, rank);
}

/* A search that begins to count when the threshold falls to its score. */
typedef struct event {
  float score;
  bool mated;
} event;

static int compare_events(const void *a, const void *b) {
  float x = ((const event *)a)->score, y = ((const event *)b)->score;
  return (x < y) - (x > y);
}

/* The group's non-mated searches, and the mated ones that return the mate, by falling score. */
static lk_status list_events(const lk_trials *trials, uint32_t group, uint32_t rank, event **events, uint32_t *count,
                             lk_error *error) {
  *count = 0;
  *events = malloc((trials->count + (size_t)1) * sizeof **events);
  if (*events == NULL) return lk_fail_memory(error);
  for (uint32_t i = 0; i < trials->count; i++) {
    const lk_trial *trial = &trials->all[i];
    if (!is_in(trial, group) || (trial->mated && !is_returned(trial, rank))) continue;
    float score = trial->mated ? trial->mate_score : trial->top_score;
    if (score > -INFINITY) (*events)[(*count)++] = (event){.score = score, .mated = trial->mated};
  }
  qsort(*events, *count, sizeof **events, compare_events);
  return LK_OK;
}

lk_status lk_det_open(const lk_trials *trials, uint32_t group, uint32_t rank, lk_det *det, lk_error *error) {
  event *events;
  uint32_t count;
  *det = (lk_det){0};
  lk_status status = list_events(trials, group, rank, &events, &count, error);
  if (status != LK_OK) return status;
  det->points = malloc((count + (size_t)1) * sizeof *det->points);
  lk_rate fpir = {.of = lk_trials_non_mated(trials, group)}, fnir = {.of = lk_trials_mated(trials, group)};
  fnir.count = fnir.of;
  for (uint32_t i = 0; det->points != NULL && i < count; i++) {
    fpir.count += !events[i].mated;
    fnir.count -= events[i].mated;
    if (i + 1 == count || events[i + 1].score < events[i].score)
      det->points[det->count++] = (lk_det_point){.threshold = events[i].score, .fpir = fpir, .fnir = fnir};
  }
  free(events);
  return det->points != NULL ? LK_OK : lk_fail_memory(error);
}

void lk_det_thin(lk_det *det) {
  uint32_t kept = 0;
  for (uint32_t i = 0; i < det->count; i++) {
    const lk_det_point *point = &det->points[i], *last = &det->points[kept - (kept > 0)];
    bool moved = (double)point->fpir.count > 1.05 * (double)last->fpir.count ||
                 (double)point->fnir.count * 1.05 < (double)last->fnir.count;
    if (kept == 0 || moved || i + 1 == det->count) det->points[kept++] = *point;
  }
  det->count = kept;
}

void lk_det_close(lk_det *det) {
  free(det->points);
  *det = (lk_det){0};
}

/* Rates are compared as fractions rounded once: 29 of 100 are 0.29, which 0.29 * 100 would not be. */
lk_status lk_trials_threshold(const lk_trials *trials, double fpir, float *threshold, lk_error *error) {
  uint64_t non_mated = lk_trials_non_mated(trials, LK_GROUP_ALL);
  if (non_mated == 0) return lk_fail(error, LK_EINVAL, "no search is non-mated, so there is no FPIR");
  event *events;
  uint32_t count;
  /* No mate is within rank 0, so only the non-mated searches are listed. */
  lk_status status = list_events(trials, LK_GROUP_ALL, 0, &events, &count, error);
  if (status != LK_OK) return status;
  *threshold = count > 0 ? nextafterf(events[0].score, INFINITY) : -INFINITY;
  for (uint32_t i = 0; i < count && (double)(i + 1) / (double)non_mated <= fpir; i++)
    if (i + 1 == count || events[i + 1].score < events[i].score) *threshold = events[i].score;
  free(events);
  return LK_OK;
}

/* The sum of |x - y| over all pairs of groups. */
static double sum_differences(const lk_rate *rates, uint32_t count) {
  double sum = 0;
  for (uint32_t i = 0; i < count; i++)
    for (uint32_t j = 0; j < i; j++)
      if (rates[i].of > 0 && rates[j].of > 0) sum += fabs(lk_rate_value(rates[i]) - lk_rate_value(rates[j]));
  return sum;
}

/* Gini is the mean difference over twice the mean, times n / (n - 1), without which its largest value would depend on
 * the number of groups: that comes to the sum of differences over (n - 1) times the sum of the rates. */
lk_spread lk_spread_of(const lk_rate *rates, uint32_t count) {
  lk_spread spread = {.max_min = NAN, .max_geomean = NAN, .gini = NAN};
  double least = INFINITY, most = 0, sum = 0, logs = 0;
  for (uint32_t i = 0; i < count; i++) {
    if (rates[i].of == 0) continue;
    double value = lk_rate_value(rates[i]);
    spread.groups++;
    spread.zeros += rates[i].count == 0;
    least = fmin(least, value);
    most = fmax(most, value);
    sum += value;
    if (value > 0) logs += log(value);
  }
  if (spread.groups < 2) return spread;
  if (sum > 0) spread.gini = sum_differences(rates, count) / ((spread.groups - 1) * sum);
  if (spread.zeros > 0) return spread;
  spread.max_min = most / least;
  spread.max_geomean = most / exp(logs / spread.groups);
  return spread;
}
