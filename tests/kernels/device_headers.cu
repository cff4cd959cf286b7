/* The headers that host and device share must compile for both. The build compiles this file for every target, and
 * nothing runs it. */
#include "kernels/bound.h"
#include "kernels/half.h"
#include "kernels/order.h"
#include "kernels/score.h"

__global__ void use_headers(const float *q, const float *x, uint32_t dim, const lk_probe_bound *probe,
                            const lk_tile *tile, const lk_row_bound *row, const lk_hit *hits, float *out) {
  float bar =
      lk_score_known(LK_L2, q, x, dim, 1) + lk_score_known(LK_COSINE, q, x, dim, 0.5) + lk_half_to_float((uint16_t)dim);
  out[0] = (float)lk_bound_threshold(LK_L2, probe, tile, bar);
  out[1] = lk_bound_reaches(LK_COSINE, dim, probe, tile, row, bar, out[0]) ? 1.0f : 0.0f;
  out[2] = lk_hit_before(&hits[0], &hits[1]) ? 1.0f : 0.0f;
  out[3] = lk_bound_float(LK_L2, dim, probe, lk_bound_shortest(row), row->norm, bar);
  out[4] = lk_stored_row(LK_STORE_F16, x, 0, 1, out + 5)[0] + (float)lk_half_from_float(bar);
  out[6] = lk_row_fits(tile, row) ? 1.0f : 0.0f;
}
