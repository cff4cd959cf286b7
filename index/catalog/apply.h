/* Applies a group of changes to what a gallery has in memory.
 *
 * The new rows become a part in memory. Parts in memory behind which not many more rows have come are merged into it,
 * without their deleted rows: so a row is coded again only a logarithmic number of times (Bentley and Saxe,
 * Decomposable Searching Problems, 1980), and there are only so many parts. Parts of files stay; what changes of their
 * rows is set in place. */
#ifndef INDEX_CATALOG_APPLY_H
#define INDEX_CATALOG_APPLY_H

#include "index/catalog/contents.h"
#include "index/catalog/group.h"

/* The group was made for the catalog that the contents have. Searches go on until the last moment, and then wait until
 * all is in place. The epoch becomes the group's. `pool` codes the new part; NULL: the caller alone. One thread at a
 * time applies. On failure nothing has changed, unless the contents say in `failure` that the device failed between.
 * LK_ENOMEM, LK_ECORRUPT: a row that is merged is damaged. */
lk_status lk_apply(lk_contents *contents, const lk_group *group, lk_pool *pool, lk_error *error);

#endif
