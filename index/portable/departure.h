/* An export under way: what leaves, and under which authorisation. */
#ifndef INDEX_PORTABLE_DEPARTURE_H
#define INDEX_PORTABLE_DEPARTURE_H

#include <likeness/portable.h>
#include "index/gallery/authorise.h"
#include "index/portable/living.h"

typedef struct lk_departure {
  const lk_export *order;
  const lk_gallery *gallery;
  bool for_log; /* as of lk_living_open */
  lk_living living;
  uint64_t done; /* templates */
  lk_gallery_authorisation authorisation;
} lk_departure;

/* Writes the files of what lives, and gives them no names yet. */
typedef lk_status lk_departure_write(void *context, lk_departure *departure, lk_error *error);
/* Gives them their names. */
typedef lk_status lk_departure_finish(void *context, lk_error *error);

/* Decides and puts that into the log, has the files written, decides again, and has them named. */
lk_status lk_departure_run(lk_departure *departure, const lk_gallery *gallery, lk_departure_write *write,
                           lk_departure_finish *finish, void *context, lk_error *error);

/* Counts a template and reports. LK_ECANCELLED: the export is to end. */
lk_status lk_departure_count(lk_departure *departure, lk_error *error);

#endif
