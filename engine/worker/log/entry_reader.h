/* Reads an entry of a gallery's log: its place, and the fields of the change. Pure: it knows no Redis and no gallery.
 */
#ifndef ENGINE_WORKER_LOG_ENTRY_READER_H
#define ENGINE_WORKER_LOG_ENTRY_READER_H

#include "engine/worker/log/log_fields.h"
#include "index/journal/log_mark.h"

typedef struct lk_log_record {
  lk_log_mark mark;
  char prev[LK_LOG_HASH_DIGITS + 1];
  uint64_t number, rows; /* of its first row, and how many it has */
  lk_log_fields fields;  /* the change's; they point into what was read */
} lk_log_record;

/* Reads the id and all fields of an entry. LK_EFORMAT names the field that is not as the log has it. */
lk_status lk_log_record_read(const char *id, const lk_field *fields, size_t count, lk_log_record *record,
                             lk_error *error);

#endif
