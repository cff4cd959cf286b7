#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/queue/entry.h"

/* An id is read only as Redis writes it, so it can be written again. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  lk_entry entry;
  char *text = malloc(size > 0 ? size : 1), again[48];
  if (size > 0) memcpy(text, data, size);
  if (lk_entry_parse(text, size, &entry)) {
    int length = snprintf(again, sizeof again, "%" PRIu64 "-%" PRIu64, entry.ms, entry.sequence);
    if ((size_t)length != size || memcmp(again, text, size) != 0) abort();
  }
  free(text);
  return 0;
}
