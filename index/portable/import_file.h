/* Makes the files of a gallery from a portable one. */
#ifndef INDEX_PORTABLE_IMPORT_FILE_H
#define INDEX_PORTABLE_IMPORT_FILE_H

#include <likeness/portable.h>
#include "base/folder.h"

typedef struct lk_import_source {
  const lk_file *file; /* aligned to 8 */
  const char *name;    /* of the file, for messages */
  const lk_import *order;
} lk_import_source;

/* Fills an empty folder, the manifest last. On failure it is empty again. Its type is lk_gallery_filler. */
lk_status lk_import_into(void *source, const lk_folder *folder, lk_error *error);

#endif
