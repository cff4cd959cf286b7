/* A portable gallery as it is in its file (little-endian): a header, then chunks of templates, then the end.
 * docs/format.md draws it. */
#ifndef INDEX_PORTABLE_PORTABLE_LAYOUT_H
#define INDEX_PORTABLE_PORTABLE_LAYOUT_H

#include <stdint.h>

#include <likeness/types.h>
#include "index/journal/log_mark.h"

#define LK_PORTABLE_MAGIC "LKPORTBL"
#define LK_PORTABLE_VERSION 1
#define LK_PORTABLE_CHUNK_MAGIC UINT32_C(0x43504b4c) /* "LKPC" */
#define LK_PORTABLE_NUMBER_MAX (UINT64_C(1) << 62)   /* most of an epoch and a next number: a gallery counts on */
#define LK_PORTABLE_CHUNK_BYTES (UINT32_C(1) << 20)  /* most of a chunk's content */

/* The last entry of the gallery's log that it has (index/journal/log_mark.h); zeros: it has none. */
typedef struct lk_portable_log {
  uint64_t ms, n, seq, term;
  char hash[LK_LOG_HASH_DIGITS];
} lk_portable_log;

typedef struct lk_portable_header {
  char magic[8];
  uint32_t version;
  uint32_t metric, store, dim;
  uint64_t templates;         /* in all chunks */
  uint64_t epoch;             /* of the gallery when it was exported */
  uint64_t next_number;       /* of the gallery's next template */
  char name[LK_TEXT_MAX + 1]; /* the gallery's; zeros follow it */
  char model[LK_TEXT_MAX + 1];
  lk_portable_log log;
  uint64_t checksum; /* XXH3, 64 bits, of all before it */
} lk_portable_header;

/* Before the templates of a chunk, each of which is 8 bytes with its size, and then the content of a journal's record
 * `enroll`. The last one has no templates, and ends the file. */
typedef struct lk_portable_chunk {
  uint32_t magic;
  uint32_t templates;
  uint64_t bytes;    /* of the content, which follows */
  uint64_t content;  /* XXH3, 64 bits, of it; at the end: of all bytes of the file before this chunk */
  uint64_t checksum; /* XXH3, 64 bits, of all before it; its seed is the checksum of the header before this one */
} lk_portable_chunk;

_Static_assert(sizeof(lk_portable_header) == 640 && sizeof(lk_portable_chunk) == 32, "as docs/format.md says");

#endif
