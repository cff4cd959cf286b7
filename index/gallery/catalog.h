/* The segments of a gallery as one run of rows. */
#ifndef INDEX_GALLERY_CATALOG_H
#define INDEX_GALLERY_CATALOG_H

#include "index/gallery/segment.h"

/* What a device reads of a segment of the older version under cosine (LK_SEGMENT_NORMALISED) beside its file: r(x) of
 * each row, and bounds for x r(x), of which the file has those for x. */
typedef struct lk_widened {
  double *reciprocals; /* NULL: the file has all that is needed, or no device has asked for it */
  lk_row_bound *bounds;
  lk_tile *tiles;
} lk_widened;

typedef struct lk_catalog {
  lk_segment *segments;
  lk_widened *widened; /* of each */
  uint32_t *first_row; /* of each segment, among all */
  uint32_t segments_count;
  uint64_t rows;
  uint64_t bytes; /* of the segments' files */
} lk_catalog;

/* Room for `segments` segments; it has none yet. */
lk_status lk_catalog_open(lk_catalog *catalog, uint32_t segments, lk_error *error);
/* Takes the segment over that was opened in segments[segments_count]. */
void lk_catalog_add(lk_catalog *catalog);
void lk_catalog_close(lk_catalog *catalog);

/* The segment that a row among all lies in, and in *inside its row there. */
const lk_segment *lk_catalog_segment_at(const lk_catalog *catalog, uint64_t row, uint32_t *inside);

/* The block of a segment, as a device loads it; it lies in the segment's file and in the catalog. Of a segment of the
 * older version this reads all rows. LK_ECORRUPT: one of them is not of length 1. */
lk_status lk_catalog_block(lk_catalog *catalog, uint32_t segment, lk_block *block, lk_error *error);

/* LK_EIO: a segment's file could not be read while it was in use; the error names it. */
lk_status lk_catalog_check_files(const lk_catalog *catalog, lk_error *error);

/* The template of a row among all, as searches count them. */
lk_template lk_catalog_template(const lk_catalog *catalog, uint64_t row);

/* Calls `each` for every template of this subject, with its segment's number and its row there. */
void lk_catalog_each_of_subject(const lk_catalog *catalog, lk_text subject, lk_each_row *each, void *context);

#endif
