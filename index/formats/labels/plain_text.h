/* Text of any kind that people save, as UTF-8: UTF-16 of either byte order is converted, a byte order mark left out. */
#ifndef INDEX_FORMATS_LABELS_PLAIN_TEXT_H
#define INDEX_FORMATS_LABELS_PLAIN_TEXT_H

#include <stddef.h>

#include <likeness/types.h>

typedef struct lk_plain_text {
  char *bytes; /* the caller frees it */
  size_t size;
} lk_plain_text;

/* Without UTF-16's mark the bytes are only copied. LK_EFORMAT: UTF-16 that is cut off or malformed. LK_ENOMEM. */
lk_status lk_plain_text_of(const char *name, const char *data, size_t size, lk_plain_text *text, lk_error *error);

/* Writes a character as UTF-8, of at most 4 bytes, and returns where it ends; NULL: there is no such character. */
char *lk_plain_text_put(char *at, uint32_t character);

#endif
