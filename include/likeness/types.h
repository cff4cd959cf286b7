/* How vectors are compared, and how they are stored. */
#ifndef LIKENESS_TYPES_H
#define LIKENESS_TYPES_H

#define LK_DIM_MAX 4096

typedef enum lk_metric {
  LK_COSINE = 0, /* dot product of vectors that were normalised on the way in */
  LK_IP = 1,     /* dot product */
  LK_L2 = 2      /* negative squared euclidean distance */
} lk_metric;

/* What a stored row's elements are. Scores are those of the stored values: of an f16 row, of its halves. */
typedef enum lk_store { LK_STORE_F32 = 0, LK_STORE_F16 = 1 } lk_store;

#endif
