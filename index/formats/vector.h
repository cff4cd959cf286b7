/* Vectors on their way into a gallery or a search: conversion and checks. */
#ifndef INDEX_FORMATS_VECTOR_H
#define INDEX_FORMATS_VECTOR_H

#include <likeness/types.h>
#include "kernels/half.h"

/* LK_EINVAL: the element is unknown, there are rows without data, or they reach beyond the end of memory. */
lk_status lk_vectors_check(const lk_vectors *vectors, lk_error *error);

/* The first byte of row `row`. */
const void *lk_vector_at(const lk_vectors *vectors, uint64_t row);

/* The rows from `first` on, `most` of them at the most. `first` must be a row. */
lk_vectors lk_vector_part(const lk_vectors *vectors, uint64_t first, uint64_t most);

/* Converts rows to float without checking them. `out` has rows x dim floats. */
void lk_vector_to_f32(const lk_vectors *vectors, uint64_t first, uint64_t rows, float *out);

/* Converts row `row` into `out` (dim floats). Returns what is wrong with the row (NaN, infinite elements, all zeros
 * under cosine, a length outside 2^-40 .. 2^40), or NULL. */
const char *lk_vector_prepare(lk_metric metric, const lk_vectors *vectors, uint64_t row, float *out);

/* Rounds a prepared vector, in place, to what a gallery stores. Under cosine, where length means nothing, a vector that
 * is too long or too short for halves is stored times a power of two. Returns what is wrong with the vector (an element
 * beyond the largest half, or only zeros are left), or NULL. */
const char *lk_vector_round(lk_metric metric, lk_store store, float *v, uint32_t dim);

#endif
