/* Lists a gallery page by page while it changes: templates in the order of their numbers, which no other template ever
 * gets. Whoever stays in the gallery is on exactly one page, whatever others do between two. */
#ifndef INDEX_GALLERY_LIST_H
#define INDEX_GALLERY_LIST_H

#include <likeness/likeness.h>

#include "index/catalog/sight.h"

/* Templates that were not deleted at one moment, as they were then; those that have expired are among them. */
typedef struct lk_gallery_page {
  lk_sight sight; /* of that moment; the texts live in its catalog */
  lk_template *templates;
  uint32_t count;
  bool more;     /* there may be templates after it: the next page begins at the number `next` */
  uint64_t next; /* where there are no more: zero */
} lk_gallery_page;

/* A page of at most `most` templates with this number or greater ones. It looks at a bounded number of rows: where many
 * in a row were deleted it may be short, or empty, and yet have a next page. The caller must be authorised, and closes
 * the page. LK_EIO: the gallery is behind its files. LK_ENOMEM. */
lk_status lk_gallery_page_open(const lk_gallery *gallery, uint64_t from_number, uint32_t most, lk_gallery_page *page,
                               lk_error *error);
/* LK_EIO: a file was cut off while the page's texts were read, so they are not what they were. */
lk_status lk_gallery_page_check(const lk_gallery_page *page, lk_error *error);
/* A page of zeros is allowed. */
void lk_gallery_page_close(lk_gallery_page *page);

/* Whether the gallery has a template, or a subject, of this name. */
bool lk_gallery_has_key(const lk_gallery *gallery, lk_text key);
bool lk_gallery_has_subject(const lk_gallery *gallery, lk_text subject);

#endif
