/* Numbers for subjects: equal for equal subjects in all of a gallery's segments, so that a search by subject compares
 * numbers, not texts. Made when the gallery is loaded; in no file. */
#ifndef INDEX_GALLERY_SUBJECTS_H
#define INDEX_GALLERY_SUBJECTS_H

#include "index/gallery/catalog.h"

/* A number for each row of the gallery, in the order of its rows, from 0 without gaps; the caller frees it. `count`
 * receives how many subjects there are. */
lk_status lk_subjects_number(const lk_catalog *catalog, uint32_t **numbers, uint32_t *count, lk_error *error);

#endif
