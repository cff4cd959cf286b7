/* Writes a portable gallery, a chunk at a time. */
#ifndef INDEX_PORTABLE_PORTABLE_WRITER_H
#define INDEX_PORTABLE_PORTABLE_WRITER_H

#include "index/journal/record.h"
#include "index/portable/output.h"
#include "index/portable/portable_layout.h"

typedef struct lk_portable_writer {
  lk_output *output;
  lk_shape shape;
  char *chunk; /* its templates so far */
  lk_portable_chunk head;
  uint64_t link; /* checksum of the header before */
} lk_portable_writer;

/* Writes the header, whose magic, version and checksum are filled in. `output` must outlive the writer. LK_EIO,
 * LK_ENOMEM. */
lk_status lk_portable_writer_open(lk_output *output, lk_portable_header *header, lk_portable_writer *writer,
                                  lk_error *error);
/* One of zeros is allowed. */
void lk_portable_writer_close(lk_portable_writer *writer);

/* `row`: the vector as it is stored. LK_ECORRUPT: no gallery could have such a template. LK_EIO. */
lk_status lk_portable_writer_add(lk_portable_writer *writer, const lk_template *template, const void *row,
                                 lk_error *error);

/* Writes what is left, and the end. LK_EIO. */
lk_status lk_portable_writer_end(lk_portable_writer *writer, lk_error *error);

#endif
