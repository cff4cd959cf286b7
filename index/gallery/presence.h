/* Whether a gallery has a template, or a subject, of this name. */
#ifndef INDEX_GALLERY_PRESENCE_H
#define INDEX_GALLERY_PRESENCE_H

#include <likeness/likeness.h>

bool lk_gallery_has_key(const lk_gallery *gallery, lk_text key);
bool lk_gallery_has_subject(const lk_gallery *gallery, lk_text subject);

#endif
