/* Codes: a vector as int8, with what the certificate (kernels/bound.h) needs to know about the loss.
 *
 * A row is centred on its segment's mean, rotated, and coded with one scale for its tile of rows. The rotation is
 * a fixed randomised Hadamard transform: it spreads a vector's energy over all its elements, so that one scale
 * fits them (as in QuaRot, Ashkboos et al. 2024, and RaBitQ, Gao and Long 2024). A dimension that is no power of
 * two takes two overlapping power-of-two blocks, one at each end, so nothing is padded.
 *
 * One scale fits rows of like length, so where lengths differ (ip, l2) a segment's rows are coded in the order of their
 * lengths. A row that is still several times longer than all others of its tile is an outlier: the tile's scale leaves
 * it out, its code saturates, and a search looks at it whatever the scan says.
 *
 * Under cosine not the vector x is coded but x r(x), of length 1 (kernels/score.h). Functions take rows together with
 * their `reciprocals`; under ip and l2 these are NULL, and one probe's or row's `reciprocal` is 1.
 *
 * All functions are plain arithmetic on the caller's memory, for any thread. */
#ifndef KERNELS_CODES_H
#define KERNELS_CODES_H

#include <stdbool.h>
#include <stdint.h>

#include "kernels/bound.h"

#define LK_TILE_ROWS 256
#define LK_CODE_MAX 127

/* Rotates in place, in double. The rotation is orthogonal but for rounding, which is within LK_ROTATE_ERROR. */
void lk_rotate(double *v, uint32_t dim);

/* Adds rows to their sum, and makes the mean for centring from it. The codes are valid for any mean; with this one they
 * lose least. */
void lk_codes_sum(const float *x, const double *reciprocals, uint32_t rows, uint32_t dim, double *sum);
void lk_codes_mean(const double *sum, uint32_t rows, uint32_t dim, float *mean);

typedef struct lk_ordered_row {
  double length; /* lk_codes_length */
  uint32_t row;
} lk_ordered_row;

/* Length of a centred row. */
double lk_codes_length(const float *x, uint32_t dim, const float *mean);
/* Puts a segment's rows into the order in which they are to be coded: by length. */
void lk_codes_order(lk_ordered_row *rows, uint32_t count);

/* Codes one tile of 1 to LK_TILE_ROWS rows. `work` has room for rows x dim doubles. */
void lk_codes_tile(const float *x, const double *reciprocals, uint32_t rows, uint32_t dim, const float *mean,
                   double *work, int8_t *codes, lk_tile *tile, lk_row_bound *bounds);

/* Makes numbers that bound x r(x) of numbers that bound x, where rows of a tile were coded as they are. */
void lk_codes_widen(const double *reciprocals, uint32_t rows, lk_tile *tile, lk_row_bound *bounds);

/* Whether a row is the one that was coded: its code loses no more of it than the bound says, it is no longer than that,
 * and, if it fits its tile, no shorter than the tile says. `reciprocal`: NULL where rows were coded as they are. `work`
 * has room for dim doubles. */
bool lk_codes_hold_row(const float *x, const double *reciprocal, uint32_t dim, const float *mean, double *work,
                       const int8_t *code, const lk_tile *tile, const lk_row_bound *bound);

/* Sets the bound's `offset` and `offset_slack` for a mean; its `norm` is set. */
void lk_codes_set_offset(lk_metric metric, const float *q, double reciprocal, uint32_t dim, const float *mean,
                         lk_probe_bound *bound);

/* A probe that is centred (l2) and rotated. */
typedef struct lk_rotated_probe {
  const double *elements; /* dim, in the caller's memory */
  uint32_t dim;
  double norm, peak; /* its length and its largest element, as computed */
} lk_rotated_probe;

/* Rotates one probe, into `work` (dim doubles) and `rotated` (dim floats, for rescreening), and sets the bound's
 * `norm`, `offset` and `offset_slack`. */
lk_rotated_probe lk_codes_rotate_probe(lk_metric metric, const float *q, double reciprocal, uint32_t dim,
                                       const float *mean, double *work, float *rotated, lk_probe_bound *bound);
/* Codes a rotated probe with codes in -limit .. limit, and sets the rest of the bound. The same probe may be coded
 * again with another limit. */
void lk_codes_encode_probe(const lk_rotated_probe *probe, int limit, int8_t *code, lk_probe_bound *bound);

/* Rotates and codes one probe. */
void lk_codes_probe(lk_metric metric, const float *q, double reciprocal, uint32_t dim, const float *mean, int limit,
                    double *work, int8_t *code, float *rotated, lk_probe_bound *bound);

#endif
