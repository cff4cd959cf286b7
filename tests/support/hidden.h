/* An independent look for characters that a person must not be shown: by their bytes, not by decoding. */
#ifndef TESTS_SUPPORT_HIDDEN_H
#define TESTS_SUPPORT_HIDDEN_H

#include <stdbool.h>
#include <string.h>

/* `allowed`: control characters of one byte that may be there. */
static inline bool hidden_in(const char *text, const char *allowed) {
  for (const unsigned char *s = (const unsigned char *)text; *s != '\0'; s++) {
    if ((*s < 0x20 || *s == 0x7f) && strchr(allowed, *s) == NULL) return true;
    if (s[0] == 0xc2 && s[1] >= 0x80 && s[1] <= 0x9f) return true;
    if (s[0] == 0xd8 && s[1] == 0x9c) return true;
    if (s[0] == 0xef && s[1] == 0xbb && s[2] == 0xbf) return true;
    if (s[0] == 0xe2 && s[1] == 0x81 && s[2] >= 0xa6 && s[2] <= 0xa9) return true;
    if (s[0] == 0xe2 && s[1] == 0x80 && (s[2] == 0x8b || s[2] == 0x8e || s[2] == 0x8f)) return true;
    if (s[0] == 0xe2 && s[1] == 0x80 && s[2] >= 0xa8 && s[2] <= 0xae) return true;
  }
  return false;
}

#endif
