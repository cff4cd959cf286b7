/* The fields of a change, as they stand in its log: names and values, `op`, `id` and `to` first. As one run of bytes
 * they are kept with what the change did, so that it can be answered, or appended to the log, again. Pure. */
#ifndef ENGINE_WORKER_LOG_LOG_FIELDS_H
#define ENGINE_WORKER_LOG_LOG_FIELDS_H

#include <stdbool.h>

#include "engine/queue/bytes.h"
#include "engine/queue/signature.h"

/* Texts point into what they were read from. */
typedef struct lk_log_fields {
  lk_field all[LK_FIELDS_MAX + 4];
  size_t count;
} lk_log_fields;

/* False: there is no room for one more. */
bool lk_log_fields_add(lk_log_fields *fields, lk_text name, const void *value, size_t length);
static inline bool lk_log_fields_add_text(lk_log_fields *fields, const char *name, const char *value) {
  lk_text text = {.bytes = name, .length = (uint32_t)strlen(name)};
  return lk_log_fields_add(fields, text, value, strlen(value));
}

/* The value of the last field of that name; NULL: there is none. */
const lk_field *lk_log_fields_find(const lk_log_fields *fields, const char *name);

/* Appends the fields as bytes, and reads them again; false: these are not such bytes. */
void lk_log_fields_pack(const lk_log_fields *fields, lk_bytes *packed);
bool lk_log_fields_unpack(const char *packed, size_t length, lk_log_fields *fields);

#endif
