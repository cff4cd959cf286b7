#include "engine/queue/fields.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/text.h"
#include "governance/policy/claims.h"

static const char *const op_names[LK_OPS] = {
    [LK_OP_IDENTIFY] = "identify", [LK_OP_VERIFY] = "verify", [LK_OP_ENROLL] = "enroll", [LK_OP_REPLACE] = "replace",
    [LK_OP_DELETE] = "delete",     [LK_OP_TAG] = "tag",       [LK_OP_EXPIRE] = "expire", [LK_OP_ERASE] = "erase",
    [LK_OP_LIST] = "list",         [LK_OP_STAT] = "stat"};

const char *lk_op_name(lk_op op) { return (uint32_t)op < LK_OPS ? op_names[op] : "?"; }

lk_op lk_op_find(lk_text name) {
  uint32_t op = 0;
  while (op < LK_OPS && !lk_text_equal(name, lk_text_of(op_names[op]))) op++;
  return (lk_op)op;
}

lk_op_kind lk_op_kind_of(lk_op op) {
  if (op <= LK_OP_VERIFY) return LK_OP_SEARCHES;
  return op <= LK_OP_ERASE ? LK_OP_CHANGES : LK_OP_ASKS;
}

/* Sets of operations. */
enum {
  ALL = (1 << LK_OPS) - 1,
  IDENTIFY = 1 << LK_OP_IDENTIFY,
  VERIFY = 1 << LK_OP_VERIFY,
  SEARCHES = IDENTIFY | VERIFY,
  ENROLLS = 1 << LK_OP_ENROLL | 1 << LK_OP_REPLACE,
  DELETE = 1 << LK_OP_DELETE,
  TAG = 1 << LK_OP_TAG,
  EXPIRE = 1 << LK_OP_EXPIRE,
  LIST = 1 << LK_OP_LIST
};

static const struct {
  const char *name;
  uint32_t ops;
} fields[] = {{"v", ALL},
              {"op", ALL},
              {"id", ALL},
              {"to", ALL},
              {"gallery", ALL},
              {"flags", ALL},
              {"ttl", ALL},
              {"granted", ALL},
              {"pending_since", ALL},
              {LK_SIGNATURE_FIELD, ALL},
              {"signed_ms", ALL},
              {"deployment", ALL},
              {"n", SEARCHES | ENROLLS},
              {"f32", SEARCHES | ENROLLS},
              {"f16", SEARCHES | ENROLLS},
              {"model", SEARCHES | ENROLLS},
              {"k", SEARCHES},
              {"threshold", SEARCHES},
              {"after", SEARCHES},
              {"by", IDENTIFY},
              {"fuse", IDENTIFY},
              {"subject", VERIFY},
              {"tags", SEARCHES | TAG},
              {"mask", SEARCHES | TAG},
              {"keys", IDENTIFY | DELETE | TAG | EXPIRE},
              {"subjects", IDENTIFY | DELETE},
              {"version", ENROLLS | DELETE | TAG | EXPIRE},
              {"labels", ENROLLS},
              {"unless_match", ENROLLS},
              {"expires", EXPIRE},
              {"cursor", LIST},
              {"count", LIST}};
enum { NAMES = sizeof fields / sizeof fields[0] };

/* The name of that number, the claims' after the others. */
static const char *name_of(const void *context, int i) {
  (void)context;
  return i < NAMES ? fields[i].name : lk_claims_name(i - NAMES);
}

static bool is_the_client_s(lk_text name) { return name.length >= 2 && memcmp(name.bytes, "x-", 2) == 0; }

bool lk_field_is_known(lk_text name) {
  if (is_the_client_s(name)) return true;
  for (int i = 0; i < NAMES + LK_CLAIMS_TEXTS; i++)
    if (lk_text_equal(name, lk_text_of(name_of(NULL, i)))) return true;
  return false;
}

bool lk_field_belongs(lk_text name, lk_op op) {
  for (int i = 0; i < NAMES; i++)
    if (lk_text_equal(name, lk_text_of(fields[i].name))) return (fields[i].ops >> op & 1) != 0;
  return true;
}

const char *lk_field_nearest(lk_text name) { return lk_text_nearest(name, name_of, NULL, NAMES + LK_CLAIMS_TEXTS); }

const lk_field *lk_field_find(const lk_field_reader *r, const char *name) {
  for (size_t i = r->count; i-- > 0;)
    if (lk_text_equal(r->fields[i].name, lk_text_of(name))) return &r->fields[i];
  return NULL;
}

lk_status lk_field_malformed(const lk_field_reader *r, const lk_field *field, const char *why) {
  int shown = field->length < 40 ? (int)field->length : 40;
  return lk_fail(r->error, LK_EBADJOB, "field %.*s: '%.*s' %s", (int)field->name.length, field->name.bytes, shown,
                 field->value, why);
}

lk_status lk_field_read_text(const lk_field_reader *r, const char *name, bool needed, uint32_t most, lk_text *text) {
  const lk_field *field = lk_field_find(r, name);
  *text = (lk_text){0};
  if (field == NULL || field->length == 0)
    return needed ? lk_fail(r->error, LK_EBADJOB, "field %s is missing", name) : LK_OK;
  if (field->length > most)
    return lk_fail(r->error, LK_EBADJOB, "field %s: %zu bytes; at most %u are allowed", name, field->length, most);
  lk_text read = lk_field_text(field);
  const char *fault = lk_text_fault(read);
  if (fault != NULL) return lk_fail(r->error, LK_EBADJOB, "field %s %s", name, fault);
  *text = read;
  return LK_OK;
}

/* Copies a number's digits so that strto... can end on a NUL. */
static bool copy_digits(const lk_field *field, char digits[40]) {
  if (field->length == 0 || field->length >= 40 || memchr(field->value, 0, field->length) != NULL) return false;
  memcpy(digits, field->value, field->length);
  digits[field->length] = '\0';
  return digits[0] > ' ';
}

lk_status lk_field_read_number(const lk_field_reader *r, const char *name, bool needed, uint64_t least, uint64_t most,
                               uint64_t *number) {
  const lk_field *field = lk_field_find(r, name);
  if (field == NULL) return needed ? lk_fail(r->error, LK_EBADJOB, "field %s is missing", name) : LK_OK;
  char digits[40], *end;
  errno = 0;
  if (!copy_digits(field, digits) || digits[0] < '0' || digits[0] > '9' ||
      (*number = strtoull(digits, &end, 10), *end != '\0') || errno != 0)
    return lk_field_malformed(r, field, "is not a whole number");
  if (*number < least || *number > most)
    return lk_fail(r->error, LK_EBADJOB, "field %s: %llu is outside %llu .. %llu", name, (unsigned long long)*number,
                   (unsigned long long)least, (unsigned long long)most);
  return LK_OK;
}

lk_status lk_field_read_score(const lk_field_reader *r, const char *name, float *score) {
  const lk_field *field = lk_field_find(r, name);
  char digits[40];
  if (field == NULL) return LK_OK;
  if (!copy_digits(field, digits) || !lk_text_to_float(digits, score) || *score == INFINITY)
    return lk_field_malformed(r, field, "is not a number, or too large for a float");
  return LK_OK;
}

lk_status lk_field_read_list(const lk_field_reader *r, const char *name, lk_text_list *list) {
  const lk_field *field = lk_field_find(r, name);
  const char *fault = field != NULL ? lk_text_list_read(field->value, field->length, list) : NULL;
  return fault != NULL ? lk_fail(r->error, LK_EBADJOB, "field %s: text %u %s", name, list->count + 1, fault) : LK_OK;
}

lk_status lk_field_read_entry(const lk_field_reader *r, const char *name, lk_entry *entry) {
  const lk_field *field = lk_field_find(r, name);
  if (field == NULL || lk_entry_parse(field->value, field->length, entry)) return LK_OK;
  return lk_field_malformed(r, field, "is not the id of an entry");
}

bool lk_field_has_flag(const lk_field_reader *r, const char *flag) {
  const lk_field *field = lk_field_find(r, "flags");
  if (field == NULL) return false;
  for (size_t i = 0, begin = 0; i <= field->length; i++) {
    if (i < field->length && field->value[i] != ',') continue;
    if (i - begin == strlen(flag) && memcmp(field->value + begin, flag, i - begin) == 0) return true;
    begin = i + 1;
  }
  return false;
}
