/* Codes: a vector as int8, with what the certificate (quant_bound.h) needs to know about the loss.
 *
 * A row is centred on its segment's mean, rotated, and coded with one scale for its tile of rows. The rotation is
 * a fixed randomised Hadamard transform: it spreads a vector's energy over all its elements, so that one scale
 * fits them (as in QuaRot, Ashkboos et al. 2024, and RaBitQ, Gao and Long 2024). A dimension that is no power of
 * two takes two overlapping power-of-two blocks, one at each end, so nothing is padded.
 *
 * One scale fits rows of like length: where lengths differ (ip, l2) a segment's rows are coded in the order of their
 * lengths. A row that is still several times longer than all others of its tile is its outlier: the scale is made
 * without it, its code is cut off, and a search looks at it whatever the scan says.
 *
 * Everything here is plain arithmetic on the caller's memory: no state, any thread. */
#ifndef KERNELS_CODES_H
#define KERNELS_CODES_H

#include <stdbool.h>
#include <stdint.h>

#include "kernels/score.h"

#define LK_TILE_ROWS 256
#define LK_CODE_MAX 127

/* One tile of rows; also its form in segment files. */
typedef struct lk_tile {
  float scale;    /* code times scale approximates the rotated, centred element */
  float residual; /* no row that fits the tile loses more than this (euclidean length) */
  float norm_max; /* no centred row that fits is longer */
  float norm_min; /* no centred row that fits is shorter */
} lk_tile;

/* One row; also its form in segment files. */
typedef struct lk_row_bound {
  float residual; /* length of what the code loses, rounded up */
  float norm;     /* length of the centred row, rounded up */
} lk_row_bound;

/* Whether the tile's numbers hold for this row of it; else it is a outlier. */
LK_INLINE bool lk_row_fits(const lk_tile *tile, const lk_row_bound *row) { return row->residual <= tile->residual; }

/* One probe against one mean: the numbers that go with its code. Lengths are upper bounds. */
typedef struct lk_probe_bound {
  double scale;     /* code times scale approximates the rotated element */
  double code_norm; /* length of scale times code */
  double residual;  /* length of what the code loses */
  double norm;      /* length of the coded vector */
  double offset;    /* the score's part that no row changes, rounded up */
  int32_t code_sum; /* sum of the codes, for kernels that shift the rows' codes to unsigned */
} lk_probe_bound;

/* The rotation, in place, in double. Orthogonal but for rounding, which is within LK_ROTATE_ERROR. */
void lk_rotate(double *v, uint32_t dim);

/* The mean for centring, from the sum of `rows` rows. Any mean is a valid one; this one loses least. */
void lk_codes_sum(const float *x, uint32_t rows, uint32_t dim, double *sum); /* adds to the sum */
void lk_codes_mean(const double *sum, uint32_t rows, uint32_t dim, float *mean);

/* The order in which a segment's rows are to be coded. */
typedef struct lk_ordered_row {
  double length; /* lk_codes_length */
  uint32_t row;
} lk_ordered_row;
double lk_codes_length(const float *x, uint32_t dim, const float *mean); /* of the centred row */
void lk_codes_order(lk_ordered_row *rows, uint32_t count);

/* Codes one tile of 1 to LK_TILE_ROWS rows. `work` holds rows x dim doubles. */
void lk_codes_tile(const float *x, uint32_t rows, uint32_t dim, const float *mean, double *work, int8_t *codes,
                   lk_tile *tile, lk_row_bound *bounds);

/* The score's part that no row changes, rounded up. `norm`: length of the coded vector, as lk_codes_probe bounds it. */
double lk_codes_offset(lk_metric metric, const float *q, uint32_t dim, const float *mean, double norm);

/* Codes one probe with codes in -limit .. limit. `rotated` receives dim floats for rescreening, `work` holds dim
 * doubles. */
void lk_codes_probe(lk_metric metric, const float *q, uint32_t dim, const float *mean, int limit, double *work,
                    int8_t *code, float *rotated, lk_probe_bound *bound);

#endif
