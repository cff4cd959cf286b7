#include "base/printable.h"

#include <stdarg.h>
#include <stdint.h>

#include "base/text.h"

/* Of the characters that UTF-8 writes in 1 to 3 bytes; the rule names none of 4. */
static const struct {
  uint32_t first, last;
} hidden[] = {{0x00, 0x1f},     {0x7f, 0x9f},     {0x061c, 0x061c}, {0x200b, 0x200b},
              {0x200e, 0x200f}, {0x2028, 0x202e}, {0x2066, 0x2069}, {0xfeff, 0xfeff}};

enum { ESCAPE = 16 };

static bool is_hidden(uint32_t character) {
  for (size_t i = 0; i < sizeof hidden / sizeof hidden[0]; i++)
    if (character >= hidden[i].first && character <= hidden[i].last) return true;
  return false;
}

/* The character that `length` bytes write. */
static uint32_t decode(const unsigned char *s, uint32_t length) {
  if (length == 1) return s[0];
  uint32_t character = s[0] & (0x7fU >> length);
  for (uint32_t i = 1; i < length; i++) character = character << 6 | (s[i] & 0x3fU);
  return character;
}

/* How one form of text writes a character that is not shown as it is. */
typedef int lk_escape(char escape[ESCAPE], const unsigned char *s, uint32_t length);

/* `length` 0: the byte is not UTF-8. */
static int escape_text(char escape[ESCAPE], const unsigned char *s, uint32_t length) {
  if (length == 0) return snprintf(escape, ESCAPE, "\\x%02x", s[0]);
  uint32_t character = decode(s, length);
  if (character == '\\') return snprintf(escape, ESCAPE, "\\\\");
  return is_hidden(character) ? snprintf(escape, ESCAPE, "\\u{%x}", (unsigned)character) : 0;
}

/* JSON is UTF-8, so other bytes become the character that stands for them. */
static int escape_json(char escape[ESCAPE], const unsigned char *s, uint32_t length) {
  uint32_t character = length > 0 ? decode(s, length) : 0xfffd;
  return length == 0 || is_hidden(character) ? snprintf(escape, ESCAPE, "\\u%04x", (unsigned)character) : 0;
}

/* Prints runs of what is shown as it is, and the escapes between them. Returns how many bytes it printed. */
static size_t print(FILE *out, lk_escape *escape_of, const char *bytes, size_t size) {
  const unsigned char *s = (const unsigned char *)bytes;
  size_t printed = 0, run = 0; /* where the run begins */
  for (size_t i = 0; i < size;) {
    char escape[ESCAPE];
    uint32_t length = lk_text_sequence(s + i, size - i < 4 ? (uint32_t)(size - i) : 4);
    int escaped = escape_of(escape, s + i, length);
    size_t next = i + (length > 0 ? length : 1);
    if (escaped > 0) {
      fwrite(s + run, 1, i - run, out);
      fwrite(escape, 1, (size_t)escaped, out);
      printed += i - run + (size_t)escaped;
      run = next;
    }
    i = next;
  }
  fwrite(s + run, 1, size - run, out);
  return printed + size - run;
}

bool lk_printable_is_plain(lk_text text) {
  const unsigned char *s = (const unsigned char *)text.bytes;
  for (uint32_t i = 0, length; i < text.length; i += length) {
    char escape[ESCAPE];
    length = lk_text_sequence(s + i, text.length - i);
    if (escape_text(escape, s + i, length) > 0) return false;
  }
  return true;
}

void lk_printable_put(FILE *out, lk_text text, int width) {
  size_t used = text.length > 0 ? print(out, escape_text, text.bytes, text.length) : 0;
  if (width > 0 && used < (size_t)width) fprintf(out, "%*s", width - (int)used, "");
}

void lk_printable_line(FILE *out, const char *format, ...) {
  char line[LK_PRINTABLE_LINE + 1] = "";
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(line, sizeof line, format, arguments);
  va_end(arguments);
  lk_printable_put(out, lk_text_of(line), 0);
  fputc('\n', out);
}

/* A character of the rule can only be inside a string there. */
void lk_printable_json(FILE *out, const char *json, size_t length) { print(out, escape_json, json, length); }
