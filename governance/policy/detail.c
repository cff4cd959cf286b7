#include "governance/policy/detail.h"

#include <math.h>

static double scale_of(lk_score_detail detail) {
  static const double powers[LK_DECIMALS_MAX + 1] = {1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6};
  return powers[detail.decimals <= LK_DECIMALS_MAX ? detail.decimals : 0];
}

/* The product is exact, since 24 and 20 bits fit a double. */
float lk_score_released(float score, lk_score_detail detail) {
  if (detail.hidden) return NAN;
  if (!detail.rounded) return score;
  double scale = scale_of(detail);
  return (float)(floor((double)score * scale) / scale);
}

/* The least float at or above `units` of the last decimal: the scores that reach it are those that round to it or to
 * more. */
static float step_at(double units, double scale) {
  double decimal = units / scale;
  float step = (float)decimal;
  return (double)step < decimal ? nextafterf(step, INFINITY) : step;
}

float lk_threshold_coarse(float threshold, lk_score_detail detail) {
  if (!detail.rounded || !isfinite(threshold)) return threshold;
  double scale = scale_of(detail), units = ceil((double)threshold * scale);
  float below = step_at(units - 1, scale);
  return below >= threshold ? below : step_at(units, scale);
}

lk_score_detail lk_score_detail_of_both(lk_score_detail a, lk_score_detail b) {
  bool a_decides = a.rounded && (!b.rounded || a.decimals < b.decimals);
  return (lk_score_detail){.hidden = a.hidden || b.hidden,
                           .rounded = a.rounded || b.rounded,
                           .decimals = a_decides ? a.decimals : b.decimals};
}
