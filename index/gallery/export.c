#include <math.h>
#include <string.h>

#include "base/fail.h"
#include "index/gallery/authorise.h"

void lk_gallery_export_unchecked(const lk_gallery *gallery, uint64_t position, float *vector) {
  uint32_t place;
  const lk_segment *segment = lk_catalog_segment_at(&gallery->catalog, position, &place);
  uint32_t dim = segment->shape.dim;
  const float *row =
      lk_stored_row(segment->shape.store, segment->block.exact, lk_segment_row_at(segment, place), dim, vector);
  if (row != vector) memcpy(vector, row, dim * sizeof *vector);
}

lk_status lk_gallery_export(const lk_gallery *gallery, uint64_t position, uint64_t count, const lk_claims *claims,
                            float *vectors, lk_error *error) {
  static const lk_policy_request request = {.operation = LK_OPERATION_EXPORT, .k = 1, .threshold = -INFINITY};
  lk_gallery_authorisation authorisation;
  uint64_t templates = gallery->catalog.rows;
  if (position > templates || count > templates - position)
    return lk_fail(error, LK_EINVAL, "%llu templates from position %llu on; the gallery %s has %llu",
                   (unsigned long long)count, (unsigned long long)position, gallery->manifest.name,
                   (unsigned long long)templates);
  lk_status status = lk_gallery_authorise(&authorisation, gallery, &request, claims, error);
  if (status == LK_OK) status = lk_gallery_release(&authorisation, count, gallery->manifest.epoch, error);
  for (uint64_t i = 0; status == LK_OK && i < count; i++)
    lk_gallery_export_unchecked(gallery, position + i, vectors + i * gallery->manifest.dim);
  lk_gallery_authorise_end(&authorisation);
  return status == LK_OK ? lk_catalog_check_files(&gallery->catalog, error) : status;
}
