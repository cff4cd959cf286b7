/* A vector on its way in: converted, checked, normalised once. */
#ifndef INDEX_FORMATS_VECTOR_H
#define INDEX_FORMATS_VECTOR_H

#include <likeness/types.h>
#include "kernels/half.h"

/* Where row `row` begins. */
const void *lk_vector_at(const lk_vectors *vectors, uint64_t row);

/* Rows from `first` on, at most `most` of them; `first` is one of its rows. */
lk_vectors lk_vector_part(const lk_vectors *vectors, uint64_t first, uint64_t most);

/* Converts rows to float, as they would be on their way in. `out` holds rows x dim floats. */
void lk_vector_to_f32(const lk_vectors *vectors, uint64_t first, uint64_t rows, float *out);

/* Converts row `row` into `out` (dim floats); under cosine normalises it, in double, rounded once. NULL, or what is
 * wrong with the row: NaN or infinite elements, all zeros under cosine, a length outside 2^-40 .. 2^40. */
const char *lk_vector_prepare(lk_metric metric, const lk_vectors *vectors, uint64_t row, float *out);

/* Rounds a prepared vector to what a gallery stores, in place. NULL, or what is wrong with it: an element beyond the
 * largest half, or nothing but zeros left. */
const char *lk_vector_round(lk_store store, float *v, uint32_t dim);

#endif
