#include "index/formats/labels/plain_text.h"

#include <stdlib.h>
#include <string.h>

#include "base/fail.h"

char *lk_plain_text_put(char *at, uint32_t c) {
  if (c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff)) return NULL;
  if (c < 0x80) return *at++ = (char)c, at;
  int more = c < 0x800 ? 1 : c < 0x10000 ? 2 : 3;
  static const unsigned char heads[] = {0, 0xc0, 0xe0, 0xf0};
  *at++ = (char)(heads[more] | c >> 6 * more);
  while (more-- > 0) *at++ = (char)(0x80 | (c >> 6 * more & 0x3f));
  return at;
}

static uint32_t unit_at(const char *at, bool big_endian) {
  const unsigned char *bytes = (const unsigned char *)at;
  return big_endian ? (uint32_t)bytes[0] << 8 | bytes[1] : (uint32_t)bytes[1] << 8 | bytes[0];
}

/* Two bytes become three at the most, and four become four. False: it is malformed. */
static bool convert(const char *at, const char *end, bool big_endian, lk_plain_text *text) {
  char *to = text->bytes;
  while (end - at >= 2 && to != NULL) {
    uint32_t c = unit_at(at, big_endian);
    at += 2;
    if (c >= 0xd800 && c <= 0xdbff && end - at >= 2) {
      uint32_t low = unit_at(at, big_endian);
      at += 2;
      c = low >= 0xdc00 && low <= 0xdfff ? 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00) : 0xd800;
    }
    to = lk_plain_text_put(to, c);
  }
  text->size = to != NULL ? (size_t)(to - text->bytes) : 0;
  return to != NULL && at == end;
}

lk_status lk_plain_text_of(const char *name, const char *data, size_t size, lk_plain_text *text, lk_error *error) {
  bool little = size >= 2 && memcmp(data, "\xff\xfe", 2) == 0, big = size >= 2 && memcmp(data, "\xfe\xff", 2) == 0;
  bool marked = size >= 3 && memcmp(data, "\xef\xbb\xbf", 3) == 0;
  size_t skipped = little || big ? 2 : marked ? 3 : 0;
  *text = (lk_plain_text){.bytes = malloc(size + size / 2 + 4)};
  if (text->bytes == NULL) return lk_fail_memory(error);
  if (little || big) {
    if (convert(data + skipped, data + size, big, text)) return LK_OK;
    free(text->bytes);
    *text = (lk_plain_text){0};
    return lk_fail(error, LK_EFORMAT, "%s: the text is not well-formed UTF-16", name);
  }
  text->size = size - skipped;
  memcpy(text->bytes, data + skipped, text->size);
  return LK_OK;
}
