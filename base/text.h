/* UTF-8 texts: keys, subjects, groups. */
#ifndef BASE_TEXT_H
#define BASE_TEXT_H

#include <string.h>

#include <likeness/types.h>

static inline lk_text lk_text_of(const char *string) {
  return (lk_text){.bytes = string, .length = (uint32_t)strlen(string)};
}

static inline bool lk_text_equal(lk_text a, lk_text b) {
  return a.length == b.length && (a.length == 0 || memcmp(a.bytes, b.bytes, a.length) == 0);
}

/* Bytes of the well-formed UTF-8 sequence at `s` (Unicode 15, table 3-7), of which `left` bytes (1 or more) are there;
 * 0: there is none. */
uint32_t lk_text_sequence(const unsigned char *s, uint32_t left);

/* What makes the text invalid as a key, subject, group or model: its length, bytes that are not UTF-8, a control
 * character. NULL: it is valid. The returned string is static. */
const char *lk_text_fault(lk_text text);

/* Appends formatted text to `text` of `size` bytes (1 or more), which has `used` bytes; text that does not fit is cut
 * off. Returns how many bytes are used then, without the NUL: less than `size`. */
size_t lk_text_append(char *text, size_t size, size_t used, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

#endif
