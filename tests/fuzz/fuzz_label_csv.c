#include <stdlib.h>

#include <likeness/label_csv.h>
#include "base/text.h"

/* Every label that is accepted is one that a gallery takes. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  lk_label_csv labels;
  enum { ROWS = 12 };
  if (lk_label_csv_parse("fuzz", data, size, ROWS, &labels, NULL) != LK_OK) return 0;
  for (int r = 0; r < ROWS; r++) {
    const lk_label *l = &labels.of_row[r];
    if (lk_text_fault(l->key) != NULL || lk_text_fault(l->subject) != NULL || lk_text_fault(l->group) != NULL) abort();
  }
  lk_label_csv_close(&labels);
  return 0;
}
