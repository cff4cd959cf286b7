/* Moves galleries: whole ones as one file, their vectors and labels as files that others read, and names that lead to
 * one gallery now and to another one later. */
#ifndef LIKENESS_PORTABLE_H
#define LIKENESS_PORTABLE_H

#include <likeness/likeness.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Of lk_gallery_export_file and lk_gallery_export_arrays. A policy decides it as the operation `export`, before any
 * work, which its log records before the first template leaves, and again before the files get their names. What is
 * written is the gallery at one moment. It may be changed and searched meanwhile: changes wait only for copies of the
 * tags, expiries and deletions that were said of rows since their segments were written, 8 bytes a row for each. */
typedef struct lk_export {
  const lk_claims *claims;          /* may be NULL */
  lk_progress *progress;            /* counts templates; NULL: none */
  void *context;                    /* of the progress */
  const lk_search_control *control; /* ends the export when it is cancelled, with LK_ECANCELLED; NULL: nothing does */
} lk_export;

/* Writes the gallery into a new file that lk_gallery_import_file reads: all templates that were not deleted and have
 * not expired, with all that they have. The file has its name only once it is complete and on the disk; whoever may
 * read it has the templates. `templates` (may be NULL) receives their number. LK_EEXIST: there is such a file,
 * also one that somebody made meanwhile; it stays. LK_ECORRUPT: a row of the gallery is damaged. LK_EINVAL: the path.
 * LK_EPOLICY. LK_EIO; also where the memory is behind the files, until a refresh. Then there is no new file; but if
 * only the last step failed, it may be there and be complete. */
LK_API lk_status lk_gallery_export_file(const lk_gallery *gallery, const char *file, const lk_export *order,
                                        uint64_t *templates, lk_error *error);

/* Writes the same templates as two new files that lk_gallery_enroll's callers can read: their vectors as a NumPy array
 * of floats, of halves under f16, exactly as they are stored, and their labels as a csv. The csv has neither numbers
 * nor versions. LK_EFORMAT: metadata that is no text, which a csv cannot keep. Else as above. */
LK_API lk_status lk_gallery_export_arrays(const lk_gallery *gallery, const char *npy, const char *csv,
                                          const lk_export *order, uint64_t *templates, lk_error *error);

/* Of lk_gallery_import_file. */
typedef struct lk_import {
  const lk_binding *binding;        /* as of lk_gallery_create; NULL: none, whatever the exported gallery had */
  lk_progress *progress;            /* counts templates; NULL: none */
  void *context;                    /* of the progress */
  const lk_search_control *control; /* ends the import when it is cancelled, with LK_ECANCELLED; NULL: nothing does */
} lk_import;

/* Makes a new gallery in `folder`, as lk_gallery_create does, from a file of lk_gallery_export_file: with its name,
 * model and epoch, and the templates with their numbers, all their fields and the bits of their vectors. So searches
 * find what they found before. It verifies every byte of the file. LK_EEXIST: the folder is not empty. LK_EFORMAT: the
 * file is of another format or version. LK_ECORRUPT: it was cut off or changed, or has an epoch or a number that leaves
 * no room for others; the text says where. LK_EINVAL, LK_EIO, LK_EBUSY as of lk_gallery_create. Then there is no
 * gallery. */
LK_API lk_status lk_gallery_import_file(const char *folder, const char *file, const lk_import *order, lk_error *error);

/* What an alias leads to. */
typedef struct lk_alias_change {
  uint32_t dim_before; /* of the gallery that it led to; 0: there was none, or it cannot be read */
  uint32_t dim;
} lk_alias_change;

/* Makes `alias` a symbolic link to the gallery in `folder`, in one step: whoever opens the alias meanwhile opens the
 * gallery before or the new one. A gallery that is open stays what it is. The alias is no name of the gallery: rules
 * and the queue know a gallery by the name in its manifest. `change` may be NULL. LK_EEXIST: there is something else
 * than a link in its place; only a file that comes between the last look there and the step itself is replaced.
 * LK_EINVAL: it cannot be a gallery's name. For `folder`, errors as of lk_gallery_open. LK_EIO. */
LK_API lk_status lk_gallery_alias(const char *alias, const char *folder, lk_alias_change *change, lk_error *error);

#ifdef __cplusplus
}
#endif

#endif
