/* What a reply to a change, `list` or `stat` tells, as JSON (docs/protocol.md lists the members). Numbers of 64 bits
 * that clients choose are decimal texts, since many readers of JSON know only 53 bits. */
#ifndef ENGINE_QUEUE_REPLY_TEXT_H
#define ENGINE_QUEUE_REPLY_TEXT_H

#include <likeness/likeness.h>
#include <likeness/owner.h>

#include "engine/queue/bytes.h"
#include "engine/queue/job.h"

/* A change that was made. */
typedef struct lk_reply_receipt {
  lk_op op;
  lk_receipt done;
  lk_entry log;    /* the entry that says it */
  bool replicated; /* as many replicas of Redis as were asked for have that entry; else the owner's disk has it */
  lk_text_list keys, subjects;            /* whom the job names */
  bool in_journal, in_segments, in_redis; /* delete, erase: which files may still have bytes of what was deleted */
} lk_reply_receipt;

/* A page of the gallery's templates. */
typedef struct lk_reply_list {
  uint64_t epoch;
  const lk_template *templates;
  uint32_t count;
  bool more;     /* there may be templates after it */
  uint64_t next; /* then the cursor of the next page */
} lk_reply_list;

typedef struct lk_reply_stat {
  const lk_gallery_stat *gallery;
  uint64_t expired; /* of its templates */
  lk_entry log;     /* the last entry of the log that it has; zeros: none */
} lk_reply_stat;

/* Append the JSON. Where memory runs out, the bytes fail. */
void lk_reply_receipt_print(const lk_reply_receipt *receipt, lk_bytes *out);
void lk_reply_list_print(const lk_reply_list *list, lk_bytes *out);
void lk_reply_stat_print(const lk_reply_stat *stat, lk_bytes *out);

/* The member of a reply as JSON that has what an operation tells: "receipt", "list" or "stat"; NULL: it finds
 * candidates. */
const char *lk_reply_member(lk_op op);

#endif
