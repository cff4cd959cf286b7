/* Vectors to measure with. They are made, each from its own number, or read from a file. */
#ifndef BENCH_DATA_H
#define BENCH_DATA_H

#include <stdbool.h>
#include <stdint.h>

#include <likeness/types.h>
#include <likeness/vector_file.h>

typedef enum data_kind {
  DATA_UNIT,      /* random directions */
  DATA_FACE,      /* people with DATA_SUBJECT_ROWS templates each, spread as embeddings of photographs are */
  DATA_TEXT,      /* any two have a cosine of about 0.7 */
  DATA_SIFT,      /* integers from 0 to 255, about as long and as correlated as SIFT descriptors */
  DATA_LOGNORMAL, /* random directions, lengths exp(normal) */
  DATA_NEAR,      /* seven clusters, their members closer than codes can tell */
  DATA_KINDS
} data_kind;

#define DATA_SUBJECT_ROWS 4

/* A dimension of 0, and a metric that is not given, are the kind's own. */
typedef struct data_recipe {
  data_kind kind;
  uint32_t dim;
  lk_metric metric;
  bool metric_given;
  const char *file; /* instead of a kind */
} data_recipe;

typedef struct data {
  data_kind kind;
  uint32_t dim;
  lk_metric metric;
  const char *name; /* of the kind, or the file's */
  uint32_t most;    /* how many rows there are; UINT32_MAX where they are made */
  float *prototypes;
  double *spread; /* standard deviation along each axis, before the axes are mixed */
  lk_vector_file file;
} data;

bool data_kind_find(const char *name, data_kind *kind);

/* Ends the process where the file cannot be read. */
data data_open(const data_recipe *recipe);
void data_close(data *data);

/* Writes row `row` (dim floats), normalised under cosine. Any thread. */
void data_row(const data *data, uint64_t row, float *out);

/* Writes a probe for a gallery of the first `rows` rows. Even probes have no mate in it. Odd probes are near one of its
 * rows: another photograph of the same person, or the row with noise of a tenth of its length. Of a file every tenth
 * row is a probe, and these are not in the gallery. */
void data_probe(const data *data, uint32_t probe, uint32_t rows, float *out);

#endif
