/* Reads the labels for enrollment and evaluation, one for each vector, from a file (docs/files.md). A csv names its
 * columns in a header, in any order: key, subject, group, tags (64 bits, decimal or 0x...), expires (a time as RFC 3339
 * has it, or Unix time in milliseconds), metadata, and row (from 0), without which the records are in the order of the
 * vectors. An .npy or .npz file has the subjects, and so has one that ends in
 * .txt and does not begin with such a header. */
#ifndef LIKENESS_LABEL_FILE_H
#define LIKENESS_LABEL_FILE_H

#include <stddef.h>

#include <likeness/api.h>
#include <likeness/status.h>
#include <likeness/types.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct lk_label_file {
  lk_label *of_row; /* one label for each row of the vectors */
  uint64_t rows;
  char *texts; /* owns the bytes of the labels' texts */
} lk_label_file;

/* `rows` is the number of vectors. `key_column`: the csv's column with the keys; NULL: "key". LK_EFORMAT: also fewer or
 * more labels than vectors, and a column whose name is not known. LK_EIO, LK_ENOMEM. */
LK_API lk_status lk_label_file_open(const char *path, const char *key_column, uint64_t rows, lk_label_file *labels,
                                    lk_error *error);
/* Reads the bytes of a file; its format is found by them, and by the end of `name`. */
LK_API lk_status lk_label_file_parse(const char *name, const void *data, size_t size, const char *key_column,
                                     uint64_t rows, lk_label_file *labels, lk_error *error);
LK_API void lk_label_file_close(lk_label_file *labels);

#ifdef __cplusplus
}
#endif

#endif
