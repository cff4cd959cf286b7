/* Reads a portable gallery from the bytes of its file, and verifies all of them on the way.
 *
 * The bytes may change while they are read, as those of a mapped file can: then the result is wrong, but nothing beyond
 * them is read. The caller asks lk_file_check afterwards. */
#ifndef INDEX_PORTABLE_PORTABLE_READER_H
#define INDEX_PORTABLE_PORTABLE_READER_H

#include <stddef.h>
#include <xxhash.h>

#include "index/journal/record.h"
#include "index/portable/portable_layout.h"

typedef struct lk_portable_reader {
  const char *name; /* of the file, for messages */
  const char *bytes;
  size_t size;
  lk_portable_header header;
  lk_shape shape;
  XXH3_state_t *hash; /* of all before `offset`, but for the chunk that is being read */
  uint64_t offset;
  uint64_t chunk_end;
  uint32_t left;     /* templates in the chunk */
  uint64_t link;     /* checksum of the header before */
  uint64_t met;      /* templates so far */
  uint64_t at_least; /* the next one's number */
} lk_portable_reader;

/* Verifies the header. `bytes` are aligned to 8 and, with the name, must outlive the reader. LK_EFORMAT: no portable
 * gallery, or of another version. LK_ECORRUPT: with the offset. LK_ENOMEM. */
lk_status lk_portable_reader_open(const char *name, const void *bytes, size_t size, lk_portable_reader *reader,
                                  lk_error *error);
/* What the header says of the gallery's log. */
lk_log_mark lk_portable_reader_log(const lk_portable_reader *reader);

void lk_portable_reader_close(lk_portable_reader *reader);

/* Reads the next template into `record`, which points into the bytes: an `enroll` with the store's elements. *over:
 * there is none, and the whole file is as it was written. LK_ECORRUPT: with the offset. */
lk_status lk_portable_reader_next(lk_portable_reader *reader, lk_record *record, bool *over, lk_error *error);

#endif
