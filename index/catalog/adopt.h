/* Puts other parts of files in place of those that a catalog has: a fold has written them, of rows that the catalog has
 * too. What has changed of these rows since is kept, by their numbers. */
#ifndef INDEX_CATALOG_ADOPT_H
#define INDEX_CATALOG_ADOPT_H

#include "index/catalog/contents.h"

/* The catalog will have these parts, each new or one that it has, and then those rows of its parts in memory that have
 * numbers from `first_number` on, in parts of LK_SEGMENT_ROWS rows at the most. Parts are in the order of their rows'
 * numbers. Searches go on until the last moment. One thread at a time changes the contents. On failure nothing has
 * changed. */
lk_status lk_adopt(lk_contents *contents, lk_part *const *files, uint32_t files_count, uint64_t first_number,
                   lk_pool *pool, lk_error *error);

#endif
