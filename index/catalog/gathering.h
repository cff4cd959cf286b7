/* Rows that are gathered from parts, and new ones, to become a segment. It keeps what it is given: rows and texts must
 * outlive it. */
#ifndef INDEX_CATALOG_GATHERING_H
#define INDEX_CATALOG_GATHERING_H

#include "index/catalog/part.h"

/* Starts as zeros. */
typedef struct lk_gathering {
  lk_template *templates;
  const void **rows; /* as a segment stores them */
  const char **faults;
  uint32_t *subjects; /* their numbers, or LK_SUBJECT_UNKNOWN */
  uint32_t count, room;
  bool for_file; /* no file has these numbers: they are not read, as loading may be giving them */
} lk_gathering;

/* Makes room for so many rows. LK_ENOMEM. */
lk_status lk_gathering_open(lk_gathering *gathering, uint64_t room, lk_error *error);
void lk_gathering_free(lk_gathering *gathering);

/* Adds a row, for which there is room, with a number above those before; its subject has no number yet. */
void lk_gathering_add(lk_gathering *gathering, const lk_template *template, const void *row);

/* Adds the rows of a part that were not deleted and have at least this number, as they are now. */
void lk_gathering_add_part(lk_gathering *gathering, const lk_part *part, uint64_t from_number);

/* `count` of the rows from `first` on, as the content of a segment; it points into the gathering. `name`: for messages.
 */
lk_segment_content lk_gathering_content(const lk_gathering *gathering, lk_shape shape, uint32_t first, uint32_t count,
                                        const char *name);

/* Drops the first `count` rows. */
void lk_gathering_drop(lk_gathering *gathering, uint32_t count);

/* Makes a part in memory of `count` of the rows from `first` on, up to LK_SEGMENT_ROWS, with the numbers of their
 * subjects; *part is NULL if there are none. LK_ECORRUPT: a row is not what was enrolled. */
lk_status lk_gathering_make(const lk_gathering *gathering, uint32_t first, uint32_t count, lk_shape shape,
                            const char *name, lk_pool *pool, lk_part **part, lk_error *error);

#endif
