/* lk_gallery_export_file in a folder that is open. */
#ifndef INDEX_PORTABLE_EXPORT_FILE_H
#define INDEX_PORTABLE_EXPORT_FILE_H

#include <likeness/portable.h>
#include "base/folder.h"

lk_status lk_export_file_in(const lk_gallery *gallery, const lk_folder *folder, const char *name,
                            const lk_export *order, uint64_t *templates, lk_error *error);

#endif
