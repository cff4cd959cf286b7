/* How a function that fails says so. */
#ifndef BASE_FAIL_H
#define BASE_FAIL_H

#include <likeness/status.h>

/* Formats into `error` (which may be NULL, and may be an argument of its own format) and returns `status`. */
lk_status lk_fail(lk_error *error, lk_status status, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* The usual words for an allocation that failed. */
lk_status lk_fail_memory(lk_error *error);

#endif
