/* Instants: milliseconds since 1970-01-01T00:00:00Z, leap seconds not counted, as in Unix and Redis TIME. Pure. */
#ifndef BASE_TIMESTAMP_H
#define BASE_TIMESTAMP_H

#include <likeness/types.h>

/* Reads RFC 3339: 2021-06-10T09:00:00+02:00, with Z or an offset, at most milliseconds; or a date alone, which is its
 * 00:00:00Z. Years 0000 to 9999; no leap second (:60), which this scale has no number for. Returns what is wrong with
 * it; NULL: nothing. */
const char *lk_timestamp_parse(lk_text text, int64_t *ms);

enum { LK_TIMESTAMP_SIZE = 40 };

/* 2021-06-10T07:00:00Z, with milliseconds where it has any. */
void lk_timestamp_format(int64_t ms, char text[LK_TIMESTAMP_SIZE]);

#endif
