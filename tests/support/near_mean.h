/* Rows whose vectors of length 1 are their block's mean but for its rounding to floats. */
#ifndef TESTS_SUPPORT_NEAR_MEAN_H
#define TESTS_SUPPORT_NEAR_MEAN_H

#include "kernels/backend.h"

/* The float scan of such a row, under its own score as the bar, must find it: to round x r(x) to float before the mean
 * is subtracted would leave nothing of it. */
void near_mean_check(lk_backend *backend);

#endif
