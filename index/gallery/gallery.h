/* An open gallery. Internal to index/. */
#ifndef INDEX_GALLERY_GALLERY_H
#define INDEX_GALLERY_GALLERY_H

#include <limits.h>

#include <likeness/likeness.h>
#include "governance/open_binding.h"
#include "index/catalog/contents.h"
#include "index/catalog/sight.h"
#include "index/journal/journal.h"
#include "index/storage/manifest.h"

/* How far a reader has come: in which journal, and where. */
typedef struct lk_reading {
  uint32_t journal; /* its id; 0: nothing was read */
  lk_journal_place place;
  bool lost; /* reading on has failed: the place may be ahead of what was applied */
} lk_reading;

struct lk_gallery {
  lk_folder folder;
  lk_manifest manifest;
  lk_stamp stamp; /* of the manifest's file, from before it was read */
  bool owned;     /* by this process, so that the memory is ahead of the files */
  lk_open_binding *binding;
  lk_catalog *shown; /* what positions count, as of the last lk_gallery_show; under the lock of `contents` */
  lk_contents *contents;
  lk_reading reading;
  uint64_t last_death; /* the latest epoch in which the state file says that a row was deleted */
};

static inline lk_shape lk_gallery_shape(const lk_gallery *gallery) {
  return (lk_shape){.metric = gallery->manifest.metric, .dim = gallery->manifest.dim, .store = gallery->manifest.store};
}

/* A gallery's folder with the lock that a writer of the gallery needs. */
typedef struct lk_gallery_lock {
  lk_folder folder;
  int fd;
} lk_gallery_lock;

/* LK_EBUSY: another writer has the lock. LK_EGALLERY, LK_EIO. */
lk_status lk_gallery_lock_take(const char *folder, lk_gallery_lock *lock, lk_error *error);
void lk_gallery_lock_release(lk_gallery_lock *lock);

/* Writes the files of a gallery into an empty folder, the manifest last. On failure it leaves none. */
typedef lk_status lk_gallery_filler(void *context, const lk_folder *folder, lk_error *error);

/* Makes a gallery in a folder that is empty or not there yet, with its lock held. LK_EEXIST: the folder is not empty.
 * LK_EBUSY, LK_EIO, and what the filler returns: then there is no gallery. */
lk_status lk_gallery_make(const char *path, lk_gallery_filler *fill, void *context, lk_error *error);

/* The size of the journals' files, as the manifest names them; no thread changes the gallery meanwhile. */
uint64_t lk_gallery_journal_bytes(const lk_gallery *gallery);

/* From now on positions count what the catalog has now. Returns whether that is another one than before. */
bool lk_gallery_show(lk_gallery *gallery);

/* What positions count, to be released. */
lk_catalog *lk_gallery_shown(const lk_gallery *gallery);

/* lk_gallery_template at a position of `shown`, where its texts live. */
lk_template lk_gallery_template_of(const lk_gallery *gallery, const lk_catalog *shown, uint64_t position);

/* lk_gallery_export_unchecked at a position of `shown`, whether the template was deleted or not. */
lk_status lk_gallery_export_row(const lk_catalog *shown, uint64_t position, float *vector, lk_error *error);

/* The template with this number as it is now: false if it was deleted. */
bool lk_gallery_find_number(const lk_gallery *gallery, uint64_t number, lk_template *found);

/* Reads the manifest again if its file is another one, and takes the binding that it has now. LK_EIO, LK_EGALLERY,
 * LK_EFORMAT, LK_ECORRUPT: it cannot be read, so nobody knows the rules. */
lk_status lk_gallery_follow_binding(const lk_gallery *gallery, lk_error *error);

/* Gives the manifest of `folder` this binding and records that in the logs that it leaves and joins; the caller then
 * writes the manifest. `lost`: as of lk_gallery_bind_after_loss. Errors as of lk_gallery_bind. */
lk_status lk_gallery_rebind(const char *folder, lk_manifest *manifest, const lk_binding *binding, bool lost,
                            lk_error *error);

/* LK_EIO: the gallery, whose contents the caller has entered, is not what its files say. */
lk_status lk_gallery_check_entered(const lk_gallery *gallery, lk_error *error);

/* LK_EDIM: the vectors have another dimension. LK_EINVAL: they are none (lk_vectors_check). */
lk_status lk_gallery_check_vectors(const lk_gallery *gallery, const lk_vectors *vectors, lk_error *error);

#endif
