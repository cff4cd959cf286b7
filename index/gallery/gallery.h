/* An open gallery. Internal to index/. */
#ifndef INDEX_GALLERY_GALLERY_H
#define INDEX_GALLERY_GALLERY_H

#include <limits.h>

#include <likeness/likeness.h>
#include "governance/open_binding.h"
#include "index/gallery/catalog.h"
#include "index/gallery/manifest.h"

struct lk_gallery {
  char folder[PATH_MAX];
  char home[PATH_MAX]; /* the folder, wherever the process works and whatever its links are now */
  lk_manifest manifest;
  lk_catalog catalog;
  double longest;     /* no stored row is longer; set by loading */
  uint32_t *subjects; /* a number per row; set by loading (index/gallery/subjects.h) */
  lk_device *device;
  lk_resident_block **residents; /* one per segment; set by loading */
  lk_open_binding *binding;
};

static inline lk_shape lk_gallery_shape(const lk_gallery *gallery) {
  return (lk_shape){.metric = gallery->manifest.metric, .dim = gallery->manifest.dim, .store = gallery->manifest.store};
}

/* Reads the manifest again if its file is another one, and takes the binding that it has now. LK_EIO, LK_EGALLERY,
 * LK_EFORMAT, LK_ECORRUPT: it cannot be read, so nobody knows the rules. */
lk_status lk_gallery_follow_binding(const lk_gallery *gallery, lk_error *error);

/* Takes the lock that a writer of the gallery needs. Closing `*lock` releases it, as the end of the process does.
 * LK_EBUSY: another writer has it. LK_EGALLERY. */
lk_status lk_gallery_lock(const char *folder, int *lock, lk_error *error);

/* LK_EDIM: the vectors have another dimension. LK_EINVAL: they are none (lk_vectors_check). */
lk_status lk_gallery_check_vectors(const lk_gallery *gallery, const lk_vectors *vectors, lk_error *error);

#endif
