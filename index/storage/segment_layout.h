/* The header of a segment file, as it is on disk (little-endian), and the sizes of its sections. */
#ifndef INDEX_STORAGE_SEGMENT_LAYOUT_H
#define INDEX_STORAGE_SEGMENT_LAYOUT_H

#include <stddef.h>

#include <likeness/types.h>

#include "kernels/codes.h"
#include "kernels/half.h"

#define LK_SEGMENT_MAGIC "LKSEGMNT"
#define LK_SEGMENT_VERSION 4
#define LK_SEGMENT_LASTING 3    /* the version before: rows do not expire, and have no version and no metadata */
#define LK_SEGMENT_NORMALISED 2 /* as it, and rows of cosine were normalised, and coded as stored */
#define LK_SECTION_ALIGN 64

/* The sections of a segment file, in their order. */
#define LK_SECTION_MAP(X)           \
  X(MEAN, "mean")                   \
  X(TILES, "tiles")                 \
  X(BOUNDS, "row bounds")           \
  X(CODES, "codes")                 \
  X(EXACT, "exact rows")            \
  X(NUMBERS, "template numbers")    \
  X(TAGS, "tags")                   \
  X(KEY_ENDS, "key ends")           \
  X(KEY_BYTES, "keys")              \
  X(SUBJECT_ENDS, "subject ends")   \
  X(SUBJECT_BYTES, "subjects")      \
  X(GROUP_ENDS, "group ends")       \
  X(GROUP_BYTES, "groups")          \
  X(BY_KEY, "key index")            \
  X(BY_SUBJECT, "subject index")    \
  X(BY_NUMBER, "number index")      \
  X(EXPIRES, "expiries")            \
  X(VERSIONS, "versions")           \
  X(METADATA_ENDS, "metadata ends") \
  X(METADATA_BYTES, "metadata")

typedef enum lk_section {
#define LK_SECTION_ENUM(name, words) LK_SECTION_##name,
  LK_SECTION_MAP(LK_SECTION_ENUM)
#undef LK_SECTION_ENUM
      LK_SECTIONS
} lk_section;

typedef struct lk_section_entry {
  uint64_t offset; /* a multiple of LK_SECTION_ALIGN */
  uint64_t bytes;
  uint64_t checksum; /* XXH3, 64 bits, of those bytes */
} lk_section_entry;

/* In memory. A file of an older version has fewer sections, and its checksum directly behind them. */
typedef struct lk_segment_header {
  char magic[8];
  uint32_t version;
  uint32_t metric;
  uint32_t store;
  uint32_t dim;
  uint32_t rows;
  uint32_t reserved; /* 0 */
  lk_section_entry sections[LK_SECTIONS];
  uint64_t checksum; /* XXH3, 64 bits, of all before it */
} lk_segment_header;

/* How many sections a file of this version has; those that it lacks are the last. */
static inline lk_section lk_segment_sections(uint32_t version) {
  return version <= LK_SEGMENT_LASTING ? LK_SECTION_EXPIRES : LK_SECTIONS;
}

/* Where the header's checksum lies in the file; it covers the bytes before it. */
static inline size_t lk_segment_checksum_offset(uint32_t version) {
  return offsetof(lk_segment_header, sections) + lk_segment_sections(version) * sizeof(lk_section_entry);
}

/* Whether the file has r(x) of its rows (kernels/score.h), behind the row bounds. */
static inline bool lk_segment_has_reciprocals(const lk_segment_header *header) {
  return header->metric == LK_COSINE && header->version > LK_SEGMENT_NORMALISED;
}

/* The size of a section in bytes; 0 for the bytes of texts, whose size only their ends tell. */
static inline uint64_t lk_section_bytes(const lk_segment_header *header, lk_section section) {
  uint64_t rows = header->rows, dim = header->dim;
  switch (section) {
    case LK_SECTION_MEAN:
      return dim * sizeof(float);
    case LK_SECTION_TILES:
      return (rows + LK_TILE_ROWS - 1) / LK_TILE_ROWS * sizeof(lk_tile);
    case LK_SECTION_BOUNDS:
      return rows * (sizeof(lk_row_bound) + (lk_segment_has_reciprocals(header) ? sizeof(double) : 0));
    case LK_SECTION_CODES:
      return rows * dim;
    case LK_SECTION_EXACT:
      return rows * dim * lk_store_bytes((lk_store)header->store);
    case LK_SECTION_NUMBERS:
    case LK_SECTION_TAGS:
    case LK_SECTION_KEY_ENDS:
    case LK_SECTION_SUBJECT_ENDS:
    case LK_SECTION_GROUP_ENDS:
    case LK_SECTION_EXPIRES:
    case LK_SECTION_VERSIONS:
    case LK_SECTION_METADATA_ENDS:
      return rows * sizeof(uint64_t);
    case LK_SECTION_BY_KEY:
    case LK_SECTION_BY_SUBJECT:
    case LK_SECTION_BY_NUMBER:
      return rows * sizeof(uint32_t);
    default:
      return 0;
  }
}

static inline bool lk_section_is_text(lk_section section) {
  return section == LK_SECTION_KEY_BYTES || section == LK_SECTION_SUBJECT_BYTES || section == LK_SECTION_GROUP_BYTES ||
         section == LK_SECTION_METADATA_BYTES;
}

#endif
