/* Whether all templates of a catalog have keys of their own, and are found by them. */
#ifndef INDEX_CATALOG_NAMESAKES_H
#define INDEX_CATALOG_NAMESAKES_H

#include "index/catalog/catalog.h"

/* Walks the key indexes of all parts at once. Rows may be deleted meanwhile. However many keys have one hash, no key is
 * compared with all of them. LK_ECORRUPT: two rows that were not deleted have one key, or an index is not one; the
 * error names the segment and the row. LK_ENOMEM. */
lk_status lk_namesakes_check(const lk_catalog *catalog, lk_error *error);

#endif
