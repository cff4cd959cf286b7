/* The .fvecs, .bvecs and .ivecs files of TEXMEX: each row is its dimension, a little-endian int32, then as many floats,
 * bytes or int32. All rows have the same dimension. */
#ifndef INDEX_FORMATS_VECTORS_VECS_H
#define INDEX_FORMATS_VECTORS_VECS_H

#include <stddef.h>

#include <likeness/status.h>
#include <likeness/types.h>

/* Reads the bytes of a file of LK_F32 (.fvecs), LK_U8 (.bvecs) or LK_I32 (.ivecs) elements; the vectors point into
 * them. It checks every row's dimension. */
lk_status lk_vecs_parse(const char *name, const void *data, size_t size, lk_element element, lk_vectors *vectors,
                        lk_error *error);

#endif
