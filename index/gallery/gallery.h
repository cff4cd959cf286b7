/* An open gallery, as the rooms of index/ share it. */
#ifndef INDEX_GALLERY_GALLERY_H
#define INDEX_GALLERY_GALLERY_H

#include <limits.h>

#include <likeness/likeness.h>
#include "index/gallery/manifest.h"
#include "index/gallery/segment.h"

typedef struct lk_open_binding lk_open_binding; /* governance/authorisation.h */

struct lk_gallery {
  char folder[PATH_MAX];
  char name[LK_TEXT_MAX + 1];
  lk_manifest manifest;
  lk_segment *segments; /* manifest.segments_count */
  uint64_t *first_row;  /* of each segment, among all */
  uint64_t rows;
  double longest;     /* no stored row is longer; where loaded */
  uint32_t *subjects; /* a number a row, where loaded (index/gallery/subjects.h) */
  lk_device *device;
  lk_resident_block **holds; /* one a segment, where loaded */
  lk_open_binding *bound;    /* NULL: to nothing */
};

static inline lk_shape lk_gallery_shape(const lk_gallery *gallery) {
  return (lk_shape){.metric = gallery->manifest.metric, .dim = gallery->manifest.dim, .store = gallery->manifest.store};
}

/* The template of a row among all, as searches count them. */
lk_template lk_gallery_template_of_row(const lk_gallery *gallery, uint64_t row);

/* The segment that a row among all lies in, and in *inside its row there. */
const lk_segment *lk_gallery_segment_at(const lk_gallery *gallery, uint64_t row, uint32_t *inside);

/* Calls `each` for every template of this subject, with its segment's number and its row there. */
void lk_gallery_each_of_subject(const lk_gallery *gallery, lk_text subject, lk_each_row *each, void *context);

/* Held by whoever changes the gallery, until it is closed; gone with its process. LK_EBUSY, LK_EGALLERY. */
lk_status lk_gallery_lock(const char *folder, int *lock, lk_error *error);

/* Refuses vectors of another dimension: LK_EDIM. */
lk_status lk_gallery_check_dim(const lk_gallery *gallery, const lk_vectors *vectors, lk_error *error);

#endif
