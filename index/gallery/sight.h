/* What a reader of a gallery sees: its catalog and epoch at one moment, and the time. */
#ifndef INDEX_GALLERY_SIGHT_H
#define INDEX_GALLERY_SIGHT_H

#include <likeness/likeness.h>
#include "index/catalog/catalog.h"

/* Starts as zeros. */
typedef struct lk_sight {
  lk_catalog *catalog; /* held: its texts stay after the gallery was left */
  uint64_t epoch;
  uint64_t living; /* templates that were not deleted */
  uint64_t now_ms; /* Unix time */
} lk_sight;

/* Takes the gallery as it is now in place of what the sight had. Nothing changes until the gallery is left. Not twice
 * in one thread. */
void lk_gallery_enter(const lk_gallery *gallery, lk_sight *sight);
void lk_gallery_leave(const lk_gallery *gallery);

/* LK_EIO: the gallery that was entered is not what its files say. */
lk_status lk_gallery_check_entered(const lk_gallery *gallery, lk_error *error);

/* Lets the catalog go. */
void lk_sight_free(lk_sight *sight);

/* The filter that lets all through whom the sight shows. */
lk_filter lk_sight_filter(const lk_sight *sight);

#endif
