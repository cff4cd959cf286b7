#include "index/formats/npy.h"

#include <stdlib.h>
#include <string.h>

#include "base/fail.h"

static const struct {
  const char *descr;
  lk_element element;
  size_t size;
} elements[] = {{"<f4", LK_F32, 4}, {"<f8", LK_F64, 8}, {"<f2", LK_F16, 2}, {"|u1", LK_U8, 1}, {"<u1", LK_U8, 1}};

/* The header is a Python dict literal with three keys. numpy writes it in one form only, and that form is what this
 * reads. */
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

static bool take_string(reader *r, char *out, size_t capacity) {
  skip_spaces(r);
  if (r->at == r->end || (*r->at != '\'' && *r->at != '"')) return false;
  char quote = *r->at++;
  size_t length = 0;
  while (r->at < r->end && *r->at != quote && length + 1 < capacity) out[length++] = *r->at++;
  out[length] = '\0';
  return r->at < r->end && *r->at++ == quote;
}

static bool take_number(reader *r, uint64_t *out) {
  skip_spaces(r);
  const char *first = r->at;
  for (*out = 0; r->at < r->end && *r->at >= '0' && *r->at <= '9'; r->at++) {
    if (*out > UINT64_MAX / 10 - 1) return false;
    *out = *out * 10 + (uint64_t)(*r->at - '0');
  }
  return r->at > first;
}

typedef struct header {
  char descr[16];
  bool fortran;
  uint64_t shape[3];
  uint32_t dimensions; /* 3 stands for more */
} header;

static bool take_shape(reader *r, header *h) {
  if (!take(r, "(")) return false;
  for (h->dimensions = 0; !take(r, ")"); h->dimensions += h->dimensions < 3) {
    if (!take_number(r, &h->shape[h->dimensions < 3 ? h->dimensions : 2])) return false;
    if (!take(r, ",")) {
      h->dimensions += h->dimensions < 3;
      return take(r, ")");
    }
  }
  return true;
}

static bool take_entry(reader *r, header *h, unsigned *seen) {
  char key[16];
  if (!take_string(r, key, sizeof key) || !take(r, ":")) return false;
  if (strcmp(key, "descr") == 0) return *seen |= 1, take_string(r, h->descr, sizeof h->descr);
  if (strcmp(key, "shape") == 0) return *seen |= 4, take_shape(r, h);
  if (strcmp(key, "fortran_order") != 0) return false;
  *seen |= 2;
  h->fortran = take(r, "True");
  return h->fortran || take(r, "False");
}

static bool parse_header(const char *text, size_t length, header *h) {
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
static size_t header_start(const unsigned char *data, size_t size, size_t *length) {
  if (size < 12 || memcmp(data, "\x93NUMPY", 6) != 0 || data[6] < 1 || data[6] > 3) return 0;
  bool wide = data[6] > 1;
  *length = data[8] | (size_t)data[9] << 8;
  if (wide) *length |= (size_t)data[10] << 16 | (size_t)data[11] << 24;
  size_t start = wide ? 12 : 10;
  return *length <= size - start ? start : 0;
}

static lk_status read_shape(const char *name, const header *h, size_t body_size, lk_vectors *vectors, lk_error *error) {
  size_t kind = 0, kinds = sizeof elements / sizeof elements[0];
  while (kind < kinds && strcmp(h->descr, elements[kind].descr) != 0) kind++;
  if (kind == kinds)
    return lk_fail(error, LK_EFORMAT, "%s: unsupported element type '%s'; supported are <f4, <f8, <f2, |u1", name,
                   h->descr);
  if (h->fortran) return lk_fail(error, LK_EFORMAT, "%s: Fortran order; save it in C order", name);
  if (h->dimensions != 2)
    return lk_fail(error, LK_EFORMAT, "%s: has %s%u dimension%s; two are needed, rows x elements", name,
                   h->dimensions == 3 ? "at least " : "", h->dimensions, h->dimensions == 1 ? "" : "s");
  if (h->shape[1] < 1 || h->shape[1] > LK_DIM_MAX)
    return lk_fail(error, LK_EDIM, "%s: rows of %llu elements; 1 to %d can be searched", name,
                   (unsigned long long)h->shape[1], LK_DIM_MAX);
  size_t row_size = (size_t)h->shape[1] * elements[kind].size;
  if (h->shape[0] != body_size / row_size || body_size % row_size != 0)
    return lk_fail(error, LK_EFORMAT, "%s: the header promises %llu rows of %zu bytes, but %zu bytes follow it", name,
                   (unsigned long long)h->shape[0], row_size, body_size);
  *vectors =
      (lk_vectors){.name = name, .rows = h->shape[0], .dim = (uint32_t)h->shape[1], .element = elements[kind].element};
  return LK_OK;
}

lk_status lk_npy_parse(const char *name, const void *data, size_t size, lk_vectors *vectors, lk_error *error) {
  if (size == 0) return lk_fail(error, LK_EFORMAT, "%s: the file is empty", name);
  size_t length = 0, start = header_start(data, size, &length);
  if (start == 0) return lk_fail(error, LK_EFORMAT, "%s: not an .npy file, or cut off in its header", name);
  header h = {0};
  if (!parse_header((const char *)data + start, length, &h))
    return lk_fail(error, LK_EFORMAT, "%s: its .npy header is malformed", name);
  lk_status status = read_shape(name, &h, size - start - length, vectors, error);
  if (status == LK_OK) vectors->data = (const char *)data + start + length;
  return status;
}
