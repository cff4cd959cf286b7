/* A file of vectors, mapped: .npy, .fvecs or .bvecs. Its name says which. */
#ifndef LIKENESS_VECTOR_FILE_H
#define LIKENESS_VECTOR_FILE_H

#include <stddef.h>

#include <likeness/api.h>
#include <likeness/status.h>
#include <likeness/types.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct lk_vector_file {
  lk_vectors vectors; /* point into the map; named by the file's path */
  const void *map;
  size_t map_bytes;
} lk_vector_file;

/* `path` must outlive the file. LK_EFORMAT, or LK_EDIM for a dimension that cannot be searched, names what is wrong;
 * the vectors themselves are not read. */
LK_API lk_status lk_vector_file_open(const char *path, lk_vector_file *file, lk_error *error);
LK_API void lk_vector_file_close(lk_vector_file *file);

#ifdef __cplusplus
}
#endif

#endif
