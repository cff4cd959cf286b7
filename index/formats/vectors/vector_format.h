/* The description of a format of vectors. Each format has one file, which defines its description; vector_formats.c
 * lists them. How a file is recognised, what messages say of it and the table of docs/files.md come from there. */
#ifndef INDEX_FORMATS_VECTORS_VECTOR_FORMAT_H
#define INDEX_FORMATS_VECTORS_VECTOR_FORMAT_H

#include <stdbool.h>

#include <likeness/vector_file.h>
#include "base/file.h"

/* A file that is to be read as `format`. */
typedef struct lk_vector_source {
  const struct lk_vector_format *format;
  const char *name;   /* for messages: as the user wrote it */
  const char *path;   /* of the file, whose ending may name a format */
  const char *member; /* what is wanted of the file: FILE:MEMBER. NULL: not said */
  lk_vector_role role;
  int fd;       /* of the file, for who cannot read a map; until the opener returns */
  lk_file file; /* mapped, with 1 byte or more */
} lk_vector_source;

/* Finds the vectors in the source's map. A format that cannot be read where it lies puts its rows into a scratch file
 * and maps that as `decoded`, which is {0} before; the vectors are then there, and the caller unmaps it. Whatever the
 * file says of its sizes is checked against its length before memory is taken. LK_EFORMAT and LK_EDIM name the file,
 * and the row or line; LK_EIO, LK_ENOMEM. */
typedef lk_status lk_vector_opener(const lk_vector_source *source, lk_file *decoded, lk_vectors *vectors,
                                   lk_error *error);

typedef struct lk_vector_format {
  const char *name;    /* "NumPy array" */
  const char *endings; /* of file names, in lower case, separated by spaces */
  const char *magic;   /* a file of this format begins with these bytes, and no other file does; "": it has none */
  uint32_t magic_bytes;
  uint32_t mark_moves; /* the mark may also be at this offset, at twice that, four times, ...; 0: it may not */
  bool has_members;    /* FILE:MEMBER */
  lk_element element;  /* where the format has only one */
  const char *holds;   /* what can be read of it, for docs/files.md */
  lk_vector_opener *open;
} lk_vector_format;

extern const lk_vector_format lk_npy_format, lk_npz_format, lk_hdf5_format, lk_fvecs_format, lk_bvecs_format,
    lk_ivecs_format, lk_fbin_format, lk_ibin_format, lk_u8bin_format, lk_i8bin_format, lk_number_text_format;

/* All formats, and then NULL. */
extern const lk_vector_format *const lk_vector_formats[];

/* Finds the source's format by the file's first bytes or, where these say nothing, by its path's ending. LK_EFORMAT:
 * neither names a format, or each another one. */
lk_status lk_vector_format_find(lk_vector_source *source, lk_error *error);

/* Whether the path ends in one of the endings. */
bool lk_vector_format_is_named(const char *endings, const char *path);

/* LK_EDIM: a row of so many elements cannot be searched. */
lk_status lk_vector_format_check_dim(const char *name, uint64_t dim, lk_error *error);

#endif
