#include "index/json.h"

#include <stdlib.h>

/* Not json_dumps: it takes memory as it writes and, up to jansson 2.14 at least, leaves out a key where there is none.
 */
char *lk_json_print(const json_t *root, size_t flags) {
  size_t length = json_dumpb(root, NULL, 0, flags);
  char *text = length > 0 ? malloc(length + 1) : NULL;
  if (text == NULL) return NULL;
  if (json_dumpb(root, text, length, flags) == length) {
    text[length] = '\0';
    return text;
  }
  free(text);
  return NULL;
}
