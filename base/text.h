/* UTF-8 texts: keys, subjects, groups. */
#ifndef BASE_TEXT_H
#define BASE_TEXT_H

#include <string.h>

#include <likeness/types.h>

/* A string that is longer than a text can be gives the longest text, which is too long everywhere. */
static inline lk_text lk_text_of(const char *string) {
  size_t length = strlen(string);
  return (lk_text){.bytes = string, .length = length < UINT32_MAX ? (uint32_t)length : UINT32_MAX};
}

/* The precision for "%.*s" in a message: a length beyond INT_MAX would mean all bytes up to a NUL. */
static inline int lk_text_shown(lk_text text) { return text.length <= LK_TEXT_MAX ? (int)text.length : LK_TEXT_MAX; }

static inline bool lk_text_equal(lk_text a, lk_text b) {
  return a.length == b.length && (a.length == 0 || memcmp(a.bytes, b.bytes, a.length) == 0);
}

/* Reads the line at `*at`, without its LF or CRLF, and moves `*at` behind it. A line that is too long gives a text that
 * is too long. */
lk_text lk_text_take_line(const char **at, const char *end);

/* Bytes of the well-formed UTF-8 sequence at `s` (Unicode 15, table 3-7), of which `left` bytes (1 or more) are there;
 * 0: there is none. */
uint32_t lk_text_sequence(const unsigned char *s, uint32_t left);

/* What makes the text invalid as a key, subject, group or model: its length, bytes that are not UTF-8, a control
 * character. NULL: it is valid. The returned string is static. */
const char *lk_text_fault(lk_text text);

/* Whether it is a name of 1 to LK_TEXT_MAX letters, digits, '.', '_' and '-' that does not begin with '.': it can be a
 * folder's name, and stand in braces in a key of Redis. */
bool lk_text_is_name(lk_text text);

/* The name of a list that was probably meant by `text`: at most two letters differ, are missing or are too many,
 * whether large or small. NULL: none is so near. Names have up to 24 letters; `name_of` gives each, from 0 on. */
typedef const char *lk_text_name(const void *context, int number);
const char *lk_text_nearest(lk_text text, lk_text_name *name_of, const void *context, int names);

/* Reads decimal text ("0.36", "-1e-3", "inf") as the float nearest to it, whatever the process' locale is. A double on
 * the way would be rounded twice. False: the text is something else, NaN, hexadecimal and spaces included, or the
 * number is too large for a float. */
bool lk_text_to_float(const char *text, float *value);

/* strtof in the C locale, whatever the process' is. */
float lk_text_strtof(const char *text, char **end);

/* Appends formatted text to `text` of `size` bytes (1 or more), which has `used` bytes; text that does not fit is cut
 * off. Returns how many bytes are used then, without the NUL: less than `size`. */
size_t lk_text_append(char *text, size_t size, size_t used, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

#endif
