/* A segment: an immutable, checksummed run of templates. It is a file that is mapped into memory, or lies in memory
 * alone, as the same bytes. docs/format.md draws it.
 *
 * Nobody can keep a file from changing under its map. So what says where something lies is checked each time it is
 * read: a changed file can give wrong texts, never a read beyond them. */
#ifndef INDEX_STORAGE_SEGMENT_H
#define INDEX_STORAGE_SEGMENT_H

#include <limits.h>

#include <likeness/likeness.h>
#include "base/folder.h"
#include "base/pool.h"
#include "index/storage/segment_layout.h"
#include "kernels/backend.h"

#define LK_SEGMENT_ROWS (UINT32_C(1) << 18) /* most rows of one file */

/* One text per row: text r ends at ends[r] and begins where text r - 1 ends. */
typedef struct lk_column {
  const uint64_t *ends;
  const char *bytes;
  uint64_t size;    /* of the bytes */
  uint32_t longest; /* bytes that a text may have */
} lk_column;

typedef struct lk_segment {
  char path[PATH_MAX];
  lk_file file;             /* without a mapping: it lies in memory alone */
  lk_segment_header header; /* a copy: the file may change under its map */
  lk_shape shape;
  lk_block block;
  lk_column keys, subjects, groups;
  lk_column metadata;                    /* without ends in files of an older version */
  const uint64_t *expires_ms, *versions; /* NULL there */
  const uint32_t *by_key, *by_subject;   /* rows, sorted by hash of their text */
  const uint32_t *by_number;             /* rows, sorted by their template's number */
} lk_segment;

/* Maps a segment and verifies everything except the checksums of codes and exact rows. */
lk_status lk_segment_open(const lk_folder *folder, const char *name, lk_segment *segment, lk_error *error);
/* Opens one that was just written, with this header's checksum, and verifies all of it: what cannot be opened must not
 * be named by a manifest. LK_ECORRUPT. */
lk_status lk_segment_open_written(const lk_folder *folder, const char *name, uint64_t header_checksum,
                                  lk_segment *segment, lk_error *error);
/* As lk_segment_open, for the bytes of a file, aligned to 64 bytes. `segment->path` names it in messages. */
lk_status lk_segment_read(const lk_file *file, lk_segment *segment, lk_error *error);
/* Sets what points into the file, whose header and sections are known to be right. */
void lk_segment_locate(lk_segment *segment);
void lk_segment_close(lk_segment *segment);

/* Whether the file still has the header that it was opened with. LK_ECORRUPT. */
lk_status lk_segment_verify_header(const lk_segment *segment, lk_error *error);

const void *lk_segment_section(const lk_segment *segment, lk_section section);
/* LK_ECORRUPT, with the file, the section and what is wrong with it. */
lk_status lk_segment_fail(const lk_segment *segment, lk_section section, const char *what, lk_error *error);

/* Verifies one section's checksum. */
lk_status lk_segment_verify(const lk_segment *segment, lk_section section, lk_error *error);

/* Whether a row with this r(x) has the length that rows of the older version have, but for their rounding. */
bool lk_segment_is_unit(double reciprocal);
/* LK_ECORRUPT: a row is not of that length. */
lk_status lk_segment_fail_length(const lk_segment *segment, uint32_t row, lk_error *error);

/* Whether the row is the one that was coded, and of its length. A row whose code was changed could not be found, and
 * one that was written over has another score. The caller has the default arithmetic (lk_enter_arithmetic). LK_ECORRUPT
 * names it. */
lk_status lk_segment_check_row(const lk_segment *segment, uint32_t row, lk_error *error);

/* Gives the memory of the codes' pages back, if a file has them. After loading, searches read the device's packed
 * copy. */
void lk_segment_forget_codes(const lk_segment *segment);

lk_template lk_segment_template(const lk_segment *segment, uint32_t row);

/* The row at a position of by_number. */
uint32_t lk_segment_row_at(const lk_segment *segment, uint32_t position);

/* The position of a row in by_number. */
uint32_t lk_segment_place(const lk_segment *segment, uint32_t row);

/* The position of the first row with this number or a greater one; the segment's number of rows: there is none. */
uint32_t lk_segment_place_from(const lk_segment *segment, uint64_t number);

/* Finds the row with this template number; false if there is none. */
bool lk_segment_find_number(const lk_segment *segment, uint64_t number, uint32_t *row);

/* Finds the first row with this key; false if there is none. */
bool lk_segment_find_key(const lk_segment *segment, lk_text key, uint32_t *row);

/* Call `each` for every row of this key or subject, the rows ascending, and pass `number` on. */
typedef void lk_each_row(void *context, uint32_t number, uint32_t row);
void lk_segment_each_of_key(const lk_segment *segment, lk_text key, uint32_t number, lk_each_row *each, void *context);
void lk_segment_each_of_subject(const lk_segment *segment, lk_text subject, uint32_t number, lk_each_row *each,
                                void *context);

/* The hash that by_key and by_subject are sorted by. It is part of the file format. */
uint64_t lk_text_hash(lk_text text);

/* The content of a new segment. */
typedef struct lk_segment_content {
  lk_metric metric;
  lk_store store;
  lk_vectors vectors; /* all rows that are enrolled */
  uint64_t first;     /* the segment's first row among them */
  /* Or else NULL: where each row of the segment lies, as `vectors` describes one; it has no data then. Rows of other
   * segments of the same shape keep their bits. */
  const void *const *scattered;
  uint32_t rows;
  const lk_template *templates;     /* one for each row of the segment, by ascending number; an expiry of 0: never */
  const char **faults;              /* receives what is wrong with each row of the segment; NULL: nothing */
  const lk_search_control *control; /* ends the writing when it is cancelled; NULL: nothing does */
} lk_segment_content;

/* Writes a segment file and syncs it. It reads each row once. Under ip and l2 the file has the rows in the order of
 * their lengths. LK_ECANCELLED. LK_EBADPROBE: the faults say which rows cannot be stored; `error` is not written, and
 * there is no file. */
lk_status lk_segment_write(const lk_folder *folder, const char *name, const lk_segment_content *content, lk_pool *pool,
                           uint64_t *header_checksum, lk_error *error);

/* The same bytes in memory, opened as a segment, which must not be moved. `name` stands for a path in messages. Without
 * a pool the calling thread does all. LK_EBADPROBE as above; LK_ENOMEM. */
lk_status lk_segment_make(const lk_segment_content *content, const char *name, lk_pool *pool, lk_segment *segment,
                          lk_error *error);

#endif
