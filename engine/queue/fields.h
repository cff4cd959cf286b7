/* The operations of jobs and their fields (docs/protocol.md), and how fields are read. LK_EBADJOB names the field. One
 * that is not there leaves what it is read into as it is, unless it is needed. */
#ifndef ENGINE_QUEUE_FIELDS_H
#define ENGINE_QUEUE_FIELDS_H

#include "engine/queue/entry.h"
#include "engine/queue/signature.h"
#include "engine/queue/text_list.h"

typedef enum lk_op {
  LK_OP_IDENTIFY,
  LK_OP_VERIFY,
  LK_OP_ENROLL,
  LK_OP_REPLACE, /* enroll; rows take the places of templates with their keys */
  LK_OP_DELETE,
  LK_OP_TAG,
  LK_OP_EXPIRE,
  LK_OP_ERASE,
  LK_OP_LIST,
  LK_OP_STAT,
  LK_OPS
} lk_op;

/* What comes of a job: candidates; a change of the gallery, by its log; an answer from what the gallery has in memory.
 */
typedef enum lk_op_kind { LK_OP_SEARCHES, LK_OP_CHANGES, LK_OP_ASKS } lk_op_kind;

/* "identify", ..., or "?" for any other number: static. */
const char *lk_op_name(lk_op op);
/* LK_OPS: none has this name. */
lk_op lk_op_find(lk_text name);
lk_op_kind lk_op_kind_of(lk_op op);
/* `enroll` and `replace`: the job has rows, not keys or subjects. */
static inline bool lk_op_enrolls(lk_op op) { return op == LK_OP_ENROLL || op == LK_OP_REPLACE; }

/* Whether the protocol has a field of this name, or leaves the name to clients: those that begin with "x-". */
bool lk_field_is_known(lk_text name);

/* Whether jobs with this operation have the known field of this name. */
bool lk_field_belongs(lk_text name, lk_op op);

/* The field that was probably meant by an unknown name: at most two letters differ, are missing or are too many,
 * whether large or small. NULL: none is so near. */
const char *lk_field_nearest(lk_text name);

typedef struct lk_field_reader {
  const lk_field *fields;
  size_t count;
  lk_error *error;
} lk_field_reader;

/* NULL: there is none. If a name occurs twice, the last one counts. */
const lk_field *lk_field_find(const lk_field_reader *reader, const char *name);

/* LK_EBADJOB: "field k: 'ten' " and why. */
lk_status lk_field_malformed(const lk_field_reader *reader, const lk_field *field, const char *why);

static inline lk_text lk_field_text(const lk_field *field) {
  return (lk_text){.bytes = field->value, .length = (uint32_t)field->length};
}

/* An empty field is as none; then the text is empty. */
lk_status lk_field_read_text(const lk_field_reader *reader, const char *name, bool needed, uint32_t most,
                             lk_text *text);
lk_status lk_field_read_number(const lk_field_reader *reader, const char *name, bool needed, uint64_t least,
                               uint64_t most, uint64_t *number);
/* A number that has a float. */
lk_status lk_field_read_score(const lk_field_reader *reader, const char *name, float *score);
lk_status lk_field_read_list(const lk_field_reader *reader, const char *name, lk_text_list *list);
lk_status lk_field_read_entry(const lk_field_reader *reader, const char *name, lk_entry *entry);

/* Whether `flags` has this word. */
bool lk_field_has_flag(const lk_field_reader *reader, const char *flag);

#endif
