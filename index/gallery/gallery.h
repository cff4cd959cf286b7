/* An open gallery, as the rooms of index/ share it. */
#ifndef INDEX_GALLERY_GALLERY_H
#define INDEX_GALLERY_GALLERY_H

#include <limits.h>

#include <likeness/likeness.h>
#include "governance/open_binding.h"
#include "index/gallery/catalog.h"
#include "index/gallery/manifest.h"

struct lk_gallery {
  char folder[PATH_MAX];
  char name[LK_TEXT_MAX + 1];
  lk_manifest manifest;
  lk_catalog catalog;
  double longest;     /* no stored row is longer; where loaded */
  uint32_t *subjects; /* a number a row, where loaded (index/gallery/subjects.h) */
  lk_device *device;
  lk_resident_block **holds; /* one a segment, where loaded */
  lk_open_binding *binding;  /* NULL: none */
};

static inline lk_shape lk_gallery_shape(const lk_gallery *gallery) {
  return (lk_shape){.metric = gallery->manifest.metric, .dim = gallery->manifest.dim, .store = gallery->manifest.store};
}

/* Held by whoever changes the gallery, until it is closed; gone with its process. LK_EBUSY, LK_EGALLERY. */
lk_status lk_gallery_lock(const char *folder, int *lock, lk_error *error);

/* Refuses vectors of another dimension: LK_EDIM. */
lk_status lk_gallery_check_dim(const lk_gallery *gallery, const lk_vectors *vectors, lk_error *error);

#endif
