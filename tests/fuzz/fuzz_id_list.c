#include <stdlib.h>

#include "base/text.h"
#include "index/formats/id_list.h"

/* Every text that is accepted is one that a gallery takes, and none is empty. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  lk_id_list lines;
  if (lk_id_list_parse("fuzz", data, size, &lines, NULL) != LK_OK) return 0;
  if (lines.count == 0) abort();
  for (uint32_t i = 0; i < lines.count; i++)
    if (lines.texts[i].length == 0 || lk_text_fault(lines.texts[i]) != NULL) abort();
  lk_id_list_close(&lines);
  return 0;
}
