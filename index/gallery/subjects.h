/* Numbers for subjects. Equal subjects of a gallery have equal numbers, so that a search by subject compares numbers,
 * not texts. They are made when the gallery is loaded and are in no file. */
#ifndef INDEX_GALLERY_SUBJECTS_H
#define INDEX_GALLERY_SUBJECTS_H

#include "index/gallery/catalog.h"

/* Gives each row of the catalog the number of its subject, from 0 without gaps. The caller frees `numbers`. `count`
 * receives the number of subjects. */
lk_status lk_subjects_number(const lk_catalog *catalog, uint32_t **numbers, uint32_t *count, lk_error *error);

#endif
