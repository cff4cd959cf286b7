/* A journal file as it is on the disk (little-endian): a header, then batches of records. docs/format.md draws it. */
#ifndef INDEX_JOURNAL_JOURNAL_LAYOUT_H
#define INDEX_JOURNAL_JOURNAL_LAYOUT_H

#include <stdint.h>

#define LK_JOURNAL_MAGIC "LKJOURNL"
#define LK_JOURNAL_VERSION 1
#define LK_JOURNAL_ALIGN 8
#define LK_GALLERY_ID_BYTES 16

typedef struct lk_journal_header {
  char magic[8];
  uint32_t version;
  uint32_t metric, store, dim; /* of the gallery */
  uint8_t gallery[LK_GALLERY_ID_BYTES];
  uint32_t id; /* the file is journal-<id, six digits>.lkj */
  uint32_t reserved;
  uint64_t epoch;    /* of the gallery before the journal's first batch */
  uint64_t sequence; /* of the last record before its first */
  uint64_t checksum; /* XXH3, 64 bits, of all before it */
} lk_journal_header;

/* Before the bytes of each record. */
typedef struct lk_record_header {
  uint32_t magic; /* LK_RECORD_MAGIC, which only makes searching for one fast */
  uint32_t kind;
  uint64_t sequence;
  uint64_t synced;   /* so many bytes of the file were on the disk before this record was written */
  uint32_t left;     /* records that follow in its batch */
  uint32_t bytes;    /* that follow, a multiple of LK_JOURNAL_ALIGN */
  uint64_t content;  /* XXH3, 64 bits, of them */
  uint64_t link;     /* the checksum of the record before it; of the first: the file header's */
  uint64_t checksum; /* XXH3, 64 bits, of all before it, with the file header's checksum as seed */
} lk_record_header;

#define LK_RECORD_MAGIC UINT32_C(0x524a4b4c) /* "LKJR" */

_Static_assert(sizeof(lk_journal_header) == 72 && sizeof(lk_record_header) == 56, "as docs/format.md says");

#endif
