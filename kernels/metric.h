/* How two vectors are compared. */
#ifndef KERNELS_METRIC_H
#define KERNELS_METRIC_H

#define LK_DIM_MAX 4096

typedef enum lk_metric {
  LK_COSINE = 0, /* dot product of vectors that were normalised on the way in */
  LK_IP = 1,     /* dot product */
  LK_L2 = 2      /* negative squared euclidean distance */
} lk_metric;

#endif
