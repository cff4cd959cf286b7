/* Maps a file of vectors: .npy, .fvecs or .bvecs, by its extension. */
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
  lk_vectors vectors; /* point into the map; their name is the file's path */
  const void *map;
  size_t map_bytes;
} lk_vector_file;

/* `path` must outlive the file. The vectors themselves are not read. LK_EFORMAT; LK_EDIM: the dimension is out of
 * range; LK_EIO. */
LK_API lk_status lk_vector_file_open(const char *path, lk_vector_file *file, lk_error *error);
LK_API void lk_vector_file_close(lk_vector_file *file);

#ifdef __cplusplus
}
#endif

#endif
