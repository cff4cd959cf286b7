/* A scrub reads all files of a gallery, a piece at a time, and finds what was changed or damaged: it holds every byte
 * against its section's checksum, and every row against its code. `check` takes piece after piece, a worker one from
 * time to time. Searches may run meanwhile; one thread uses a scrub at a time. */
#ifndef INDEX_GALLERY_SCRUB_H
#define INDEX_GALLERY_SCRUB_H

#include <likeness/likeness.h>

typedef struct lk_scrub lk_scrub;

/* The gallery must outlive the scrub. LK_ENOMEM. */
lk_status lk_scrub_open(const lk_gallery *gallery, lk_scrub **scrub, lk_error *error);
/* NULL is allowed. */
void lk_scrub_close(lk_scrub *scrub);

/* Takes the next piece: at most 1 MiB of a section, or a tile's rows. *over: the piece before was the last; the next
 * call begins again. LK_ECORRUPT, LK_EIO: the error names the file, and the next call begins with the file after it. */
lk_status lk_scrub_step(lk_scrub *scrub, bool *over, lk_error *error);

#endif
