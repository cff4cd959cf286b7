/* Searches that are watched and cancelled, against any device: every kind of search raises its progress, ends soon when
 * another thread cancels it, and leaves the device fit for the next one. */
#ifndef TESTS_SUPPORT_CANCEL_H
#define TESTS_SUPPORT_CANCEL_H

#include "kernels/search/device.h"

typedef struct cancel_sizes {
  uint32_t rows, dim, probes;
  bool is_cpu; /* the progress rises with the work of each thread, and a search ends in the middle of a round */
} cancel_sizes;

/* Fails the Criterion test that runs. */
void cancel_check(lk_device *device, cancel_sizes sizes);

#endif
