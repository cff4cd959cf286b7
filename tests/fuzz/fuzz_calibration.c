#include <math.h>
#include <stdlib.h>

#include "governance/calibration.h"

/* Whatever is accepted gives scores that fall as the rate does, and never one whose own rate is above what was asked.
 */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  lk_calibration calibration;
  if (lk_calibration_parse("fuzz", data, size, &calibration, NULL, NULL) != LK_OK) return 0;
  float last = -INFINITY, score;
  for (double fmr = 1; lk_calibration_score(&calibration, fmr, &score, NULL) == LK_OK; fmr /= 3) {
    if (!isfinite(score) || score < last || lk_calibration_fmr(&calibration, score) > fmr) abort();
    last = score;
  }
  lk_calibration_close(&calibration);
  return 0;
}
