#include "base/json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* json_dumps is not used: it allocates as it writes and, up to jansson 2.14 at least, drops a key when an allocation
 * fails. */
char *lk_json_print(const json_t *root, size_t flags) {
  char small[2048]; /* a text that fits here is printed only once */
  size_t length = json_dumpb(root, small, sizeof small, flags);
  char *text = length > 0 ? malloc(length + 1) : NULL;
  if (text == NULL) return NULL;
  if (length <= sizeof small) memcpy(text, small, length);
  if (length <= sizeof small || json_dumpb(root, text, length, flags) == length) {
    text[length] = '\0';
    return text;
  }
  free(text);
  return NULL;
}

static json_t *hex_of(lk_text bytes) {
  char *digits = malloc(2 * (size_t)bytes.length + 1);
  if (digits == NULL) return NULL;
  for (uint32_t i = 0; i < bytes.length; i++)
    snprintf(digits + 2 * (size_t)i, 3, "%02x", (unsigned char)bytes.bytes[i]);
  json_t *hex = json_stringn(digits, 2 * (size_t)bytes.length);
  free(digits);
  return hex;
}

bool lk_json_set_bytes(json_t *object, const char *name, lk_text bytes) {
  char hex_name[64];
  json_t *text = json_stringn(bytes.length > 0 ? bytes.bytes : "", bytes.length);
  if (text != NULL) return json_object_set_new(object, name, text) == 0;
  snprintf(hex_name, sizeof hex_name, "%s_hex", name);
  return json_object_set_new(object, hex_name, hex_of(bytes)) == 0;
}
