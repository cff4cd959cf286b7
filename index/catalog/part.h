/* A part of a gallery: a segment as the gallery has it open, what has changed of its rows since it was written, and
 * where a device has it. A part never gets more rows.
 *
 * Several catalogs may have one part: it lives as long as one of them. What changes of its rows changes for all; the
 * gallery's lock says who may change and who may search meanwhile. Texts, and what has changed, may be read at any
 * time. */
#ifndef INDEX_CATALOG_PART_H
#define INDEX_CATALOG_PART_H

#include <stdatomic.h>

#include "index/journal/record.h"
#include "index/storage/segment.h"

/* What a device reads of a segment of version 2 under cosine (LK_SEGMENT_NORMALISED) beside its file: r(x) of each row,
 * and bounds for x r(x), of which the file has those for x. */
typedef struct lk_widened {
  double *reciprocals; /* NULL: the file has all that is needed, or no device has asked for it */
  lk_row_bound *bounds;
  lk_tile *tiles;
} lk_widened;

#define LK_SUBJECT_UNKNOWN UINT32_MAX /* in place of a subject's number */

typedef struct lk_part {
  atomic_uint references;
  uint32_t file;          /* its segment's id; 0: it lies in memory */
  struct lk_part *lender; /* whose segment it has; NULL: its own */
  lk_segment segment;
  lk_widened widened;
  uint64_t *died, *expires_ms, *tags; /* of the rows, as they are now; NULL: none has changed */
  atomic_uint living;                 /* rows that were not deleted */
  uint32_t *subjects;                 /* numbers (index/catalog/subjects.h); NULL: the gallery was not loaded */
  lk_resident_block *resident;        /* on the gallery's device; NULL: it is not there */
  double longest;                     /* no row is longer; set by loading under ip */
} lk_part;

/* Takes the segment over, on success; it has one reference. `file`: as above. LK_ENOMEM. */
lk_status lk_part_open(const lk_segment *segment, uint32_t file, lk_part **part, lk_error *error);
/* Another part with the segment of this one, on no device, of whose rows nothing has changed. LK_ENOMEM. */
lk_status lk_part_twin(lk_part *part, lk_part **twin, lk_error *error);
/* Drops a reference; with the last one the part is closed. It is on no device then. NULL is allowed. */
void lk_part_release(lk_part *part);

/* What a search sees of the rows by: the arrays above, or those of the segment. */
lk_visibility lk_part_visibility(const lk_part *part);

/* The block, as a device loads it. Of a segment of version 2 this reads all rows. LK_ECORRUPT: one of them is not of
 * length 1. */
lk_status lk_part_block(lk_part *part, lk_block *block, lk_error *error);

/* Of a row, as it is now. */
lk_template lk_part_template(const lk_part *part, uint32_t row);

/* Whether the row was not deleted. */
bool lk_part_lives(const lk_part *part, uint32_t row);
/* The epoch in which it was. UINT64_MAX: it was not. */
uint64_t lk_part_died(const lk_part *part, uint32_t row);

/* Whether anything was said of any row since the segment was written. */
bool lk_part_has_changed(const lk_part *part);

/* Makes room for what changes of this kind say of rows: LK_RECORD_DELETE_KEY, LK_RECORD_EXPIRE or LK_RECORD_TAG.
 * Searches may run meanwhile. LK_ENOMEM. */
lk_status lk_part_reserve(lk_part *part, lk_record_kind kind, lk_error *error);

/* Change a row. There is room for it, and nobody searches. */
void lk_part_kill(lk_part *part, uint32_t row, uint64_t epoch);
void lk_part_expire(lk_part *part, uint32_t row, uint64_t expires_ms);
void lk_part_tag(lk_part *part, uint32_t row, uint64_t tags, uint64_t mask);

/* Makes a row of a part that nobody searches yet what is known of it: when it died (UINT64_MAX: it lives), when it
 * expires, its tags. LK_ENOMEM. */
lk_status lk_part_set(lk_part *part, uint32_t row, uint64_t died, uint64_t expires_ms, uint64_t tags, lk_error *error);

typedef struct lk_row_range {
  uint32_t first, count;
} lk_row_range;

/* The rows between the first and the last of which a twin says something else. */
lk_row_range lk_part_differences(const lk_part *part, const lk_part *twin);
/* Makes room for what the twin says. LK_ENOMEM. */
lk_status lk_part_reserve_as(lk_part *part, const lk_part *twin, lk_error *error);
/* Sets these rows as the twin has them, and the count of the living. There is room for it, and nobody searches. */
void lk_part_copy(lk_part *part, const lk_part *twin, lk_row_range rows);

#endif
