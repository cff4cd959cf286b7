/* NumPy's .npy files (numpy.lib.format, versions 1 to 3): two-dimensional, C order, '<f4', '<f8', '<f2' or '|u1'. */
#ifndef INDEX_FORMATS_NPY_H
#define INDEX_FORMATS_NPY_H

#include <stddef.h>

#include <likeness/status.h>
#include <likeness/types.h>

/* Reads the bytes of an .npy file; the vectors point into them. */
lk_status lk_npy_parse(const char *name, const void *data, size_t size, lk_vectors *vectors, lk_error *error);

#endif
