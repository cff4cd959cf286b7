/* A file of keys or subjects, one a line: UTF-8, LF or CRLF, empty lines passed over. Every other byte of a line
 * counts, a space at its end too. */
#ifndef INDEX_FORMATS_ID_LIST_H
#define INDEX_FORMATS_ID_LIST_H

#include <stddef.h>

#include <likeness/likeness.h>
#include "base/file.h"

typedef struct lk_lines {
  lk_text *texts; /* point into the file */
  uint32_t count; /* 1 or more */
  size_t room;    /* of texts */
  lk_file file;
} lk_lines;

/* LK_EFORMAT names a line that can be no key, or says that there are none. */
lk_status lk_lines_open(const char *path, lk_lines *lines, lk_error *error);
/* Reads an image in memory, which must outlive the lines. */
lk_status lk_lines_parse(const char *name, const void *data, size_t size, lk_lines *lines, lk_error *error);
/* Also of lines that are all zeros. */
void lk_lines_close(lk_lines *lines);

#endif
