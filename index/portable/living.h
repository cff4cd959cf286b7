/* The templates of a gallery that live and have not expired, at one moment, in the order of their numbers. */
#ifndef INDEX_PORTABLE_LIVING_H
#define INDEX_PORTABLE_LIVING_H

#include "index/catalog/sight.h"
#include "index/gallery/gallery.h"

typedef struct lk_living {
  const lk_gallery *gallery;
  lk_sight sight;
  uint64_t count;
} lk_living;

/* Counts them. Changes of the gallery wait until lk_living_leave, which the same thread calls. */
void lk_living_enter(lk_living *living, const lk_gallery *gallery);
void lk_living_leave(lk_living *living);

/* Takes one; `row` has the vector as it is stored. An error ends the visit and is returned. */
typedef lk_status lk_living_visit(void *context, const lk_template *template, const void *row, lk_error *error);

/* Visits all of them, and verifies each row against its code. LK_ECORRUPT. LK_EIO: a file could not be read. */
lk_status lk_living_each(const lk_living *living, lk_living_visit *visit, void *context, lk_error *error);

#endif
