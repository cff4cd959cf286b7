/* A gallery's operations without its policy, for those who have asked one already. */
#ifndef INDEX_GALLERY_UNCHECKED_H
#define INDEX_GALLERY_UNCHECKED_H

#include <likeness/likeness.h>

/* lk_gallery_identify; the query's claims are not read. */
lk_status lk_gallery_identify_unchecked(lk_gallery *gallery, const lk_query *query, lk_result *result,
                                        lk_search_stats *stats, lk_error *error);

/* lk_gallery_verify. */
lk_status lk_gallery_verify_unchecked(const lk_gallery *gallery, const lk_vectors *probes, lk_text subject,
                                      lk_result *result, lk_error *error);

/* lk_gallery_export, of one. */
void lk_gallery_export_unchecked(const lk_gallery *gallery, uint64_t position, float *vector);

#endif
