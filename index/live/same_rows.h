/* Notices that the rows of a file were enrolled before. */
#ifndef INDEX_LIVE_SAME_ROWS_H
#define INDEX_LIVE_SAME_ROWS_H

#include "index/catalog/catalog.h"

/* Whether the gallery has all rows of `vectors`, one after the other as one enrollment leaves them, bit for bit;
 * `number` receives the number of the first. It looks where segments begin, so it reads a row of each, and all rows
 * only where that one is the same: an enrollment that was merged with others since, or half of a file, goes unnoticed,
 * and so does one whose first template was deleted. */
bool lk_same_rows_find(const lk_catalog *catalog, lk_shape shape, const lk_vectors *vectors, uint64_t *number);

#endif
