/* Members are written in the order of their names, without spaces, so the line is the canonical JSON of its object. The
 * encoder is our own because jansson would build a tree for every record; the tests compare the two. */
#include "governance/audit/record.h"

#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/text.h"

#define HASH_TAG "likeness-audit-record-1\n"
#define LINE_BEGIN "{\"_hash\":\""

enum {
  HASH_AT = sizeof LINE_BEGIN - 1,
  HASH_LENGTH = LK_AUDIT_HEX - 1,
  REST_AT = HASH_AT + HASH_LENGTH + 2, /* after `",` */
};

typedef enum kind { TEXT, TEXTS, NUMBER, BOOL, SCORE, TYPE } kind;

#define BIT(type) (1u << LK_AUDIT_##type)
enum {
  ALL = -1,
  POLICY = BIT(POLICY_LOADED) | BIT(POLICY_REFUSED),
  DECISION = BIT(DECISION),
  SEARCH = BIT(DECISION) | BIT(RESULT),
  DONE = BIT(ENROLL) | BIT(DELETE) | BIT(TAG) | BIT(EXPIRE) | BIT(ERASE) | BIT(EXPORT) | BIT(EVALUATE),
  BINDING = BIT(BOUND) | BIT(UNBOUND),
  FIRST = BIT(OPENED) | BIT(ROTATED), /* the first of a file */
};

typedef struct field {
  const char *name;
  kind kind;
  size_t offset;
  int types; /* bits of the types that have the member */
} field;

#define RECORD(member) offsetof(lk_audit_entry, record.member)
#define ENTRY(member) offsetof(lk_audit_entry, member)
static const field fields[] = {
    {"actor", TEXT, RECORD(actor), DECISION},
    {"authenticated", BOOL, RECORD(authenticated), DECISION},
    {"authorisation", TEXT, RECORD(authorisation), DECISION},
    {"candidates", NUMBER, RECORD(candidates), BIT(RESULT)},
    {"cap", NUMBER, RECORD(cap), DECISION},
    {"case", TEXT, RECORD(case_id), DECISION},
    {"cut", NUMBER, ENTRY(cut), BIT(OPENED)},
    {"entry", TEXT, RECORD(entry), DECISION},
    {"epoch", NUMBER, RECORD(epoch), SEARCH | DONE | BINDING},
    {"file", TEXT, RECORD(file), POLICY | BINDING},
    {"filter_hash", TEXT, RECORD(filter_hash), DECISION},
    {"gallery", TEXT, RECORD(gallery), SEARCH | DONE | BINDING | BIT(LOST)},
    {"id", TEXT, RECORD(id), SEARCH | DONE},
    {"jurisdiction", TEXT, RECORD(jurisdiction), DECISION},
    {"key", TEXT, ENTRY(key), FIRST},
    {"line", NUMBER, RECORD(line), BIT(POLICY_REFUSED)},
    {"log", TEXT, ENTRY(log), FIRST},
    {"model", TEXT, RECORD(model), DECISION | DONE},
    {"narrowing", TEXT, RECORD(narrowing), DECISION},
    {"operation", TEXT, RECORD(operation), DECISION},
    {"other", TEXT, RECORD(other), BINDING | BIT(LOST)},
    {"permitted", BOOL, RECORD(permitted), DECISION},
    {"policy", TEXT, RECORD(policy), BIT(POLICY_LOADED) | SEARCH},
    {"previous", TEXT, ENTRY(previous), ALL},
    {"probes", NUMBER, RECORD(probes), SEARCH | BIT(EVALUATE)},
    {"probes_hash", TEXT, RECORD(probes_hash), DECISION},
    {"purpose", TEXT, RECORD(purpose), DECISION},
    {"reason", TEXT, RECORD(reason), SEARCH},
    {"released", BOOL, RECORD(released), BIT(RESULT)},
    {"reply_hash", TEXT, RECORD(reply_hash), BIT(RESULT)},
    {"rules", TEXTS, RECORD(rules), SEARCH},
    {"searched", NUMBER, RECORD(searched), SEARCH},
    {"seen", NUMBER, RECORD(seen), BIT(LOST)},
    {"sequence", NUMBER, ENTRY(sequence), ALL},
    {"signature", TEXT, ENTRY(signature), BIT(HEAD)},
    {"signed", TEXT, RECORD(signed_hash), SEARCH},
    {"templates", NUMBER, RECORD(templates), DONE},
    {"threshold", SCORE, RECORD(threshold), DECISION},
    {"time", NUMBER, RECORD(time_ms), ALL},
    {"total", NUMBER, RECORD(total), SEARCH},
    {"type", TYPE, RECORD(type), ALL},
    {"version", NUMBER, ENTRY(version), FIRST},
};
enum { FIELDS = sizeof fields / sizeof fields[0], NAME_BYTES = 32, TEXT_BYTES = 2 * LK_TEXT_MAX + 3 };

/* Therefore the encoder need not check how much space is left. */
_Static_assert(REST_AT + FIELDS * (NAME_BYTES + TEXT_BYTES) + LK_AUDIT_RULES_MAX * TEXT_BYTES < LK_AUDIT_LINE_MAX, "");

const char *lk_audit_type_name(lk_audit_type type) {
  static const char *const names[] = {
#define TYPE_NAME(name, text) text,
      LK_AUDIT_TYPE_MAP(TYPE_NAME)
#undef TYPE_NAME
  };
  return (unsigned)type < LK_AUDIT_TYPES ? names[type] : "?";
}

void lk_audit_hash(const char *previous, const char *line, size_t length, char hash[LK_AUDIT_HEX]) {
  crypto_hash_sha256_state state;
  unsigned char digest[crypto_hash_sha256_BYTES];
  crypto_hash_sha256_init(&state);
  crypto_hash_sha256_update(&state, (const unsigned char *)HASH_TAG, sizeof HASH_TAG - 1);
  crypto_hash_sha256_update(&state, (const unsigned char *)previous, HASH_LENGTH);
  crypto_hash_sha256_update(&state, (const unsigned char *)"\n{", 2);
  crypto_hash_sha256_update(&state, (const unsigned char *)line + REST_AT, length - REST_AT);
  crypto_hash_sha256_final(&state, digest);
  sodium_bin2hex(hash, LK_AUDIT_HEX, digest, sizeof digest);
}

const char *lk_audit_line_hash(const char *line, size_t length) {
  bool begins = length > REST_AT && memcmp(line, LINE_BEGIN, HASH_AT) == 0 && memcmp(line + REST_AT - 2, "\",", 2) == 0;
  return begins ? line + HASH_AT : NULL;
}

static const void *member(const lk_audit_entry *entry, const field *f) { return (const char *)entry + f->offset; }

/* Empty texts, rules and thresholds are left out of the line. */
static bool is_empty(const lk_audit_entry *entry, const field *f) {
  switch (f->kind) {
    case TEXT:
      return ((const lk_text *)member(entry, f))->length == 0;
    case TEXTS:
      return entry->record.rules_count == 0;
    case NUMBER:
      return *(const uint64_t *)member(entry, f) == 0;
    case BOOL:
      return !*(const bool *)member(entry, f);
    default:
      return isinf(entry->record.threshold) && entry->record.threshold < 0;
  }
}

static bool has(lk_audit_type type, const field *f) { return (f->types & (int)(1u << type)) != 0; }

static const char *value_fault(const lk_audit_entry *entry, const field *f) {
  const lk_audit_record *r = &entry->record;
  const char *fault = NULL;
  if (f->kind == TEXT) return lk_text_fault(*(const lk_text *)member(entry, f));
  if (f->kind == NUMBER) return *(const uint64_t *)member(entry, f) > INT64_MAX ? "is too large" : NULL;
  if (f->kind == SCORE && !isfinite(r->threshold) && !is_empty(entry, f)) return "is not a number";
  if (f->kind != TEXTS) return NULL;
  if (r->rules_count > LK_AUDIT_RULES_MAX) return "are too many";
  for (uint32_t i = 0; fault == NULL && i < r->rules_count; i++) fault = lk_text_fault(r->rules[i]);
  return fault;
}

static lk_status check(const lk_audit_entry *entry, lk_error *error) {
  lk_audit_type type = entry->record.type;
  if ((unsigned)type >= LK_AUDIT_TYPES) return lk_fail(error, LK_EINVAL, "invalid audit record type %d", (int)type);
  for (const field *f = fields; f < fields + FIELDS; f++) {
    const char *fault = NULL;
    if (has(type, f))
      fault = value_fault(entry, f);
    else if (f->kind != SCORE && !is_empty(entry, f)) /* a threshold of 0 may simply not have been set */
      fault = "is not allowed";
    if (fault != NULL)
      return lk_fail(error, LK_EINVAL, "audit record %s: %s %s", lk_audit_type_name(type), f->name, fault);
  }
  return LK_OK;
}

static char *put(char *to, const char *bytes, size_t length) {
  memcpy(to, bytes, length);
  return to + length;
}

static char *put_text(char *to, lk_text text) {
  *to++ = '"';
  for (uint32_t i = 0; i < text.length; i++) {
    if (text.bytes[i] == '"' || text.bytes[i] == '\\') *to++ = '\\';
    *to++ = text.bytes[i];
  }
  *to++ = '"';
  return to;
}

static char *put_texts(char *to, const lk_text *texts, uint32_t count) {
  *to++ = '[';
  for (uint32_t i = 0; i < count; i++) {
    if (i > 0) *to++ = ',';
    to = put_text(to, texts[i]);
  }
  *to++ = ']';
  return to;
}

static char *put_number(char *to, uint64_t number) {
  char digits[20];
  int at = sizeof digits;
  do digits[--at] = (char)('0' + number % 10);
  while ((number /= 10) > 0);
  return put(to, digits + at, sizeof digits - (size_t)at);
}

/* jansson writes a decimal point in every locale; 9 digits restore the float exactly. NULL: out of memory. */
static char *put_score(char *to, float score) {
  json_t *real = json_real(score);
  size_t length = json_dumpb(real, to, TEXT_BYTES, JSON_ENCODE_ANY | JSON_REAL_PRECISION(9));
  json_decref(real);
  return length > 0 ? to + length : NULL;
}

static char *put_value(char *to, const lk_audit_entry *entry, const field *f) {
  switch (f->kind) {
    case TEXT:
      return put_text(to, *(const lk_text *)member(entry, f));
    case TEXTS:
      return put_texts(to, entry->record.rules, entry->record.rules_count);
    case NUMBER:
      return put_number(to, *(const uint64_t *)member(entry, f));
    case BOOL:
      return *(const bool *)member(entry, f) ? put(to, "true", 4) : put(to, "false", 5);
    case SCORE:
      return put_score(to, entry->record.threshold);
    default:
      return put_text(to, lk_text_of(lk_audit_type_name(entry->record.type)));
  }
}

static bool is_written(const lk_audit_entry *entry, const field *f) {
  bool may_be_left_out = f->kind == TEXT || f->kind == TEXTS || f->kind == SCORE;
  return has(entry->record.type, f) && !(may_be_left_out && is_empty(entry, f));
}

lk_status lk_audit_encode(const lk_audit_entry *entry, char *line, size_t *length, char hash[LK_AUDIT_HEX],
                          lk_error *error) {
  lk_status status = check(entry, error);
  if (status != LK_OK) return status;
  char *to = line + REST_AT;
  for (const field *f = fields; f < fields + FIELDS; f++) {
    if (!is_written(entry, f)) continue;
    if (to > line + REST_AT) *to++ = ',';
    to = put_text(to, lk_text_of(f->name));
    *to++ = ':';
    to = put_value(to, entry, f);
    if (to == NULL) return lk_fail_memory(error);
  }
  *to++ = '}';
  *length = (size_t)(to - line);
  lk_audit_hash(entry->previous.bytes, line, *length, hash);
  memcpy(line, LINE_BEGIN, HASH_AT);
  memcpy(line + HASH_AT, hash, HASH_LENGTH);
  memcpy(line + REST_AT - 2, "\",", 2);
  return LK_OK;
}

static bool get_text(const json_t *value, lk_text *text) {
  if (!json_is_string(value) || json_string_length(value) > LK_TEXT_MAX) return false;
  *text = (lk_text){.bytes = json_string_value(value), .length = (uint32_t)json_string_length(value)};
  return true;
}

static bool get_texts(const json_t *value, lk_audit_record *record) {
  if (!json_is_array(value) || json_array_size(value) > LK_AUDIT_RULES_MAX) return false;
  record->rules_count = (uint32_t)json_array_size(value);
  for (uint32_t i = 0; i < record->rules_count; i++)
    if (!get_text(json_array_get(value, i), &record->rules[i])) return false;
  return true;
}

static bool get_type(const json_t *value, lk_audit_type *type) {
  for (int i = 0; i < LK_AUDIT_TYPES; i++)
    if (json_is_string(value) && strcmp(json_string_value(value), lk_audit_type_name((lk_audit_type)i)) == 0) {
      *type = (lk_audit_type)i;
      return true;
    }
  return false;
}

static bool get_value(const json_t *value, const field *f, lk_audit_entry *entry) {
  void *to = (char *)entry + f->offset;
  switch (f->kind) {
    case TEXT:
      return get_text(value, to);
    case TEXTS:
      return get_texts(value, &entry->record);
    case NUMBER:
      *(uint64_t *)to = (uint64_t)json_integer_value(value);
      return json_is_integer(value) && json_integer_value(value) >= 0;
    case BOOL:
      *(bool *)to = json_is_true(value);
      return json_is_boolean(value);
    case SCORE:
      entry->record.threshold = (float)json_real_value(value);
      return json_is_real(value);
    default:
      return get_type(value, &entry->record.type);
  }
}

lk_status lk_audit_decode(const char *line, size_t length, lk_audit_entry *entry, lk_error *error) {
  *entry = (lk_audit_entry){.record.threshold = -INFINITY};
  json_error_t at;
  json_t *root = json_loadb(line, length, JSON_REJECT_DUPLICATES, &at);
  if (root == NULL) return lk_fail(error, LK_EFORMAT, "not JSON: %s", at.text);
  entry->memory = root;
  lk_status status = LK_OK;
  for (const field *f = fields; status == LK_OK && f < fields + FIELDS; f++) {
    const json_t *value = json_object_get(root, f->name);
    if (value != NULL && !get_value(value, f, entry)) status = lk_fail(error, LK_EFORMAT, "%s is malformed", f->name);
  }
  if (status == LK_OK && json_object_get(root, "type") == NULL)
    status = lk_fail(error, LK_EFORMAT, "the record has no type");
  if (status != LK_OK) lk_audit_entry_free(entry);
  return status;
}

void lk_audit_entry_free(lk_audit_entry *entry) {
  json_decref(entry->memory);
  entry->memory = NULL;
}
