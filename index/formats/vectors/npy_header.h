/* The header of NumPy's .npy files (numpy.lib.format, versions 1 to 3): a Python dict literal with three keys. numpy
 * writes it in one form only, and that form is what this reads. */
#ifndef INDEX_FORMATS_VECTORS_NPY_HEADER_H
#define INDEX_FORMATS_VECTORS_NPY_HEADER_H

#include <stdbool.h>
#include <stddef.h>

#include <likeness/status.h>
#include <likeness/types.h>

enum { LK_NPY_DIMENSIONS = 4, LK_NPY_DESCR = 24 };

typedef struct lk_npy_header {
  char descr[LK_NPY_DESCR]; /* of an element: its order, kind and size, as "<f4"; cut off */
  bool big_endian;
  char kind;             /* f, i, u, U, S, ...; '?': `descr` is none */
  uint64_t element_size; /* the number in `descr`: bytes, or characters under U */
  /* An item of the array is a record of elements if its dtype is structured, else an element. */
  bool is_structured, is_uniform;                    /* uniform: its elements lie together and have one type, `descr` */
  uint64_t item_bytes, item_elements, first_element; /* bytes of an item; elements in it; where the first begins */
  bool fortran;
  uint64_t shape[LK_NPY_DIMENSIONS];
  uint32_t dimensions; /* LK_NPY_DIMENSIONS stands for more */
  size_t body;         /* the offset of the items */
} lk_npy_header;

/* LK_EFORMAT: not an .npy file, cut off in its header, or malformed. */
lk_status lk_npy_header_read(const char *name, const void *data, size_t size, lk_npy_header *header, lk_error *error);

/* LK_EFORMAT: `items` of the header's items are not all of the `size` bytes of the file. */
lk_status lk_npy_header_check_body(const char *name, const lk_npy_header *header, uint64_t items, size_t size,
                                   lk_error *error);

#endif
