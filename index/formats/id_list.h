/* A text file with one key or subject per line, in UTF-8; lines end with LF or CRLF. Empty lines are skipped. Every
 * other byte belongs to the id, also a space at the end of a line. */
#ifndef INDEX_FORMATS_ID_LIST_H
#define INDEX_FORMATS_ID_LIST_H

#include <stddef.h>

#include <likeness/status.h>
#include <likeness/types.h>
#include "base/file.h"

typedef struct lk_id_list {
  lk_text *texts;  /* point into the file */
  uint32_t count;  /* 1 or more */
  size_t capacity; /* of texts */
  lk_file file;
} lk_id_list;

/* LK_EFORMAT: a line is not a valid key, which the error names, or the file has no ids. */
lk_status lk_id_list_open(const char *path, lk_id_list *lines, lk_error *error);
/* Reads the bytes of a file, which must outlive the list. */
lk_status lk_id_list_parse(const char *name, const void *data, size_t size, lk_id_list *lines, lk_error *error);
/* A list of zeros is allowed. */
void lk_id_list_close(lk_id_list *lines);

#endif
