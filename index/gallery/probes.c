#include "index/gallery/probes.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "base/fail.h"
#include "base/file.h"
#include "base/text.h"
#include "index/formats/vector.h"

fenv_t lk_enter_arithmetic(void) {
  fenv_t callers;
  fegetenv(&callers);
  fesetenv(FE_DFL_ENV);
  return callers;
}

lk_status lk_gallery_check_model(const lk_gallery *gallery, lk_text model, lk_error *error) {
  if (model.length == 0 || lk_text_equal(model, lk_text_of(gallery->manifest.model))) return LK_OK;
  return lk_fail(error, LK_EMODEL, "the probes are of model '%.*s', but the gallery %s is of model '%s'",
                 lk_text_shown(model), model.bytes, gallery->manifest.name, gallery->manifest.model);
}

/* `stride`: floats from one probe to the next; 0: each overwrites the one before. */
static lk_status prepare(const lk_gallery *gallery, const lk_vectors *probes, float *prepared, size_t stride,
                         lk_error *error) {
  lk_status status = lk_gallery_check_vectors(gallery, probes, error);
  fenv_t callers = lk_enter_arithmetic();
  for (uint64_t p = 0; status == LK_OK && p < probes->rows; p++) {
    const char *fault = lk_vector_prepare(gallery->manifest.metric, probes, p, prepared + p * stride);
    if (fault != NULL) status = lk_fail(error, LK_EBADPROBE, "%s: probe %" PRIu64 " %s", probes->name, p, fault);
  }
  fesetenv(&callers);
  lk_status readable = lk_file_check_at(probes->data, probes->name, error);
  return readable != LK_OK ? readable : status;
}

lk_status lk_gallery_check_probes(const lk_gallery *gallery, const lk_vectors *probes, lk_text model, lk_error *error) {
  float prepared[LK_DIM_MAX];
  lk_status status = lk_gallery_check_model(gallery, model, error);
  return status == LK_OK ? prepare(gallery, probes, prepared, 0, error) : status;
}

lk_status lk_gallery_prepare(const lk_gallery *gallery, const lk_vectors *probes, lk_text model, float *prepared,
                             lk_error *error) {
  lk_status status = lk_gallery_check_model(gallery, model, error);
  return status == LK_OK ? prepare(gallery, probes, prepared, gallery->manifest.dim, error) : status;
}

static lk_status reserve(lk_workspace *w, const lk_gallery *gallery, uint64_t probes, uint32_t runs_count,
                         lk_error *error) {
  if (probes > INT32_MAX) return lk_fail(error, LK_EINVAL, "more than %d probes at once", INT32_MAX);
  w->gallery = gallery;
  w->without_count = 0;
  w->probes_count = (uint32_t)probes;
  w->runs_count = runs_count;
  w->runs = lk_buffer_reserve(&w->runs_buffer, runs_count, sizeof *w->runs);
  bool taken = w->runs != NULL && lk_buffer_reserve(&w->thresholds, probes, sizeof(float)) != NULL;
  return taken ? LK_OK : lk_fail_memory(error);
}

static float *reserve_prepared(lk_workspace *w) {
  float *prepared =
      lk_buffer_reserve(&w->prepared, (size_t)w->probes_count * w->gallery->manifest.dim, sizeof *prepared);
  w->probes = prepared;
  return prepared;
}

lk_status lk_workspace_prepare(lk_workspace *w, const lk_gallery *gallery, const lk_vectors *runs, uint32_t runs_count,
                               float threshold, lk_error *error) {
  uint64_t probes = 0;
  for (uint32_t i = 0; i < runs_count; i++)
    if (__builtin_add_overflow(probes, runs[i].rows, &probes)) probes = UINT64_MAX;
  lk_status status = reserve(w, gallery, probes, runs_count, error);
  if (status != LK_OK) return status;
  float *prepared = reserve_prepared(w);
  if (prepared == NULL) return lk_fail_memory(error);
  for (uint32_t i = 0; status == LK_OK && i < runs_count; i++) {
    status = prepare(gallery, &runs[i], prepared, gallery->manifest.dim, error);
    w->runs[i] = (lk_prepared_run){.probes = prepared, .count = (uint32_t)runs[i].rows, .threshold = threshold};
    prepared += runs[i].rows * gallery->manifest.dim;
  }
  return status;
}

lk_status lk_workspace_take(lk_workspace *w, const lk_gallery *gallery, const lk_prepared_run *runs,
                            uint32_t runs_count, lk_error *error) {
  uint64_t probes = 0;
  for (uint32_t i = 0; i < runs_count; i++) probes += runs[i].count;
  lk_status status = reserve(w, gallery, probes, runs_count, error);
  if (status != LK_OK) return status;
  for (uint32_t i = 0; i < runs_count; i++) w->runs[i] = runs[i];
  if (runs_count == 1) {
    w->probes = runs[0].probes;
    return LK_OK;
  }
  float *prepared = reserve_prepared(w);
  if (prepared == NULL) return lk_fail_memory(error);
  for (uint32_t i = 0; i < runs_count; i++) {
    size_t floats = (size_t)runs[i].count * gallery->manifest.dim;
    memcpy(prepared, runs[i].probes, floats * sizeof *prepared);
    w->runs[i].probes = prepared;
    prepared += floats;
  }
  return LK_OK;
}
