/* A group: changes of a gallery that are made together. It takes them one after the other and works out what they come
 * to: rows that are new, and what changes of rows in the catalog. Nothing of the catalog has changed until the group is
 * applied (index/catalog/apply.h).
 *
 * The catalog may not change while a group collects. The group keeps copies of all that it is given. */
#ifndef INDEX_CATALOG_GROUP_H
#define INDEX_CATALOG_GROUP_H

#include "base/buffer.h"
#include "index/catalog/arena.h"
#include "index/catalog/catalog.h"
#include "index/journal/log_mark.h"
#include "index/journal/record.h"

/* A row that is new. */
typedef struct lk_fresh_row {
  lk_template template;
  void *stored; /* the row, as a segment stores it */
  bool deleted; /* by a later change of the group */
} lk_fresh_row;

/* What changes of a row of the catalog: LK_RECORD_DELETE_KEY, LK_RECORD_TAG or LK_RECORD_EXPIRE. */
typedef struct lk_row_change {
  lk_record_kind kind;
  uint32_t part, row;
  uint64_t epoch;
  uint64_t tags, mask;
  uint64_t expires_ms;
} lk_row_change;

/* Finds rows by the hash of a text: chains of rows, newest first. */
typedef struct lk_row_chains {
  uint32_t *heads; /* row + 1; 0: none */
  uint32_t size;   /* a power of two, or 0 */
  uint32_t *next;  /* of each row, in memory for all rows */
} lk_row_chains;

/* What the group has said of a row of the catalog. */
typedef struct lk_row_said {
  uint64_t id;         /* part << 32 | row, plus 1; 0: of none */
  uint64_t expires_ms; /* 0: nothing was said */
  bool deleted;
} lk_row_said;

typedef struct lk_group {
  lk_shape shape;
  const lk_catalog *catalog;
  uint64_t epoch;       /* of the last change */
  uint64_t next_number; /* above all numbers of the rows */
  lk_arena arena;
  lk_buffer rows_buffer, changes_buffer;
  lk_fresh_row *rows;
  lk_row_change *changes;
  uint32_t rows_count, changes_count, rows_room;
  lk_row_chains by_key, by_subject;
  lk_buffer said_buffer; /* an open-addressing table of lk_row_said */
  uint32_t said_count, deleted_count;
  lk_log_mark log; /* the last entry of the log; the caller sets what it was before */
} lk_group;

/* A group of changes of what has this shape and catalog, in memory that starts as zeros. */
void lk_group_begin(lk_group *group, lk_shape shape, const lk_catalog *catalog);
void lk_group_free(lk_group *group);

/* Adds a change, which lk_record_check has let pass; a seal changes nothing,
 * and an entry of the log only the mark. `epoch` is its batch's. LK_ENOMEM: the group can only be freed. */
lk_status lk_group_add(lk_group *group, uint64_t epoch, const lk_record *record, lk_error *error);

/* Finds the template with this key that would live if the group were applied. Its texts live as long as the group and
 * the catalog; the tags are those that it has now. */
bool lk_group_find_key(const lk_group *group, lk_text key, lk_template *found);

/* How many templates of this subject would live and not have expired at this time; 0: expired or not. */
uint64_t lk_group_count_subject(const lk_group *group, lk_text subject, uint64_t now_ms);

#endif
