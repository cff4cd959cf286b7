#include "index/formats/vectors/npy_header.h"

#include <stdlib.h>
#include <string.h>

#include "base/fail.h"

typedef struct reader {
  const char *at;
  const char *end;
} reader;

static void skip_spaces(reader *r) {
  while (r->at < r->end && (*r->at == ' ' || *r->at == '\n')) r->at++;
}

static bool take(reader *r, const char *token) {
  skip_spaces(r);
  size_t length = strlen(token);
  if ((size_t)(r->end - r->at) < length || memcmp(r->at, token, length) != 0) return false;
  r->at += length;
  return true;
}

static bool is_next(reader *r, const char *token) {
  const char *at = r->at;
  bool found = take(r, token);
  r->at = at;
  return found;
}

static bool take_string(reader *r, char *out, size_t capacity) {
  skip_spaces(r);
  if (r->at == r->end || (*r->at != '\'' && *r->at != '"')) return false;
  char quote = *r->at++;
  size_t length = 0;
  while (r->at < r->end && *r->at != quote && length + 1 < capacity) out[length++] = *r->at++;
  out[length] = '\0';
  return r->at < r->end && *r->at++ == quote;
}

/* A string whose content does not matter: the name of a field. */
static bool skip_string(reader *r) {
  skip_spaces(r);
  if (r->at == r->end || (*r->at != '\'' && *r->at != '"')) return false;
  char quote = *r->at++;
  while (r->at < r->end && *r->at != quote) r->at += *r->at == '\\' && r->end - r->at > 1 ? 2 : 1;
  return r->at < r->end && *r->at++ == quote;
}

static bool take_number(reader *r, uint64_t *out) {
  skip_spaces(r);
  const char *first = r->at;
  for (*out = 0; r->at < r->end && *r->at >= '0' && *r->at <= '9'; r->at++) {
    if (*out > UINT64_MAX / 10 - 1) return false;
    *out = *out * 10 + (uint64_t)(*r->at - '0');
  }
  bool found = r->at > first;
  if (found && r->at < r->end && *r->at == 'L') r->at++; /* Python 2 wrote 2L */
  return found;
}

/* Numbers in parentheses; `count` stops at LK_NPY_DIMENSIONS. */
static bool take_shape(reader *r, uint64_t shape[LK_NPY_DIMENSIONS], uint32_t *count) {
  if (!take(r, "(")) return false;
  for (*count = 0; !take(r, ")"); *count += *count < LK_NPY_DIMENSIONS) {
    if (!take_number(r, &shape[*count < LK_NPY_DIMENSIONS ? *count : LK_NPY_DIMENSIONS - 1])) return false;
    if (!take(r, ",")) {
      *count += *count < LK_NPY_DIMENSIONS;
      return take(r, ")");
    }
  }
  return true;
}

/* One type, such as "<f4": its bytes, its kind and order. */
typedef struct type {
  char descr[LK_NPY_DESCR];
  char kind;
  bool big_endian;
  uint64_t number, bytes;
} type;

/* A record within a record; what it is made of does not matter. */
static bool skip_record(reader *r) {
  uint32_t depth = 0;
  do {
    skip_spaces(r);
    if (r->at == r->end) return false;
    if (*r->at == '\'' || *r->at == '"') {
      if (!skip_string(r)) return false;
      continue;
    }
    depth += *r->at == '[';
    depth -= *r->at == ']';
    r->at++;
  } while (depth > 0);
  return true;
}

static bool take_type(reader *r, type *t) {
  if (is_next(r, "[")) return t->kind = '?', skip_record(r);
  if (!take_string(r, t->descr, sizeof t->descr)) return false;
  if (strlen(t->descr) < 2 || strchr("<>|=", t->descr[0]) == NULL) return t->kind = '?', t->bytes = 0, true;
  t->big_endian = t->descr[0] == '>';
  t->kind = t->descr[1];
  t->number = strtoull(t->descr + 2, NULL, 10);
  t->bytes = t->kind == 'U' ? 4 * (t->number & UINT32_MAX) : t->kind == 'O' ? 8 : t->number;
  return true;
}

static void set_type(lk_npy_header *h, const type *t) {
  memcpy(h->descr, t->descr, sizeof h->descr);
  h->kind = t->kind;
  h->big_endian = t->big_endian;
  h->element_size = t->number;
}

/* What is known of a structured dtype while its fields are read. */
typedef struct record {
  uint64_t bytes, fields, arrays; /* arrays: fields that are arrays of floats */
  bool same;                      /* all fields are scalars of the first one's type */
  bool unknown;                   /* a field is of a type whose size is not known */
  type first, array;
  uint64_t array_begin, array_elements;
} record;

static bool count_elements(const uint64_t *shape, uint32_t dimensions, uint64_t *elements) {
  *elements = 1;
  for (uint32_t i = 0; i < dimensions; i++)
    if (__builtin_mul_overflow(*elements, shape[i], elements)) return false;
  return dimensions < LK_NPY_DIMENSIONS;
}

/* ('name', '<f4'), ('name', '<f4', (3,)) or (('title', 'name'), '<f4'). */
static bool take_field(reader *r, record *fields) {
  type t = {0};
  uint64_t shape[LK_NPY_DIMENSIONS], elements = 1, bytes;
  uint32_t dimensions = 0;
  if (!take(r, "(")) return false;
  bool named = take(r, "(") ? skip_string(r) && take(r, ",") && skip_string(r) && take(r, ")") : skip_string(r);
  if (!named || !take(r, ",") || !take_type(r, &t)) return false;
  bool is_array = take(r, ",") && is_next(r, "(");
  if (is_array && (!take_shape(r, shape, &dimensions) || !count_elements(shape, dimensions, &elements))) return false;
  if (is_array) take(r, ",");
  if (!take(r, ")")) return false;
  if (fields->fields++ == 0) fields->first = t, fields->same = true;
  fields->unknown = fields->unknown || t.kind == '?';
  fields->same = fields->same && !is_array && strcmp(t.descr, fields->first.descr) == 0;
  if (is_array && t.kind == 'f') {
    fields->arrays++;
    fields->array = t;
    fields->array_begin = fields->bytes;
    fields->array_elements = elements;
  }
  return !__builtin_mul_overflow(elements, t.bytes, &bytes) &&
         !__builtin_add_overflow(fields->bytes, bytes, &fields->bytes);
}

static bool take_record(reader *r, lk_npy_header *h) {
  record fields = {0};
  if (!take(r, "[")) return false;
  while (!take(r, "]")) {
    if (!take_field(r, &fields)) return false;
    if (take(r, ",")) continue;
    if (!take(r, "]")) return false;
    break;
  }
  bool one_array = fields.arrays == 1;
  h->is_structured = true;
  h->is_uniform = !fields.unknown && (one_array || (fields.same && fields.first.kind == 'f'));
  h->item_bytes = fields.bytes;
  h->item_elements = one_array ? fields.array_elements : fields.fields;
  h->first_element = one_array ? fields.array_begin : 0;
  set_type(h, one_array ? &fields.array : &fields.first);
  return true;
}

static bool take_descr(reader *r, lk_npy_header *h) {
  if (is_next(r, "[")) return take_record(r, h);
  type t = {0};
  if (!take_type(r, &t)) return false;
  set_type(h, &t);
  h->is_uniform = true;
  h->item_bytes = t.bytes;
  h->item_elements = 1;
  return true;
}

/* A key that comes twice would leave the header with parts of both values. */
static bool take_entry(reader *r, lk_npy_header *h, unsigned *seen) {
  static const char *const keys[] = {"descr", "fortran_order", "shape"};
  char key[16];
  unsigned number = 0;
  if (!take_string(r, key, sizeof key) || !take(r, ":")) return false;
  while (number < 3 && strcmp(key, keys[number]) != 0) number++;
  if (number == 3 || (*seen >> number & 1) != 0) return false;
  *seen |= 1U << number;
  if (number == 0) return take_descr(r, h);
  if (number == 2) return take_shape(r, h->shape, &h->dimensions);
  h->fortran = take(r, "True");
  return h->fortran || take(r, "False");
}

static bool parse(const char *text, size_t length, lk_npy_header *h) {
  reader r = {.at = text, .end = text + length};
  unsigned seen = 0;
  if (!take(&r, "{")) return false;
  while (!take(&r, "}")) {
    if (!take_entry(&r, h, &seen)) return false;
    if (!take(&r, ",")) {
      if (!take(&r, "}")) return false;
      break;
    }
  }
  skip_spaces(&r);
  return seen == 7 && r.at == r.end;
}

/* Finds the offset of the header's text; 0: the file is too short, or not an .npy file. */
static size_t text_start(const unsigned char *data, size_t size, size_t *length) {
  if (size < 12 || memcmp(data, "\x93NUMPY", 6) != 0 || data[6] < 1 || data[6] > 3) return 0;
  bool wide = data[6] > 1;
  *length = data[8] | (size_t)data[9] << 8;
  if (wide) *length |= (size_t)data[10] << 16 | (size_t)data[11] << 24;
  size_t start = wide ? 12 : 10;
  return *length <= size - start ? start : 0;
}

lk_status lk_npy_header_read(const char *name, const void *data, size_t size, lk_npy_header *header, lk_error *error) {
  *header = (lk_npy_header){0};
  if (size == 0) return lk_fail(error, LK_EFORMAT, "%s: the file is empty", name);
  size_t length = 0, start = text_start(data, size, &length);
  if (start == 0) return lk_fail(error, LK_EFORMAT, "%s: not an .npy file, or cut off in its header", name);
  if (!parse((const char *)data + start, length, header))
    return lk_fail(error, LK_EFORMAT, "%s: its .npy header is malformed", name);
  header->body = start + length;
  return LK_OK;
}

lk_status lk_npy_header_check_body(const char *name, const lk_npy_header *header, uint64_t items, size_t size,
                                   lk_error *error) {
  uint64_t wanted, body = size - header->body;
  if (!__builtin_mul_overflow(items, header->item_bytes, &wanted) && wanted == body) return LK_OK;
  return lk_fail(error, LK_EFORMAT, "%s: the header promises %llu items of %llu bytes, but %llu bytes follow it", name,
                 (unsigned long long)items, (unsigned long long)header->item_bytes, (unsigned long long)body);
}
