/* A file of keys or subjects, one a line: UTF-8, LF or CRLF, empty lines passed over. Every other byte of a line
 * counts, a space at its end too. */
#ifndef INDEX_FORMATS_ID_LIST_H
#define INDEX_FORMATS_ID_LIST_H

#include <stddef.h>

#include <likeness/status.h>
#include <likeness/types.h>
#include "base/file.h"

typedef struct lk_id_list {
  lk_text *texts; /* point into the file */
  uint32_t count; /* 1 or more */
  size_t room;    /* of texts */
  lk_file file;
} lk_id_list;

/* LK_EFORMAT names a line that can be no key, or says that there are none. */
lk_status lk_id_list_open(const char *path, lk_id_list *lines, lk_error *error);
/* Reads an image in memory, which must outlive the lines. */
lk_status lk_id_list_parse(const char *name, const void *data, size_t size, lk_id_list *lines, lk_error *error);
/* Also of lines that are all zeros. */
void lk_id_list_close(lk_id_list *lines);

#endif
