#include "base/text.h"

#include <locale.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

uint32_t lk_text_sequence(const unsigned char *s, uint32_t left) {
  if (s[0] < 0x80) return 1;
  uint32_t length = s[0] >= 0xc2 && s[0] <= 0xdf ? 2 : (s[0] & 0xf0) == 0xe0 ? 3 : s[0] >= 0xf0 && s[0] <= 0xf4 ? 4 : 0;
  if (length == 0 || length > left) return 0;
  for (uint32_t i = 1; i < length; i++)
    if ((s[i] & 0xc0) != 0x80) return 0;
  unsigned char low = s[0] == 0xe0 ? 0xa0 : s[0] == 0xf0 ? 0x90 : 0x80;
  unsigned char high = s[0] == 0xed ? 0x9f : s[0] == 0xf4 ? 0x8f : 0xbf;
  return s[1] >= low && s[1] <= high ? length : 0;
}

const char *lk_text_fault(lk_text text) {
  if (text.length > LK_TEXT_MAX) return "is longer than 255 bytes";
  const unsigned char *s = (const unsigned char *)text.bytes;
  for (uint32_t i = 0, length; i < text.length; i += length) {
    length = lk_text_sequence(s + i, text.length - i);
    if (length == 0) return "is not UTF-8";
    if (s[i] < 0x20 || s[i] == 0x7f) return "has a control character";
  }
  return NULL;
}

lk_text lk_text_take_line(const char **at, const char *end) {
  const char *first = *at, *feed = memchr(first, '\n', (size_t)(end - first));
  const char *last = feed != NULL ? feed : end;
  *at = feed != NULL ? feed + 1 : end;
  if (last > first && last[-1] == '\r') last--;
  size_t length = (size_t)(last - first);
  return (lk_text){.bytes = first, .length = length > LK_TEXT_MAX ? LK_TEXT_MAX + 1 : (uint32_t)length};
}

bool lk_text_is_name(lk_text text) {
  static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
  if (text.length < 1 || text.length > LK_TEXT_MAX || text.bytes[0] == '.') return false;
  for (uint32_t i = 0; i < text.length; i++)
    if (memchr(allowed, text.bytes[i], sizeof allowed - 1) == NULL) return false;
  return true;
}

/* glibc has this locale ready: nothing is made, or could fail. */
float lk_text_strtof(const char *text, char **end) { return strtof_l(text, end, newlocale(LC_ALL_MASK, "C", NULL)); }

bool lk_text_to_float(const char *text, float *value) {
  char *end;
  if (strspn(text, "0123456789+-.eEinf") != strlen(text) || *text == '\0') return false;
  *value = lk_text_strtof(text, &end);
  bool overflows = isinf(*value) && strchr(text, 'i') == NULL;
  return *end == '\0' && !isnan(*value) && !overflows;
}

size_t lk_text_append(char *text, size_t size, size_t used, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  int length = vsnprintf(text + used, size - used, format, arguments);
  va_end(arguments);
  if (length < 0) {
    text[used] = '\0';
    return used;
  }
  return (size_t)length < size - used ? used + (size_t)length : size - 1;
}

enum { NAME_MOST = 24, DISTANCE_MOST = 2 };

static char small(char c) { return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c; }

static size_t least(size_t a, size_t b) { return a < b ? a : b; }

/* Levenshtein's distance, row by row. `to` has at most NAME_MOST bytes. */
static size_t distance(lk_text from, const char *to) {
  size_t row[NAME_MOST + 1], length = strlen(to);
  for (size_t j = 0; j <= length; j++) row[j] = j;
  for (size_t i = 0; i < from.length; i++) {
    size_t diagonal = row[0];
    row[0] = i + 1;
    for (size_t j = 0; j < length; j++) {
      size_t replaced = diagonal + (small(from.bytes[i]) != small(to[j]));
      diagonal = row[j + 1];
      row[j + 1] = least(replaced, least(row[j], diagonal) + 1);
    }
  }
  return row[length];
}

const char *lk_text_nearest(lk_text text, lk_text_name *name_of, const void *context, int names) {
  const char *nearest = NULL;
  size_t best = DISTANCE_MOST + 1;
  if (text.length > NAME_MOST + DISTANCE_MOST) return NULL;
  for (int i = 0; i < names; i++) {
    const char *name = name_of(context, i);
    size_t far = distance(text, name);
    if (far >= best || far >= strlen(name)) continue; /* nothing of a short name is left */
    best = far;
    nearest = name;
  }
  return nearest;
}
