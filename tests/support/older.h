/* Segments and galleries as builds of before left them: of version 3, in which rows do not expire and have neither a
 * version nor metadata, or of version 2, in which rows of cosine are besides divided by their length, and coded as they
 * are then. What goes wrong ends the test. */
#ifndef TESTS_SUPPORT_OLDER_H
#define TESTS_SUPPORT_OLDER_H

#include <stddef.h>
#include <stdint.h>

/* The image of a segment file, in that version; the caller frees it. */
char *older_image(char *image, uint32_t version, size_t *size);
/* Sets its checksums right. */
void older_seal(char *image);

/* Rewrites the segments of a gallery, which are of this build's version. */
void older_rewrite(const char *folder, uint32_t version);

#endif
