#include "index/journal/record.h"

#include <fenv.h>
#include <string.h>

#include "base/text.h"
#include "index/formats/element.h"
#include "index/formats/vector.h"
#include "index/journal/log_note.h"

/* The fields of a record that not every kind has. */
enum {
  NUMBER = 1,
  TAGS = 2,
  MASK = 4,
  EXPIRY = 8,
  VECTOR = 16,
  KEY = 32,
  SUBJECT = 64,
  GROUP = 128,
  METADATA = 256,
  NOTE = 512
};

static unsigned fields_of(lk_record_kind kind) {
  switch (kind) {
    case LK_RECORD_ENROLL:
      return NUMBER | TAGS | EXPIRY | VECTOR | KEY | SUBJECT | GROUP | METADATA;
    case LK_RECORD_DELETE_KEY:
      return KEY;
    case LK_RECORD_DELETE_SUBJECT:
      return SUBJECT;
    case LK_RECORD_TAG:
      return TAGS | MASK | KEY;
    case LK_RECORD_EXPIRE:
      return EXPIRY | KEY;
    case LK_RECORD_SEAL:
      return NUMBER;
    case LK_RECORD_LOG:
      return NOTE;
  }
  return 0;
}

/* What a record begins with on the disk; the vector, key, subject, group and metadata or the note
 * follow, then zeros up to a multiple of 8 bytes. The number of a LOG is the size of its note. */
typedef struct body {
  uint64_t version, number, tags, mask, expires_ms;
  uint8_t element, key_bytes, subject_bytes, group_bytes;
  uint16_t metadata_bytes, reserved;
} body;

_Static_assert(sizeof(body) == 48, "as docs/format.md says");

static lk_status fail(const char *field, const char *fault, lk_error *error) {
  return lk_fail(error, LK_EINVAL, "its %s %s", field, fault);
}

static lk_status check_text(const char *field, lk_text text, bool has, bool needed, lk_error *error) {
  if (!has) return text.length == 0 ? LK_OK : fail(field, "should not be there", error);
  if (needed && text.length == 0) return fail(field, "is empty", error);
  const char *fault = lk_text_fault(text);
  return fault == NULL ? LK_OK : fail(field, fault, error);
}

static lk_status check_texts(unsigned fields, const lk_record *record, lk_error *error) {
  lk_status status = check_text("key", record->key, fields & KEY, true, error);
  if (status == LK_OK) status = check_text("subject", record->subject, fields & SUBJECT, true, error);
  if (status == LK_OK) status = check_text("group", record->group, fields & GROUP, false, error);
  if (status != LK_OK || record->metadata_bytes == 0) return status;
  if ((fields & METADATA) == 0) return fail("metadata", "should not be there", error);
  return record->metadata_bytes <= LK_METADATA_MAX ? LK_OK : fail("metadata", "is longer than 256 bytes", error);
}

static lk_status check_numbers(unsigned fields, const lk_record *record, lk_error *error) {
  uint64_t most = record->kind == LK_RECORD_SEAL ? UINT32_MAX : (fields & NUMBER) != 0 ? INT64_MAX : 0;
  if (record->number > most || (record->kind == LK_RECORD_SEAL && record->number == 0))
    return fail("number", "is out of range", error);
  if ((fields & MASK) != 0 ? record->mask == 0 : record->mask != 0) return fail("mask", "is out of range", error);
  uint64_t allowed = (fields & MASK) != 0 ? record->mask : (fields & TAGS) != 0 ? UINT64_MAX : 0;
  if ((record->tags & ~allowed) != 0) return fail("tags", "are not all within its mask", error);
  if ((fields & EXPIRY) != 0 ? record->expires_ms == 0 : record->expires_ms != 0)
    return fail("expiry", "is out of range", error);
  return LK_OK;
}

/* A vector is held against what a row of the gallery can be, in the arithmetic that every other process has: what is
 * taken here must be taken when it is read. */
static const char *vector_fault(lk_shape shape, const lk_record *record) {
  float row[LK_DIM_MAX];
  fenv_t callers;
  lk_vectors vectors = {.data = record->vector, .rows = 1, .dim = shape.dim, .element = record->element};
  fegetenv(&callers);
  fesetenv(FE_DFL_ENV);
  const char *fault = lk_vector_prepare(shape.metric, &vectors, 0, row);
  if (fault == NULL) fault = lk_vector_round(shape.metric, shape.store, row, shape.dim);
  fesetenv(&callers);
  return fault;
}

static lk_status check_vector(lk_shape shape, unsigned fields, const lk_record *record, lk_error *error) {
  bool has = (fields & VECTOR) != 0;
  if (has != (record->vector != NULL) || (!has && record->element != 0))
    return fail("vector", has ? "is missing" : "should not be there", error);
  if (!has) return LK_OK;
  if ((unsigned)record->element > LK_U64) return fail("vector", "has elements of an unknown type", error);
  const char *fault = vector_fault(shape, record);
  return fault == NULL ? LK_OK : fail("vector", fault, error);
}

static lk_status check_note(unsigned fields, const lk_record *record, lk_error *error) {
  lk_log_note note;
  bool has = (fields & NOTE) != 0;
  if (has != (record->note != NULL) || (!has && record->note_bytes != 0))
    return fail("entry of the log", has ? "is missing" : "should not be there", error);
  if (!has) return LK_OK;
  if (record->version != 0) return fail("version", "should not be there", error);
  return lk_log_note_decode(record->note, record->note_bytes, &note, error);
}

lk_status lk_record_check(lk_shape shape, const lk_record *record, lk_error *error) {
  unsigned fields = fields_of(record->kind);
  if (fields == 0) return lk_fail(error, LK_EINVAL, "it is of an unknown kind, %u", (unsigned)record->kind);
  lk_status status = check_numbers(fields, record, error);
  if (status == LK_OK) status = check_texts(fields, record, error);
  if (status == LK_OK) status = check_note(fields, record, error);
  return status == LK_OK ? check_vector(shape, fields, record, error) : status;
}

static uint32_t vector_bytes(lk_shape shape, const lk_record *record) {
  return record->vector != NULL ? shape.dim * lk_element_bytes(record->element) : 0;
}

static uint32_t used_bytes(lk_shape shape, const lk_record *record) {
  return (uint32_t)sizeof(body) + vector_bytes(shape, record) + record->key.length + record->subject.length +
         record->group.length + record->metadata_bytes + record->note_bytes;
}

uint32_t lk_record_bytes(lk_shape shape, const lk_record *record) { return (used_bytes(shape, record) + 7) / 8 * 8; }

static char *put(char *at, const void *bytes, size_t size) {
  if (size > 0) memcpy(at, bytes, size);
  return at + size;
}

void lk_record_encode(lk_shape shape, const lk_record *record, void *bytes) {
  body head = {.version = record->version,
               .number = record->kind == LK_RECORD_LOG ? record->note_bytes : record->number,
               .tags = record->tags,
               .mask = record->mask,
               .expires_ms = record->expires_ms,
               .element = (uint8_t)record->element,
               .key_bytes = (uint8_t)record->key.length,
               .subject_bytes = (uint8_t)record->subject.length,
               .group_bytes = (uint8_t)record->group.length,
               .metadata_bytes = (uint16_t)record->metadata_bytes};
  char *at = put(bytes, &head, sizeof head);
  at = put(at, record->vector, vector_bytes(shape, record));
  at = put(at, record->key.bytes, record->key.length);
  at = put(at, record->subject.bytes, record->subject.length);
  at = put(at, record->group.bytes, record->group.length);
  at = put(at, record->metadata, record->metadata_bytes);
  at = put(at, record->note, record->note_bytes);
  memset(at, 0, lk_record_bytes(shape, record) - used_bytes(shape, record));
}

static lk_text take_text(const char **at, uint32_t length) {
  lk_text text = {.bytes = length > 0 ? *at : NULL, .length = length};
  *at += length;
  return text;
}

static bool all_zeros(const char *from, const char *end) {
  for (; from < end; from++)
    if (*from != 0) return false;
  return true;
}

lk_status lk_record_decode(lk_shape shape, uint32_t kind, const void *bytes, size_t size, lk_record *record,
                           lk_error *error) {
  body head;
  const char *at = (const char *)bytes + sizeof head, *end = (const char *)bytes + size;
  if (size < sizeof head) return lk_fail(error, LK_EINVAL, "it is too short");
  memcpy(&head, bytes, sizeof head);
  if (head.element > LK_U64) return fail("vector", "has elements of an unknown type", error);
  unsigned fields = fields_of((lk_record_kind)kind);
  bool has_vector = (fields & VECTOR) != 0, has_note = (fields & NOTE) != 0;
  if (has_note && head.number > size) return lk_fail(error, LK_EINVAL, "its entry of the log is longer than it");
  *record = (lk_record){.kind = (lk_record_kind)kind,
                        .version = head.version,
                        .number = has_note ? 0 : head.number,
                        .tags = head.tags,
                        .mask = head.mask,
                        .expires_ms = head.expires_ms,
                        .key.length = head.key_bytes,
                        .subject.length = head.subject_bytes,
                        .group.length = head.group_bytes,
                        .metadata_bytes = head.metadata_bytes,
                        .element = (lk_element)head.element,
                        .vector = has_vector ? at : NULL,
                        .note_bytes = has_note ? (uint32_t)head.number : 0};
  if (lk_record_bytes(shape, record) != size || head.reserved != 0)
    return lk_fail(error, LK_EINVAL, "its lengths do not add up to its size");
  at += vector_bytes(shape, record);
  record->key = take_text(&at, head.key_bytes);
  record->subject = take_text(&at, head.subject_bytes);
  record->group = take_text(&at, head.group_bytes);
  record->metadata = head.metadata_bytes > 0 ? at : NULL;
  at += head.metadata_bytes;
  record->note = has_note ? at : NULL;
  if (!all_zeros(at + record->note_bytes, end)) return lk_fail(error, LK_EINVAL, "zeros do not end it");
  return lk_record_check(shape, record, error);
}
