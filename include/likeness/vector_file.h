/* Opens a file of vectors, in any format of docs/files.md. Rows that can be read where they lie are mapped; others are
 * decoded into a file without a name, in the folder TMPDIR or else /var/tmp, and mapped there. So memory does not grow
 * with the file. */
#ifndef LIKENESS_VECTOR_FILE_H
#define LIKENESS_VECTOR_FILE_H

#include <stddef.h>

#include <likeness/api.h>
#include <likeness/status.h>
#include <likeness/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What the vectors are for. A file of both, as those of ann-benchmarks are, gives the ones that are wanted. */
typedef enum lk_vector_role { LK_ROLE_TEMPLATES, LK_ROLE_PROBES } lk_vector_role;

typedef struct lk_vector_file {
  lk_vectors vectors; /* point into the map; their name is the file's path */
  const void *map;
  size_t map_bytes;
} lk_vector_file;

/* `path`: of the file, or FILE:MEMBER for one array of several in it. It must outlive the file. LK_EFORMAT; LK_EDIM:
 * the dimension is out of range; LK_EIO. */
LK_API lk_status lk_vector_file_open(const char *path, lk_vector_role role, lk_vector_file *file, lk_error *error);
LK_API void lk_vector_file_close(lk_vector_file *file);

#ifdef __cplusplus
}
#endif

#endif
