#include "engine/queue/entry.h"

#include <string.h>

static bool read_number(const char *digits, size_t length, uint64_t *number) {
  *number = 0;
  if (length == 0 || (length > 1 && digits[0] == '0')) return false;
  for (size_t i = 0; i < length; i++) {
    unsigned digit = (unsigned char)digits[i] - (unsigned)'0';
    if (digit > 9 || *number > (UINT64_MAX - digit) / 10) return false;
    *number = *number * 10 + digit;
  }
  return true;
}

bool lk_entry_parse(const char *text, size_t length, lk_entry *entry) {
  const char *dash = length > 0 ? memchr(text, '-', length) : NULL;
  if (dash == NULL) return false;
  size_t ms_length = (size_t)(dash - text);
  return read_number(text, ms_length, &entry->ms) && read_number(dash + 1, length - ms_length - 1, &entry->sequence);
}
