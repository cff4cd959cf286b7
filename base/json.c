#include "base/json.h"

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
