#include "engine/worker/log/entry_reader.h"

#include <stdlib.h>

#include "base/fail.h"
#include "base/text.h"
#include "engine/queue/entry.h"
#include "engine/queue/job.h"

/* What the log gives an entry, in this order; the change's own fields follow. */
typedef enum place { SEQ, TERM, PREV, HASH, NUMBER, ROWS, PLACES } place;

static const char *const names[PLACES] = {"seq", "term", "prev", "hash", "number", "rows"};
static const char *const firsts[] = {"op", "id", "to"};

enum { DIGITS = 20, FIRSTS = 3 };

static lk_status fail(const char *id, const char *name, const char *why, lk_error *error) {
  return lk_fail(error, LK_EFORMAT, "entry %.48s of the log: field %s %s", id, name, why);
}

static bool read_number(const lk_field *field, uint64_t *number) {
  *number = 0;
  if (field->length < 1 || field->length > DIGITS || (field->length > 1 && field->value[0] == '0')) return false;
  for (size_t i = 0; i < field->length; i++) {
    if (field->value[i] < '0' || field->value[i] > '9') return false;
    if (__builtin_mul_overflow(*number, 10, number) ||
        __builtin_add_overflow(*number, (uint64_t)(field->value[i] - '0'), number))
      return false;
  }
  return true;
}

static bool read_hash(const lk_field *field, char hash[LK_LOG_HASH_DIGITS + 1]) {
  if (field->length != LK_LOG_HASH_DIGITS) return false;
  memcpy(hash, field->value, LK_LOG_HASH_DIGITS);
  hash[LK_LOG_HASH_DIGITS] = '\0';
  return strspn(hash, "0123456789abcdef") == LK_LOG_HASH_DIGITS;
}

static lk_status read_place(const char *id, const lk_field *fields, lk_log_record *record, lk_error *error) {
  lk_log_mark *mark = &record->mark;
  struct {
    uint64_t *number;
    char *hash;
  } to[PLACES] = {{&mark->seq, NULL}, {&mark->term, NULL},     {NULL, record->prev},
                  {NULL, mark->hash}, {&record->number, NULL}, {&record->rows, NULL}};
  for (int i = 0; i < PLACES; i++) {
    bool reads = to[i].number != NULL ? read_number(&fields[i], to[i].number) : read_hash(&fields[i], to[i].hash);
    if (!reads) return fail(id, names[i], to[i].number != NULL ? "is not a whole number" : "is not a hash", error);
  }
  if (mark->seq == 0) return fail(id, names[SEQ], "is 0", error);
  return record->rows <= LK_JOB_PROBES_MAX ? LK_OK : fail(id, names[ROWS], "is too large", error);
}

static lk_status check_names(const char *id, const lk_field *fields, size_t count, lk_error *error) {
  if (count < PLACES + FIRSTS || count - PLACES > LK_FIELDS_MAX)
    return lk_fail(error, LK_EFORMAT, "entry %.48s of the log has %zu fields", id, count);
  for (int i = 0; i < PLACES + FIRSTS; i++) {
    const char *name = i < PLACES ? names[i] : firsts[i - PLACES];
    if (!lk_text_equal(fields[i].name, lk_text_of(name))) return fail(id, name, "is not where it should be", error);
  }
  return LK_OK;
}

lk_status lk_log_record_read(const char *id, const lk_field *fields, size_t count, lk_log_record *record,
                             lk_error *error) {
  lk_entry entry;
  *record = (lk_log_record){0};
  if (!lk_entry_parse(id, strlen(id), &entry))
    return lk_fail(error, LK_EFORMAT, "the log has an entry whose id '%.48s' is none", id);
  lk_status status = check_names(id, fields, count, error);
  if (status == LK_OK) status = read_place(id, fields, record, error);
  if (status != LK_OK) return status;
  record->mark.ms = entry.ms;
  record->mark.n = entry.sequence;
  for (size_t i = PLACES; i < count; i++)
    lk_log_fields_add(&record->fields, fields[i].name, fields[i].value, fields[i].length);
  return LK_OK;
}
