/* Formats that are not read, because they run code, need a schema or belong to one program: each is refused by its
 * name, with what converts it. */
#ifndef INDEX_FORMATS_VECTORS_FOREIGN_H
#define INDEX_FORMATS_VECTORS_FOREIGN_H

#include "index/formats/vectors/vector_format.h"

typedef struct lk_foreign_format {
  const char *name;    /* "Python pickle" */
  const char *endings; /* of file names, in lower case, separated by spaces */
  const char *magic;   /* the file's first bytes; "": not known */
  const char *convert; /* a command */
} lk_foreign_format;

/* All of them; the last has no name. */
extern const lk_foreign_format lk_foreign_formats[];

/* By the file's ending, or by its first bytes. LK_EFORMAT: it is one of them. */
lk_status lk_foreign_refuse_name(const lk_vector_source *source, lk_error *error);
lk_status lk_foreign_refuse_content(const lk_vector_source *source, lk_error *error);

#endif
