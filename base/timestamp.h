/* Timestamps: milliseconds since 1970-01-01T00:00:00Z without leap seconds, as in Unix and Redis TIME. Pure. */
#ifndef BASE_TIMESTAMP_H
#define BASE_TIMESTAMP_H

#include <likeness/types.h>

/* Parses RFC 3339 with Z or an offset, to the millisecond at most (2021-06-10T09:00:00+02:00), or a date alone, which
 * means 00:00:00Z. Years are 0000 to 9999. A leap second (:60) is invalid: this scale has no number for it. Returns
 * NULL on success, else what is wrong with the text, as a static string. */
const char *lk_timestamp_parse(lk_text text, int64_t *ms);

enum { LK_TIMESTAMP_SIZE = 40 };

/* Writes 2021-06-10T07:00:00Z, with milliseconds only when they are not 0. */
void lk_timestamp_format(int64_t ms, char text[LK_TIMESTAMP_SIZE]);

#endif
