/* The parts of a gallery as one run of rows, at one moment. A catalog never changes: when a gallery gets rows it gets
 * another catalog, and whoever still reads the one before holds it. */
#ifndef INDEX_CATALOG_CATALOG_H
#define INDEX_CATALOG_CATALOG_H

#include "index/catalog/part.h"

typedef struct lk_catalog {
  atomic_uint references;
  lk_part **parts;
  lk_resident_block **residents; /* of each part: its block; set when the gallery is loaded */
  uint32_t *first_row;           /* of each part, among all */
  uint32_t parts_count;
  uint64_t rows;  /* deleted ones too */
  uint64_t bytes; /* of the parts' files */
} lk_catalog;

/* Of these parts, of each of which it takes a reference; it has one reference itself. LK_ENOMEM. */
lk_status lk_catalog_make(lk_part *const *parts, uint32_t count, lk_catalog **catalog, lk_error *error);
/* Another reference. */
lk_catalog *lk_catalog_hold(lk_catalog *catalog);
/* NULL is allowed. */
void lk_catalog_release(lk_catalog *catalog);

bool lk_catalog_has(const lk_catalog *catalog, const lk_part *part);

/* The part that a row among all lies in, and in *inside its row there. */
const lk_part *lk_catalog_part_at(const lk_catalog *catalog, uint64_t row, uint32_t *inside);

/* Rows that were not deleted. */
uint64_t lk_catalog_living(const lk_catalog *catalog);

/* LK_EIO: a segment's file could not be read while it was in use; the error names it. */
lk_status lk_catalog_check_files(const lk_catalog *catalog, lk_error *error);

/* The template of a row among all, as searches count them. */
lk_template lk_catalog_template(const lk_catalog *catalog, uint64_t row);

/* Finds the row with this template number, also one that was deleted; false if there is none. */
bool lk_catalog_find_number(const lk_catalog *catalog, uint64_t number, uint32_t *part, uint32_t *row);

/* Where the rows with this number or greater ones begin, in the order of their numbers: the part, or the number of
 * parts where there are none, and the position there. */
void lk_catalog_place_from(const lk_catalog *catalog, uint64_t number, uint32_t *part, uint32_t *place);

/* Finds the row with this key that was not deleted: its part and its row there. False if there is none. */
bool lk_catalog_find_key(const lk_catalog *catalog, lk_text key, uint32_t *part, uint32_t *row);

/* Calls `each` for every row of this subject that was not deleted, with its part's number and its row there. */
void lk_catalog_each_of_subject(const lk_catalog *catalog, lk_text subject, lk_each_row *each, void *context);

#endif
