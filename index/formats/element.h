/* The elements of vectors as files have them, and as floats. */
#ifndef INDEX_FORMATS_ELEMENT_H
#define INDEX_FORMATS_ELEMENT_H

#include <stddef.h>

#include <likeness/types.h>

/* Bytes of one element of a known type. */
uint32_t lk_element_bytes(lk_element element);

/* Converts `count` elements, `stride_bytes` from one to the next, aligned or not. An integer or double is rounded once;
 * a double beyond a float's range becomes infinite. */
void lk_element_to_f32(lk_element element, bool big_endian, const void *from, uint64_t stride_bytes, uint32_t count,
                       float *out);

#endif
