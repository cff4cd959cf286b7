#include <fenv.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "index/gallery.h"
#include "index/text.h"
#include "index/vector.h"

struct lk_result {
  const lk_gallery *gallery;
  uint32_t probes, k;
  float *prepared; /* probes x dim */
  lk_hit *hits;    /* probes x k */
  uint32_t *counts;
  size_t prepared_room, hits_room, counts_room;
};

lk_status lk_result_open(lk_result **result, lk_error *error) {
  *result = calloc(1, sizeof **result);
  return *result != NULL ? LK_OK : lk_fail_memory(error);
}

void lk_result_close(lk_result *result) {
  if (result == NULL) return;
  free(result->prepared);
  free(result->hits);
  free(result->counts);
  free(result);
}

uint32_t lk_result_count(const lk_result *result, uint32_t probe) { return result->counts[probe]; }

lk_candidate lk_result_candidate(const lk_result *result, uint32_t probe, uint32_t rank) {
  const lk_hit *hit = &result->hits[(size_t)probe * result->k + rank];
  return (lk_candidate){.found = lk_gallery_template(result->gallery, hit->row), .score = hit->score};
}

static bool grow(void **data, size_t *room, size_t count, size_t size) {
  if (*room >= count) return true;
  void *grown = realloc(*data, count * size);
  if (grown == NULL) return false;
  *data = grown;
  *room = count;
  return true;
}

static lk_status reserve(lk_result *result, const lk_gallery *gallery, uint32_t probes, uint32_t k, lk_error *error) {
  if (!grow((void **)&result->prepared, &result->prepared_room, (size_t)probes * gallery->manifest.dim,
            sizeof(float)) ||
      !grow((void **)&result->hits, &result->hits_room, (size_t)probes * k, sizeof(lk_hit)) ||
      !grow((void **)&result->counts, &result->counts_room, probes, sizeof(uint32_t)))
    return lk_fail_memory(error);
  result->gallery = gallery;
  result->probes = probes;
  result->k = k;
  return LK_OK;
}

static lk_status check_model(const lk_gallery *gallery, lk_text model, lk_error *error) {
  if (model.length == 0 || lk_text_equal(model, lk_text_of(gallery->manifest.model))) return LK_OK;
  return lk_fail(error, LK_EMODEL, "the probes are of model '%.*s'; the gallery %s is of '%s'", (int)model.length,
                 model.bytes, gallery->name, gallery->manifest.model);
}

/* The arithmetic here runs in the caller's thread, where another library may have set another rounding or
 * flush-to-zero: the answer must not depend on it. What runs in a pool is seen to there. */
static fenv_t enter_arithmetic(void) {
  fenv_t callers;
  fegetenv(&callers);
  fesetenv(FE_DFL_ENV);
  return callers;
}

/* Prepares a run of probes into `prepared`, one after the other. */
static lk_status prepare(const lk_gallery *gallery, const lk_vectors *probes, float *prepared, size_t stride,
                         lk_error *error) {
  lk_status status = lk_gallery_check_dim(gallery, probes, error);
  fenv_t callers = enter_arithmetic();
  for (uint64_t p = 0; status == LK_OK && p < probes->rows; p++) {
    const char *fault = lk_vector_prepare(gallery->manifest.metric, probes, p, prepared + p * stride);
    if (fault != NULL) status = lk_fail(error, LK_EBADPROBE, "%s: probe %" PRIu64 " %s", probes->name, p, fault);
  }
  fesetenv(&callers);
  return status;
}

lk_status lk_gallery_check_probes(const lk_gallery *gallery, const lk_vectors *probes, lk_text model, lk_error *error) {
  float prepared[LK_DIM_MAX];
  lk_status status = check_model(gallery, model, error);
  return status == LK_OK ? prepare(gallery, probes, prepared, 0, error) : status;
}

static lk_status take_probes(const lk_gallery *gallery, const lk_vectors *runs, uint32_t runs_count, uint32_t k,
                             lk_result *result, lk_error *error) {
  uint64_t probes = 0;
  for (uint32_t i = 0; i < runs_count; i++) probes += runs[i].rows;
  if (probes > INT32_MAX) return lk_fail(error, LK_EINVAL, "more than %d probes at once", INT32_MAX);
  lk_status status = reserve(result, gallery, (uint32_t)probes, k, error);
  float *prepared = result->prepared;
  for (uint32_t i = 0; status == LK_OK && i < runs_count; i++) {
    status = prepare(gallery, &runs[i], prepared, gallery->manifest.dim, error);
    prepared += runs[i].rows * gallery->manifest.dim;
  }
  return status;
}

static lk_status check_query(const lk_gallery *gallery, const lk_query *query, lk_error *error) {
  if (query->k < 1 || query->k > LK_K_MAX)
    return lk_fail(error, LK_EINVAL, "k = %u is outside 1 .. %d", query->k, LK_K_MAX);
  if (isnan(query->threshold)) return lk_fail(error, LK_EINVAL, "the threshold is not a number");
  if (gallery->holds == NULL)
    return lk_fail(error, LK_EINVAL, "the gallery %s is not loaded on a device", gallery->name);
  return check_model(gallery, query->model, error);
}

lk_status lk_gallery_identify(lk_gallery *gallery, const lk_query *query, lk_result *result, lk_search_stats *stats,
                              lk_error *error) {
  lk_status status = check_query(gallery, query, error);
  if (status == LK_OK) status = take_probes(gallery, query->probes, query->probes_count, query->k, result, error);
  if (status != LK_OK) return status;
  lk_batch batch = {.shape = {.metric = gallery->manifest.metric, .dim = gallery->manifest.dim},
                    .holds = gallery->holds,
                    .holds_count = gallery->manifest.segments_count,
                    .probes = result->prepared,
                    .count = result->probes,
                    .k = query->k,
                    .threshold = query->threshold};
  return lk_search(gallery->device, &batch, result->hits, result->counts, stats, error);
}

/* Gives each probe the better of what it has and a template. */
static void compare_with(const lk_segment *segment, uint32_t row, uint64_t first_row, lk_result *result) {
  for (uint32_t p = 0; p < result->probes; p++) {
    lk_hit hit = {.number = segment->block.numbers[row], .row = (uint32_t)(first_row + row)};
    hit.score = lk_score(segment->metric, result->prepared + (size_t)p * segment->dim,
                         segment->block.exact + (size_t)row * segment->dim, segment->dim);
    if (result->counts[p] == 0 || lk_hit_before(&hit, &result->hits[p])) result->hits[p] = hit;
    result->counts[p] = 1;
  }
}

static lk_status compare_in_segment(const lk_gallery *gallery, uint32_t s, lk_text subject, lk_result *result,
                                    uint32_t *found, lk_error *error) {
  const lk_segment *segment = &gallery->segments[s];
  uint32_t count = lk_segment_find_subject(segment, subject, NULL, 0);
  if (count == 0) return LK_OK;
  uint32_t *rows = malloc(count * sizeof *rows);
  if (rows == NULL) return lk_fail_memory(error);
  lk_segment_find_subject(segment, subject, rows, count);
  fenv_t callers = enter_arithmetic();
  for (uint32_t i = 0; i < count; i++) compare_with(segment, rows[i], gallery->first_row[s], result);
  fesetenv(&callers);
  free(rows);
  *found += count;
  return LK_OK;
}

lk_status lk_gallery_verify(const lk_gallery *gallery, const lk_vectors *probes, lk_text subject, lk_result *result,
                            lk_error *error) {
  lk_status status = take_probes(gallery, probes, 1, 1, result, error);
  if (status != LK_OK) return status;
  for (uint32_t p = 0; p < result->probes; p++) result->counts[p] = 0;
  uint32_t found = 0;
  for (uint32_t s = 0; status == LK_OK && s < gallery->manifest.segments_count; s++)
    status = compare_in_segment(gallery, s, subject, result, &found, error);
  if (status == LK_OK && found == 0)
    status = lk_fail(error, LK_ENOTFOUND, "the gallery %s has no subject '%.*s'", gallery->name, (int)subject.length,
                     subject.bytes);
  return status;
}
