/* The control of a search (likeness/device.h), as the search itself uses it: between two pieces of its work it raises
 * the progress and looks whether it was cancelled. A search that was cut short has wrong results; it looks once more
 * before it hands them out. NULL controls nothing.
 *
 * Atomic builtins, since a public header, which C++ reads too, cannot have C's atomic types. */
#ifndef KERNELS_CONTROL_H
#define KERNELS_CONTROL_H

#include <stdbool.h>
#include <stddef.h>

#include <likeness/device.h>
#include "base/fail.h"

static inline bool lk_control_is_cancelled(const lk_search_control *control) {
  return control != NULL && __atomic_load_n(&control->cancelled, __ATOMIC_RELAXED) != 0;
}

/* Raises the progress; false: the search was cancelled. */
static inline bool lk_control_goes_on(lk_search_control *control) {
  if (lk_control_is_cancelled(control)) return false;
  if (control != NULL) __atomic_fetch_add(&control->progress, 1, __ATOMIC_RELAXED);
  return true;
}

/* The same as a status: LK_ECANCELLED. */
static inline lk_status lk_control_check(lk_search_control *control, lk_error *error) {
  return lk_control_goes_on(control) ? LK_OK : lk_fail(error, LK_ECANCELLED, "the search was cancelled");
}

#endif
