/* Reads the fields of a job by their names. LK_EBADJOB names the field. A field that is not there leaves what it is
 * read into as it is, unless it is needed. */
#ifndef ENGINE_QUEUE_FIELDS_FIELD_READER_H
#define ENGINE_QUEUE_FIELDS_FIELD_READER_H

#include "engine/queue/entry.h"
#include "engine/queue/signature.h"
#include "engine/queue/text_list.h"

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
