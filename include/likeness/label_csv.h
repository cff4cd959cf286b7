/* The csv file (RFC 4180) of the labels for enrollment and evaluation. Its header names the columns, in any order: row
 * (required, from 0), key, subject, group, tags (64 bits, decimal or 0x...). Rows that the file does not list get
 * default labels. */
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
  lk_label *of_row; /* one label for each row of the vectors */
  uint64_t rows;
  char *texts;            /* owns the bytes of the labels' texts */
  lk_text unknown_column; /* the first column with another name; its bytes are NULL if there is none */
} lk_label_csv;

/* `rows` is the number of vectors. LK_EFORMAT: also a record whose row is beyond them or was listed before. */
LK_API lk_status lk_label_csv_open(const char *path, uint64_t rows, lk_label_csv *labels, lk_error *error);
LK_API lk_status lk_label_csv_parse(const char *name, const void *data, size_t size, uint64_t rows,
                                    lk_label_csv *labels, lk_error *error);
LK_API void lk_label_csv_close(lk_label_csv *labels);

#ifdef __cplusplus
}
#endif

#endif
