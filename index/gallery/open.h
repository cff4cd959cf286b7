/* Opening a gallery: its manifest, the parts that this names, what has changed of them, the journals. */
#ifndef INDEX_GALLERY_OPEN_H
#define INDEX_GALLERY_OPEN_H

#include "index/gallery/gallery.h"

/* Opens the gallery in a folder that is open; the gallery has its own copy of it. Errors as of lk_gallery_open. The
 * second form does not read the journals. */
lk_status lk_gallery_open_in(const lk_folder *folder, lk_gallery **gallery, lk_error *error);
lk_status lk_gallery_open_files(const lk_folder *folder, lk_gallery **gallery, lk_error *error);

/* Opens a gallery that is open once more, as its files are now; the parts of segments that it has open are twins of
 * them (index/catalog/part.h). */
lk_status lk_gallery_open_again(const lk_gallery *gallery, lk_gallery **fresh, lk_error *error);

#endif
