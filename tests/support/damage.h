/* Rows that were written over after they were coded, against any device: a search that looks at one of them fails and
 * names it, and one that does not gives the answer of the rows that were coded. */
#ifndef TESTS_SUPPORT_DAMAGE_H
#define TESTS_SUPPORT_DAMAGE_H

#include "kernels/search/device.h"

/* Fails the Criterion test that runs. */
void damage_check(lk_device *device);

#endif
