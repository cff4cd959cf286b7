/* The arrays of NumPy's .npy files as vectors. */
#ifndef INDEX_FORMATS_VECTORS_NPY_H
#define INDEX_FORMATS_VECTORS_NPY_H

#include <stddef.h>

#include <likeness/status.h>
#include <likeness/types.h>

/* Reads the bytes of an .npy file; the vectors point into them. An array of one dimension is one vector. */
lk_status lk_npy_parse(const char *name, const void *data, size_t size, lk_vectors *vectors, lk_error *error);

#endif
