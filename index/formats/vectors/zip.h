/* Reads a zip archive (PKWARE's APPNOTE, with zip64) by its central directory. */
#ifndef INDEX_FORMATS_VECTORS_ZIP_H
#define INDEX_FORMATS_VECTORS_ZIP_H

#include <stddef.h>

#include <likeness/types.h>
#include "index/formats/vectors/scratch.h"

enum { LK_DEFLATE_MOST = 1032 }; /* bytes that deflate packs into one */

typedef struct lk_zip {
  const char *name; /* for messages */
  const char *data; /* of the file, which outlives the zip and its members */
  size_t size;
  size_t at;     /* the next member in the directory */
  uint64_t left; /* members */
} lk_zip;

typedef struct lk_zip_member {
  lk_text name;
  bool is_stored;     /* its bytes are the packed ones */
  const char *packed; /* within the file */
  uint64_t packed_bytes, bytes;
  uint32_t crc;
} lk_zip_member;

/* LK_EFORMAT: not a zip archive, or its directory is not within the file. */
lk_status lk_zip_open(const char *name, const void *data, size_t size, lk_zip *zip, lk_error *error);

/* Finds the next member while `zip->left` is not 0. LK_EFORMAT: it does not lie within the file, is encrypted, or is
 * packed otherwise than by deflate. */
lk_status lk_zip_next(lk_zip *zip, lk_zip_member *member, lk_error *error);

/* Unpacks a member that is not stored, and checks its sum. LK_EFORMAT, and those of the scratch. */
lk_status lk_zip_unpack(const lk_zip *zip, const lk_zip_member *member, lk_scratch *to, lk_error *error);

#endif
