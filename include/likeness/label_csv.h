/* The csv that goes with vectors on enrollment and evaluation (RFC 4180). Columns by their header, in any order:
 * row (needed; from 0), key, subject, group, tags (64 bits, decimal or 0x...). Rows that it does not name get defaults.
 */
#ifndef LIKENESS_LABEL_CSV_H
#define LIKENESS_LABEL_CSV_H

#include <stddef.h>

#include <likeness/api.h>
#include <likeness/status.h>
#include <likeness/types.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct lk_label_csv {
  lk_label *of_row; /* one for each row of the vectors */
  uint64_t rows;
  char *texts;            /* what the labels point into */
  lk_text unknown_column; /* the first whose name is none of the above; its bytes are NULL where there is none */
} lk_label_csv;

/* `rows`: how many vectors there are. Refuses a record that names a row beyond them or a row named before. */
LK_API lk_status lk_label_csv_open(const char *path, uint64_t rows, lk_label_csv *labels, lk_error *error);
LK_API lk_status lk_label_csv_parse(const char *name, const void *data, size_t size, uint64_t rows,
                                    lk_label_csv *labels, lk_error *error);
LK_API void lk_label_csv_close(lk_label_csv *labels);

#ifdef __cplusplus
}
#endif

#endif
