/* What a reader sees of a gallery's contents: their catalog and epoch at one moment, and the time. */
#ifndef INDEX_CATALOG_SIGHT_H
#define INDEX_CATALOG_SIGHT_H

#include "index/catalog/contents.h"

/* Starts as zeros. */
typedef struct lk_sight {
  lk_catalog *catalog; /* held: its texts stay after the contents were left */
  uint64_t epoch;
  uint64_t living; /* templates that were not deleted */
  uint64_t now_ms; /* Unix time */
} lk_sight;

/* Takes the contents as they are now in place of what the sight had. Nothing changes until they are left. Not twice in
 * one thread. */
void lk_contents_enter(lk_contents *contents, lk_sight *sight);
void lk_contents_leave(lk_contents *contents);

/* Lets the catalog go. */
void lk_sight_free(lk_sight *sight);

/* The filter that lets all through whom the sight shows. */
lk_filter lk_sight_filter(const lk_sight *sight);

#endif
