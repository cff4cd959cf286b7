/* The probes of a pass as the kernels read them: coded, rotated, bounded, centred and as they came. */
#include <string.h>

#include "kernels/cuda/host/internal.h"

/* Where code_probe writes them on the host. */
struct coding {
  lk_cuda *cuda;
  int8_t *codes;
  float *rotated;
  lk_probe_bound *bounds;
  float *centred;
  double *reciprocals;
};

static void centre_probe(const lk_cuda *cuda, uint32_t centre, const float *q, double reciprocal, float *out) {
  const float *mean = cuda->centres.means[centre];
  for (uint32_t i = 0; i < cuda->batch.shape.dim; i++)
    out[i] = cuda->batch.shape.metric == LK_L2 ? q[i] - mean[i] : (float)(q[i] * reciprocal);
}

static void code_probe(void *context, uint32_t thread, uint32_t item) {
  (void)thread;
  const struct coding *coding = context;
  const lk_cuda *cuda = coding->cuda;
  lk_metric metric = cuda->batch.shape.metric;
  uint32_t dim = cuda->batch.shape.dim, count = cuda->batch.count, width = cuda->pass.chunks * LK_CHUNK;
  const float *q = cuda->batch.probes + (size_t)(item % count) * dim;
  float *rotated = coding->rotated + (size_t)item * width;
  lk_probe_bound *bound = &coding->bounds[item];
  double work[LK_DIM_MAX], reciprocal = lk_score_reciprocal(metric, q, dim);
  int8_t code[LK_DIM_MAX];
  uint32_t group_rows = lk_groups(count, cuda->pass.group) * cuda->pass.group;
  memset(rotated + dim, 0, (width - dim) * sizeof *rotated);
  if (item < count) coding->reciprocals[item] = reciprocal;
  lk_codes_probe(metric, q, reciprocal, dim, cuda->centres.means[item / count], LK_CODE_MAX, work, code, rotated,
                 bound);
  lk_pack_row(cuda->pass.group, item / count * group_rows + item % count, code, dim, coding->codes);
  centre_probe(cuda, item / count, q, reciprocal, coding->centred + (size_t)item * dim);
  lk_centres_bound(&cuda->centres, q, reciprocal, bound, count);
}

/* Appends an array to a piece of memory that ends at `end`; returns where the array begins. */
static size_t append(size_t *end, size_t bytes) {
  size_t at = *end;
  *end += (bytes + 255) / 256 * 256;
  return at;
}

/* Sends all arrays in one copy: for few probes the number of copies is what takes time. */
lk_status lk_cuda_send_probes(lk_cuda *cuda, lk_error *error) {
  lk_cuda_pass *pass = &cuda->pass;
  size_t coded = lk_centres_coded(&cuda->centres), count = pass->probes, width = (size_t)pass->chunks * LK_CHUNK,
         end = 0;
  size_t exact_bytes = count * pass->dim * sizeof(float);
  size_t codes = append(&end, coded * lk_groups(pass->probes, pass->group) * pass->group * width),
         rotated = append(&end, coded * count * width * sizeof(float));
  size_t bounds = append(&end, cuda->centres.count * count * sizeof(lk_probe_bound)),
         centred = append(&end, coded * exact_bytes);
  size_t exact = append(&end, exact_bytes), reciprocals = append(&end, count * sizeof(double));
  char *host = lk_cuda_reserve_host(cuda, LK_BUFFER_PROBES, end);
  void *memory;
  lk_status status =
      host == NULL ? lk_fail_memory(error) : lk_cuda_reserve(cuda, LK_BUFFER_PROBES, end, &memory, error);
  if (status != LK_OK) return status;
  memset(host + codes, 0, rotated - codes);
  if (exact_bytes > 0) memcpy(host + exact, cuda->batch.probes, exact_bytes);
  struct coding coding = {.cuda = cuda,
                          .codes = (int8_t *)host + codes,
                          .rotated = (float *)(host + rotated),
                          .bounds = (lk_probe_bound *)(host + bounds),
                          .centred = (float *)(host + centred),
                          .reciprocals = (double *)(host + reciprocals)};
  lk_pool_run(cuda->pool, (uint32_t)(coded * count), code_probe, &coding);
  cuda->gpu->ops->write(cuda->gpu, memory, host, end);
  pass->codes = (const int8_t *)memory + codes;
  pass->rotated = (const float *)((char *)memory + rotated);
  pass->bounds = (const lk_probe_bound *)((char *)memory + bounds);
  pass->float_probes = (float *)((char *)memory + centred);
  pass->exact = (const float *)((char *)memory + exact);
  pass->reciprocals = (const double *)((char *)memory + reciprocals);
  return LK_OK;
}
