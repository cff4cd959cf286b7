#include <math.h>
#include <string.h>

#include "base/fail.h"
#include "index/gallery/authorise.h"
#include "index/gallery/probes.h"

static lk_status export_row(const lk_segment *segment, uint32_t row, float *vector, lk_error *error) {
  uint32_t dim = segment->shape.dim;
  const float *x = lk_stored_row(segment->shape.store, segment->block.exact, row, dim, vector);
  if (x != vector) memcpy(vector, x, dim * sizeof *vector);
  fenv_t callers = lk_enter_arithmetic();
  lk_status status = lk_segment_check_row(segment, row, error);
  fesetenv(&callers);
  return status;
}

lk_status lk_gallery_export_row(const lk_catalog *shown, uint64_t position, float *vector, lk_error *error) {
  uint32_t place;
  lk_error cut_off;
  const lk_segment *segment = &lk_catalog_part_at(shown, position, &place)->segment;
  lk_status status = export_row(segment, lk_segment_row_at(segment, place), vector, error);
  /* Rows that were cut off look like damage: then the cut is the reason. */
  if (status == LK_ECORRUPT && lk_catalog_check_files(shown, &cut_off) != LK_OK)
    status = lk_fail(error, LK_EIO, "%s", cut_off.text);
  return status;
}

static lk_status export_shown(const lk_gallery *gallery, const lk_catalog *shown, uint64_t position, float *vector,
                              lk_error *error) {
  if (lk_gallery_template_of(gallery, shown, position).key.length > 0)
    return lk_gallery_export_row(shown, position, vector, error);
  return lk_fail(error, LK_ENOTFOUND, "the template at position %llu of the gallery %s was deleted",
                 (unsigned long long)position, gallery->manifest.name);
}

lk_status lk_gallery_export_unchecked(const lk_gallery *gallery, uint64_t position, float *vector, lk_error *error) {
  lk_catalog *shown = lk_gallery_shown(gallery);
  lk_status status = export_shown(gallery, shown, position, vector, error);
  lk_catalog_release(shown);
  return status;
}

static lk_status check_span(const lk_gallery *gallery, const lk_catalog *shown, uint64_t position, uint64_t count,
                            lk_error *error) {
  uint64_t templates = shown->rows;
  if (position <= templates && count <= templates - position) return LK_OK;
  return lk_fail(error, LK_EINVAL, "%llu templates from position %llu on; the gallery %s has %llu",
                 (unsigned long long)count, (unsigned long long)position, gallery->manifest.name,
                 (unsigned long long)templates);
}

static lk_status check_request(const lk_gallery *gallery, const lk_catalog *shown, uint64_t position, uint64_t count,
                               lk_error *error) {
  pthread_rwlock_rdlock(&gallery->contents->lock);
  lk_status status = lk_gallery_check_entered(gallery, error);
  pthread_rwlock_unlock(&gallery->contents->lock);
  return status == LK_OK ? check_span(gallery, shown, position, count, error) : status;
}

/* Only a caller that the policy permits is told how many templates there are. */
static lk_status export_span(const lk_gallery *gallery, const lk_catalog *shown, uint64_t position, uint64_t count,
                             const lk_claims *claims, float *vectors, lk_error *error) {
  static const lk_policy_request request = {.operation = LK_OPERATION_EXPORT, .k = 1, .threshold = -INFINITY};
  lk_gallery_authorisation authorisation;
  lk_gallery_stat stat;
  uint32_t dim = gallery->manifest.dim;
  lk_evidence evidence = {.fault = check_request(gallery, shown, position, count, error)};
  lk_status status = lk_gallery_authorise(&authorisation, gallery, &request, &evidence, claims, error);
  lk_gallery_stat_get(gallery, &stat);
  if (status == LK_OK) status = lk_gallery_release(&authorisation, count, stat.epoch, error);
  lk_gallery_authorise_end(&authorisation);
  if (status != LK_OK) return status;
  for (uint64_t i = 0; status == LK_OK && i < count; i++)
    status = export_shown(gallery, shown, position + i, vectors + i * dim, error);
  lk_status readable = lk_catalog_check_files(shown, error);
  if (readable != LK_OK) status = readable;
  if (status != LK_OK) memset(vectors, 0, count * dim * sizeof *vectors);
  return status;
}

lk_status lk_gallery_export(const lk_gallery *gallery, uint64_t position, uint64_t count, const lk_claims *claims,
                            float *vectors, lk_error *error) {
  lk_catalog *shown = lk_gallery_shown(gallery);
  lk_status status = export_span(gallery, shown, position, count, claims, vectors, error);
  lk_catalog_release(shown);
  return status;
}
