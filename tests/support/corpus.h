/* Galleries and probes for the kernel tests, made from a short recipe and coded the way the index codes them. The same
 * recipe gives the same data everywhere. */
#ifndef TESTS_SUPPORT_CORPUS_H
#define TESTS_SUPPORT_CORPUS_H

#include "kernels/backend.h"
#include "tests/support/random.h"

typedef enum corpus_kind {
  CORPUS_NORMAL,
  CORPUS_TIES,       /* small integers: many equal scores */
  CORPUS_DUPLICATES, /* a few vectors, many times each */
  CORPUS_CLUSTERED,  /* near-duplicates of a few vectors, closer than floats can tell */
  CORPUS_NEAR,       /* the same, closer than codes can tell */
  CORPUS_ONE_HOT,
  CORPUS_ALL_EQUAL,
  CORPUS_LOGNORMAL, /* norms over several orders of magnitude */
  CORPUS_OFFSET,    /* a common vector and small differences, as text embeddings have */
  CORPUS_FAR,       /* the same, with differences of a millionth */
  CORPUS_GRID,      /* at dimensions 1, 4, 16, 64, ... the codes lose nothing */
  CORPUS_SPARSE,    /* mostly zeros, some vectors all zero */
  CORPUS_TINY,      /* norms near 2^-40 */
  CORPUS_HUGE,      /* norms near 2^40 */
  CORPUS_KINDS
} corpus_kind;

typedef enum corpus_means {
  MEANS_OWN,    /* each block its own */
  MEANS_SHARED, /* one for all */
  MEANS_MIXED,
  MEANS_ZERO,
  MEANS_ODD, /* some other vector: a bad mean is a valid one */
  MEANS_COUNT
} corpus_means;

typedef enum corpus_order {
  ORDER_NONE,
  ORDER_ASCENDING, /* by score with the first probe */
  ORDER_DESCENDING,
  ORDER_LENGTH, /* as a segment of ip or l2 is coded, but for the mean */
  ORDER_COUNT
} corpus_order;

/* How rows are coded under cosine: as vectors of length 1 (since version 3), or normalised before they are
 * stored and then as they are (version 2). */
typedef enum corpus_coding { CODING_UNIT, CODING_STORED, CODING_MIXED, CODING_COUNT } corpus_coding;

typedef enum corpus_numbers { NUMBERS_IN_ORDER, NUMBERS_REVERSED, NUMBERS_SCATTERED, NUMBERS_COUNT } corpus_numbers;

enum { CORPUS_BORN = 1, CORPUS_DIED = 2, CORPUS_EXPIRES = 4, CORPUS_TAGS = 8 };

typedef struct corpus_recipe {
  lk_metric metric;
  lk_store store;
  corpus_kind kind;
  uint32_t dim, rows, blocks, probes;
  corpus_means means;
  corpus_order order; /* of the rows */
  corpus_numbers numbers;
  corpus_coding coding;
  uint32_t subject_rows; /* about so many rows a subject; 0: a subject each */
  uint32_t carries;      /* what rows carry: any of CORPUS_BORN, _DIED, _EXPIRES, _TAGS */
  uint64_t seed;
} corpus_recipe;

typedef struct corpus {
  lk_shape shape;
  uint32_t rows, blocks_count, probes_count;
  lk_block *blocks;
  float *probes;       /* probes x dim */
  float *exact;        /* rows x dim, through all blocks */
  uint16_t *halves;    /* the same, in a corpus of f16 rows; else NULL */
  double *reciprocals; /* of the rows; NULL unless the metric is cosine */
  float *means;
  int8_t *codes;
  lk_tile *tiles;
  lk_row_bound *bounds;
  uint64_t *numbers;
  uint32_t *subjects;
  uint64_t *born, *died, *expires_ms, *tags; /* epochs and times 0 .. 8, tags of 4 bits */
} corpus;

/* Ends the process where memory runs out. */
corpus corpus_make(const corpus_recipe *recipe);
void corpus_free(corpus *made);

/* Divides by the length, in double, rounded once; a zero vector becomes the first unit vector. */
void corpus_normalise(float *v, uint32_t dim);

/* The mean of rows, for centring; `reciprocals` as lk_codes_sum takes them. */
void corpus_mean(const float *x, const double *reciprocals, uint32_t rows, uint32_t dim, float *mean);

const char *corpus_kind_name(corpus_kind kind);

#endif
