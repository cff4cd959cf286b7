#include <stdlib.h>

#include <likeness/label_file.h>
#include "base/text.h"

/* Every label that is accepted is one that a gallery takes. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  lk_label_file labels;
  enum { ROWS = 3 };
  const char *name = size % 2 == 0 ? "fuzz.csv" : "fuzz.txt";
  if (lk_label_file_parse(name, data, size, NULL, ROWS, &labels, NULL) != LK_OK) return 0;
  for (int r = 0; r < ROWS; r++) {
    const lk_label *l = &labels.of_row[r];
    if (lk_text_fault(l->key) != NULL || lk_text_fault(l->subject) != NULL || lk_text_fault(l->group) != NULL) abort();
    if (l->metadata.length > LK_METADATA_MAX) abort();
  }
  lk_label_file_close(&labels);
  return 0;
}
