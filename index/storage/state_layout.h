/* A state file as it is on the disk (little-endian): a header, then entries. docs/format.md draws it. */
#ifndef INDEX_STORAGE_STATE_LAYOUT_H
#define INDEX_STORAGE_STATE_LAYOUT_H

#include "index/journal/journal_layout.h"

#define LK_STATE_MAGIC "LKSTATE"
#define LK_STATE_VERSION 1

typedef struct lk_state_header {
  char magic[8]; /* with a NUL */
  uint32_t version;
  uint32_t id; /* the file is state-<id, six digits>.lkx */
  uint8_t gallery[LK_GALLERY_ID_BYTES];
  uint32_t count; /* of entries */
  uint32_t reserved;
  uint64_t entries;  /* XXH3, 64 bits, of them */
  uint64_t checksum; /* XXH3, 64 bits, of all before it */
} lk_state_header;

/* What holds of a row instead of what its segment says. Entries are in the order of segment and row. */
typedef struct lk_state_entry {
  uint32_t segment; /* its id */
  uint32_t row;
  uint64_t died;       /* the epoch; LK_NEVER: it lives */
  uint64_t expires_ms; /* Unix time, 1 or more, or LK_NEVER */
  uint64_t tags;
} lk_state_entry;

_Static_assert(sizeof(lk_state_header) == 56 && sizeof(lk_state_entry) == 32, "as docs/format.md says");

#endif
