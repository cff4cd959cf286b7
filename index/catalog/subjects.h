/* Numbers for subjects. Equal subjects of a gallery have equal numbers, so that a search by subject compares numbers,
 * not texts. They are made when the gallery is loaded and are in no file. */
#ifndef INDEX_CATALOG_SUBJECTS_H
#define INDEX_CATALOG_SUBJECTS_H

#include "index/catalog/catalog.h"

/* Gives each row of the catalog the number of its subject, from 0 without gaps; `count` receives how many there are.
 * LK_ENOMEM. */
lk_status lk_subjects_number(const lk_catalog *catalog, uint32_t *count, lk_error *error);

/* The same for those rows of part parts[number] that have LK_SUBJECT_UNKNOWN, all if it has no numbers. It joins the
 * catalog, which has `count` numbers so far, and the parts before it, which have theirs. LK_ENOMEM; LK_EINVAL: there
 * are no more numbers. */
lk_status lk_subjects_number_part(const lk_catalog *catalog, lk_part *const *parts, uint32_t number, uint32_t *count,
                                  lk_error *error);

/* Makes room for a part's numbers, of which none is known. LK_ENOMEM. */
lk_status lk_subjects_forget(lk_part *part, lk_error *error);

/* How many subjects have templates that were not deleted. LK_ENOMEM. */
lk_status lk_subjects_count(const lk_catalog *catalog, uint32_t *count, lk_error *error);

#endif
