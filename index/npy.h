/* NumPy's .npy files (numpy.lib.format, versions 1 to 3): two-dimensional, C order, '<f4', '<f8', '<f2' or '|u1'. */
#ifndef INDEX_NPY_H
#define INDEX_NPY_H

#include "index/file.h"
#include "index/likeness.h"

typedef struct lk_npy {
  lk_file file;
  lk_vectors vectors; /* point into the file; named by its path */
} lk_npy;

/* Maps the file. `path` must outlive it. */
lk_status lk_npy_open(const char *path, lk_npy *npy, lk_error *error);
void lk_npy_close(lk_npy *npy);

/* Reads an .npy image in memory; vectors point into it. */
lk_status lk_npy_parse(const char *name, const void *data, size_t size, lk_vectors *vectors, lk_error *error);

#endif
