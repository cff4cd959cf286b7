#include "engine/worker/log/log_fields.h"

#include "base/text.h"

bool lk_log_fields_add(lk_log_fields *fields, lk_text name, const void *value, size_t length) {
  if (fields->count == sizeof fields->all / sizeof fields->all[0]) return false;
  fields->all[fields->count++] = (lk_field){.name = name, .value = value, .length = length};
  return true;
}

const lk_field *lk_log_fields_find(const lk_log_fields *fields, const char *name) {
  for (size_t i = fields->count; i > 0; i--)
    if (lk_text_equal(fields->all[i - 1].name, lk_text_of(name))) return &fields->all[i - 1];
  return NULL;
}

/* Four bytes of length, little-endian, and the text. */
static void pack_text(lk_bytes *packed, const char *text, size_t length) {
  unsigned char digits[4];
  for (int i = 0; i < 4; i++) digits[i] = (unsigned char)(length >> 8 * i);
  lk_bytes_append(packed, digits, sizeof digits);
  lk_bytes_append(packed, text, length);
}

void lk_log_fields_pack(const lk_log_fields *fields, lk_bytes *packed) {
  for (size_t i = 0; i < fields->count; i++) {
    const lk_field *field = &fields->all[i];
    pack_text(packed, field->name.bytes, field->name.length);
    pack_text(packed, field->value, field->length);
  }
}

static bool unpack_text(const char **at, const char *end, const char **text, size_t *length) {
  const unsigned char *digits = (const unsigned char *)*at;
  if (end - *at < 4) return false;
  *length = digits[0] | (size_t)digits[1] << 8 | (size_t)digits[2] << 16 | (size_t)digits[3] << 24;
  *text = *at + 4;
  if ((size_t)(end - *text) < *length) return false;
  *at = *text + *length;
  return true;
}

bool lk_log_fields_unpack(const char *packed, size_t length, lk_log_fields *fields) {
  const char *at = packed, *end = packed + length, *name, *value;
  size_t name_length, value_length;
  fields->count = 0;
  while (at < end) {
    if (!unpack_text(&at, end, &name, &name_length) || !unpack_text(&at, end, &value, &value_length)) return false;
    lk_text text = {.bytes = name, .length = (uint32_t)name_length};
    if (!lk_log_fields_add(fields, text, value, value_length)) return false;
  }
  return true;
}
