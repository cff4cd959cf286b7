/* The formats of labels. */
#ifndef INDEX_FORMATS_LABELS_LABEL_FORMAT_H
#define INDEX_FORMATS_LABELS_LABEL_FORMAT_H

#include <stdbool.h>

#include <likeness/label_file.h>

typedef struct lk_label_source {
  const char *name;       /* for messages */
  const char *path;       /* of the file, whose ending may name a format; NULL: it is a csv from elsewhere */
  const char *data;       /* the file */
  size_t size;            /* 1 or more */
  const char *key_column; /* of a csv; NULL: "key" */
  const char *member;     /* of an archive; NULL: the only one */
} lk_label_source;

/* Fills `labels->of_row`, which has an empty label for each of `labels->rows`, and `labels->texts`. The caller closes
 * the labels, on failure too. LK_EFORMAT, LK_ENOMEM; LK_EIO. */
typedef lk_status lk_label_reader(const lk_label_source *source, lk_label_file *labels, lk_error *error);

lk_label_reader lk_label_csv_read;   /* records with a header */
lk_label_reader lk_label_lines_read; /* a subject in each line */
lk_label_reader lk_label_array_read; /* NumPy's arrays of texts or whole numbers: subjects */

/* Whether the line is the header of a csv: one of its titles is a known column, or `key_column`. */
bool lk_label_csv_has_header(lk_text line, const char *key_column);

/* LK_EFORMAT: there are not as many labels as rows. */
lk_status lk_label_check_count(const lk_label_source *source, uint64_t count, uint64_t rows, lk_error *error);

#endif
