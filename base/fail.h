/* Reports the failure of a function. */
#ifndef BASE_FAIL_H
#define BASE_FAIL_H

#include <likeness/status.h>

/* Formats a message into `error` and returns `status`. `error` may be NULL, and error->text may be an argument of the
 * format. */
lk_status lk_fail(lk_error *error, lk_status status, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* Returns LK_ENOMEM with "out of memory". */
lk_status lk_fail_memory(lk_error *error);

#endif
