#include <math.h>
#include <string.h>

#include "base/fail.h"
#include "index/gallery/authorise.h"
#include "index/gallery/probes.h"

lk_status lk_gallery_export_unchecked(const lk_gallery *gallery, uint64_t position, float *vector, lk_error *error) {
  uint32_t place;
  const lk_part *part = lk_catalog_part_at(gallery->shown, position, &place);
  const lk_segment *segment = &part->segment;
  uint32_t dim = segment->shape.dim, row = lk_segment_row_at(segment, place);
  if (!lk_part_lives(part, row))
    return lk_fail(error, LK_ENOTFOUND, "the template at position %llu of the gallery %s was deleted",
                   (unsigned long long)position, gallery->manifest.name);
  const float *x = lk_stored_row(segment->shape.store, segment->block.exact, row, dim, vector);
  if (x != vector) memcpy(vector, x, dim * sizeof *vector);
  fenv_t callers = lk_enter_arithmetic();
  lk_status status = lk_segment_check_row(segment, row, error);
  fesetenv(&callers);
  return status;
}

static lk_status check_span(const lk_gallery *gallery, uint64_t position, uint64_t count, lk_error *error) {
  uint64_t templates = gallery->shown->rows;
  if (position <= templates && count <= templates - position) return LK_OK;
  return lk_fail(error, LK_EINVAL, "%llu templates from position %llu on; the gallery %s has %llu",
                 (unsigned long long)count, (unsigned long long)position, gallery->manifest.name,
                 (unsigned long long)templates);
}

/* Only a caller that the policy permits is told how many templates there are. */
lk_status lk_gallery_export(const lk_gallery *gallery, uint64_t position, uint64_t count, const lk_claims *claims,
                            float *vectors, lk_error *error) {
  static const lk_policy_request request = {.operation = LK_OPERATION_EXPORT, .k = 1, .threshold = -INFINITY};
  lk_gallery_authorisation authorisation;
  uint32_t dim = gallery->manifest.dim;
  lk_evidence evidence = {.fault = check_span(gallery, position, count, error)};
  lk_status status = lk_gallery_authorise(&authorisation, gallery, &request, &evidence, claims, error);
  if (status == LK_OK) status = lk_gallery_release(&authorisation, count, gallery->manifest.epoch, error);
  lk_gallery_authorise_end(&authorisation);
  if (status != LK_OK) return status;
  for (uint64_t i = 0; status == LK_OK && i < count; i++)
    status = lk_gallery_export_unchecked(gallery, position + i, vectors + i * dim, error);
  lk_status readable = lk_catalog_check_files(gallery->shown, error);
  if (readable != LK_OK) status = readable;
  if (status != LK_OK) memset(vectors, 0, count * dim * sizeof *vectors);
  return status;
}
