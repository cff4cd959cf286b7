/* The segments of a gallery as one run of rows. */
#ifndef INDEX_GALLERY_CATALOG_H
#define INDEX_GALLERY_CATALOG_H

#include "index/gallery/segment.h"

typedef struct lk_catalog {
  lk_segment *segments;
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

/* LK_EIO: a segment's file could not be read while it was in use; the error names it. */
lk_status lk_catalog_check_files(const lk_catalog *catalog, lk_error *error);

/* The template of a row among all, as searches count them. */
lk_template lk_catalog_template(const lk_catalog *catalog, uint64_t row);

/* Calls `each` for every template of this subject, with its segment's number and its row there. */
void lk_catalog_each_of_subject(const lk_catalog *catalog, lk_text subject, lk_each_row *each, void *context);

#endif
