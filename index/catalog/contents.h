/* What a gallery has in memory: its catalog, which changes, and the device that the catalog's parts are on. */
#ifndef INDEX_CATALOG_CONTENTS_H
#define INDEX_CATALOG_CONTENTS_H

#include <pthread.h>

#include "index/catalog/catalog.h"
#include "index/journal/log_mark.h"

/* Whoever reads it holds the lock for reading, whoever changes it for writing; only one thread at a time may be about
 * to change it: an owner has turns for that. */
typedef struct lk_contents {
  pthread_rwlock_t lock;
  lk_shape shape;
  lk_catalog *catalog;
  uint64_t epoch;
  lk_log_mark log;         /* the last entry of the gallery's log that it has */
  uint64_t next_number;    /* of the next template */
  uint64_t filed_number;   /* templates from this number on are in a journal, those before it in segments */
  uint32_t subjects_count; /* numbers that were given; set by loading */
  double longest;          /* no template is longer; set by loading under ip */
  lk_device *device;       /* NULL: not loaded */
  lk_error failure;        /* why the memory is behind the disk, so that nothing may be searched; "": it is not */
} lk_contents;

/* An empty one. LK_ENOMEM. */
lk_status lk_contents_open(lk_shape shape, lk_contents **contents, lk_error *error);
/* NULL is allowed. */
void lk_contents_close(lk_contents *contents);

/* Loads all parts on the device. It must outlive them there. On failure none is loaded. LK_ECORRUPT, LK_EIO. */
lk_status lk_contents_load(lk_contents *contents, lk_device *device, lk_error *error);
void lk_contents_unload(lk_contents *contents);

/* If the contents are loaded: number the subjects of those of the parts that the catalog does not have yet, and load
 * these. Where it fails, some may be loaded. Loading waits for the searches that run, and with the lock for writing for
 * those of other galleries only. */
lk_status lk_contents_number(lk_contents *contents, lk_part *const *parts, uint32_t count, lk_error *error);
lk_status lk_contents_load_parts(lk_contents *contents, lk_part *const *parts, uint32_t count, lk_error *error);

/* Takes a part that joins no catalog off the device, if it is there. */
void lk_contents_drop(lk_contents *contents, lk_part *part);

/* Templates that were deleted while files still have their bytes. */
typedef struct lk_deleted {
  uint64_t in_segments, in_journals;
} lk_deleted;

/* The caller has the lock. */
lk_deleted lk_contents_deleted(const lk_contents *contents);

/* Puts another catalog in place, which this takes over, and returns the one before, to be retired. The caller has the
 * lock for writing. */
lk_catalog *lk_contents_replace(lk_contents *contents, lk_catalog *catalog);

/* Unloads the parts that are in the catalog no more, and lets it go. Nobody searches it, since whoever has replaced it
 * had the lock; this needs none, and so keeps nobody waiting. */
void lk_contents_retire(lk_contents *contents, lk_catalog *before);

#endif
