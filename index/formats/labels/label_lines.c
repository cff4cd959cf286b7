/* A subject in each line. An empty line is the label of a row, too: it has no subject. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/text.h"
#include "index/formats/labels/label_format.h"
#include "index/formats/labels/plain_text.h"

lk_status lk_label_lines_read(const lk_label_source *source, lk_label_file *labels, lk_error *error) {
  lk_plain_text text;
  lk_status status = lk_plain_text_of(source->name, source->data, source->size, &text, error);
  if (status != LK_OK) return status;
  labels->texts = text.bytes;
  const char *at = text.bytes, *end = at + text.size;
  uint64_t count = 0;
  for (; at < end; count++) {
    lk_text subject = lk_text_take_line(&at, end);
    const char *fault = lk_text_fault(subject);
    if (fault != NULL) return lk_fail(error, LK_EFORMAT, "%s: line %" PRIu64 " %s", source->name, count + 1, fault);
    if (count < labels->rows) labels->of_row[count].subject = subject;
  }
  return lk_label_check_count(source, count, labels->rows, error);
}
