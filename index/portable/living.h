/* The templates of a gallery that live and have not expired, at one moment, in the order of their numbers. */
#ifndef INDEX_PORTABLE_LIVING_H
#define INDEX_PORTABLE_LIVING_H

#include "index/catalog/sight.h"
#include "index/gallery/gallery.h"

typedef struct lk_living {
  lk_sight sight;
  lk_visibility *parts; /* of each part of the sight's catalog, as it was; what may change is copied */
  uint64_t next_number;
  lk_log_mark log; /* the last entry of the gallery's log */
  uint64_t count;
} lk_living;

/* Takes the moment, and counts them. `for_log`: where the gallery has a log, the time is that of its last entry, if
 * that is earlier: what is left out is not there for any later entry either. The gallery may change, and be searched,
 * while the moment stays: changes wait only for the copies. To be closed in any case. LK_EIO: the gallery is not what
 * its files say. LK_ENOMEM. */
lk_status lk_living_open(const lk_gallery *gallery, bool for_log, lk_living *living, lk_error *error);
/* One of zeros is allowed. */
void lk_living_close(lk_living *living);

/* Takes one; `row` has the vector as it is stored. An error ends the visit and is returned. */
typedef lk_status lk_living_visit(void *context, const lk_template *template, const void *row, lk_error *error);

/* Visits all of them, and verifies each row against its code. LK_ECORRUPT. LK_EIO: a file could not be read. */
lk_status lk_living_each(const lk_living *living, lk_living_visit *visit, void *context, lk_error *error);

#endif
