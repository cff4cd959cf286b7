#include <fenv.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "governance/authorisation.h"
#include "index/formats/vector.h"
#include "index/gallery/fusion.h"
#include "index/gallery/gallery.h"
#include "index/gallery/result.h"
#include "index/gallery/unchecked.h"

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

static lk_status take_probes(const lk_gallery *gallery, const lk_vectors *runs, uint32_t runs_count, lk_result *result,
                             lk_error *error) {
  uint64_t probes = 0;
  for (uint32_t i = 0; i < runs_count; i++) probes += runs[i].rows;
  if (probes > INT32_MAX) return lk_fail(error, LK_EINVAL, "more than %d probes at once", INT32_MAX);
  float *prepared = lk_room_take(&result->prepared, probes * gallery->manifest.dim, sizeof *prepared);
  if (prepared == NULL || lk_room_take(&result->thresholds, probes, sizeof(float)) == NULL)
    return lk_fail_memory(error);
  result->gallery = gallery;
  result->probes = (uint32_t)probes;
  lk_status status = LK_OK;
  for (uint32_t i = 0; status == LK_OK && i < runs_count; i++) {
    status = prepare(gallery, &runs[i], prepared, gallery->manifest.dim, error);
    prepared += runs[i].rows * gallery->manifest.dim;
  }
  return status;
}

static lk_status check_fusion(const lk_query *query, lk_error *error) {
  if ((unsigned)query->fusion > LK_FUSE_MEAN) return lk_fail(error, LK_EINVAL, "fusion %d is none", query->fusion);
  for (uint32_t i = 0; query->fusion != LK_FUSE_NONE && i < query->probes_count; i++)
    if (query->probes[i].rows < 1 || query->probes[i].rows > LK_FUSED_PROBES_MAX)
      return lk_fail(error, LK_EINVAL, "%s: %" PRIu64 " probes; 1 to %d can be fused", query->probes[i].name,
                     query->probes[i].rows, LK_FUSED_PROBES_MAX);
  return LK_OK;
}

static lk_status check_query(const lk_gallery *gallery, const lk_query *query, lk_error *error) {
  if (query->k < 1 || (query->k > LK_K_MAX && query->k != LK_K_ALL))
    return lk_fail(error, LK_EINVAL, "k = %u is outside 1 .. %d", query->k, LK_K_MAX);
  if (query->k == LK_K_ALL && query->by_subject)
    return lk_fail(error, LK_EINVAL, "all candidates above a threshold are by template, not by subject");
  if (isnan(query->threshold)) return lk_fail(error, LK_EINVAL, "the threshold is not a number");
  if (gallery->holds == NULL)
    return lk_fail(error, LK_EINVAL, "the gallery %s is not loaded on a device", gallery->name);
  lk_status status = check_fusion(query, error);
  return status == LK_OK ? check_model(gallery, query->model, error) : status;
}

static void allow(lk_result *result, uint32_t segment, uint32_t row) {
  ((uint64_t **)result->bitmaps.data)[segment][row / 64] |= UINT64_C(1) << row % 64;
}

static void allow_key(lk_result *result, lk_text key) {
  const lk_gallery *gallery = result->gallery;
  for (uint32_t s = 0, row; s < gallery->manifest.segments_count; s++)
    if (lk_segment_find_key(&gallery->segments[s], key, &row)) allow(result, s, row);
}

static void allow_row(void *context, uint32_t segment, uint32_t row) { allow(context, segment, row); }

/* Lays out a bitmap a segment and marks what the query lists. */
static lk_status list_allowed(const lk_gallery *gallery, const lk_query *query, lk_result *result, lk_error *error) {
  uint32_t segments = gallery->manifest.segments_count;
  size_t words = 0;
  for (uint32_t s = 0; s < segments; s++) words += (gallery->segments[s].block.rows + 63) / 64;
  uint64_t *allowed = lk_room_take(&result->allowed, words, sizeof *allowed);
  uint64_t **bitmaps = lk_room_take(&result->bitmaps, segments, sizeof *bitmaps);
  if (allowed == NULL || bitmaps == NULL) return lk_fail_memory(error);
  memset(allowed, 0, words * sizeof *allowed);
  for (uint32_t s = 0; s < segments; s++) {
    bitmaps[s] = allowed;
    allowed += (gallery->segments[s].block.rows + 63) / 64;
  }
  for (uint32_t i = 0; i < query->keys_count; i++) allow_key(result, query->keys[i]);
  for (uint32_t i = 0; i < query->subjects_count; i++)
    lk_gallery_each_of_subject(gallery, query->subjects[i], allow_row, result);
  return LK_OK;
}

static lk_status search_apart(lk_result *result, const lk_query *query, lk_search_stats *stats, lk_error *error) {
  lk_plain_search plain = {.probes = result->prepared.data,
                           .count = result->probes,
                           .thresholds = result->thresholds.data,
                           .k = query->k,
                           .by_subject = query->by_subject};
  return lk_result_search(result, query, &plain, &result->lists, stats, error);
}

static void empty(lk_result *result) {
  lk_candidate_lists_clear(&result->lists);
  lk_result_decide(result, NULL);
}

static lk_status prepare_search(const lk_gallery *gallery, const lk_query *query, lk_result *result, lk_error *error) {
  empty(result);
  lk_status status = check_query(gallery, query, error);
  return status == LK_OK ? take_probes(gallery, query->probes, query->probes_count, result, error) : status;
}

/* What was prepared. */
static lk_status run_search(const lk_gallery *gallery, const lk_query *query, lk_result *result, lk_search_stats *stats,
                            lk_error *error) {
  lk_status status = lk_query_lists(query) ? list_allowed(gallery, query, result, error) : LK_OK;
  if (status != LK_OK) return status;
  for (uint32_t p = 0; p < result->probes; p++) ((float *)result->thresholds.data)[p] = query->threshold;
  fenv_t callers = enter_arithmetic();
  status = query->fusion == LK_FUSE_MAX    ? lk_fuse_max(result, query, stats, error)
           : query->fusion == LK_FUSE_MEAN ? lk_fuse_mean(result, query, stats, error)
                                           : search_apart(result, query, stats, error);
  fesetenv(&callers);
  return status;
}

lk_status lk_gallery_identify_unchecked(lk_gallery *gallery, const lk_query *query, lk_result *result,
                                        lk_search_stats *stats, lk_error *error) {
  lk_status status = prepare_search(gallery, query, result, error);
  return status == LK_OK ? run_search(gallery, query, result, stats, error) : status;
}

/* Asks for a search whose probes are prepared. */
static lk_status ask(lk_authorisation *passage, const lk_gallery *gallery, lk_policy_request request,
                     const lk_claims *claims, lk_result *result, lk_error *error) {
  request.probes = result->probes;
  lk_status status = lk_authorisation_ask(passage, gallery, &request, claims, error);
  if (status == LK_EPOLICY) lk_authorisation_refuse(passage, result);
  return status;
}

lk_status lk_gallery_identify(lk_gallery *gallery, const lk_query *query, lk_result *result, lk_search_stats *stats,
                              lk_error *error) {
  lk_policy_request request = {.operation = LK_OPERATION_IDENTIFY, .k = query->k, .threshold = query->threshold};
  lk_query permitted = *query;
  lk_authorisation passage;
  lk_status status = prepare_search(gallery, query, result, error);
  if (status == LK_OK) status = ask(&passage, gallery, request, query->claims, result, error);
  if (status != LK_OK) return status;
  permitted.k = passage.request.k;
  permitted.threshold = passage.request.threshold;
  status = run_search(gallery, &permitted, result, stats, error);
  return status == LK_OK ? lk_authorisation_release_search(&passage, result, error) : status;
}

typedef struct verification {
  lk_result *result;
  uint32_t compared;
} verification;

/* Gives each probe the better of what it has and a template. */
static void compare_with(void *context, uint32_t segment_number, uint32_t row) {
  verification *v = context;
  const lk_gallery *gallery = v->result->gallery;
  const lk_segment *segment = &gallery->segments[segment_number];
  lk_shape shape = segment->shape;
  float room[LK_DIM_MAX];
  const float *x = lk_stored_row(shape.store, segment->block.exact, row, shape.dim, room);
  for (uint32_t p = 0; p < v->result->probes; p++) {
    lk_hit hit = {.number = segment->block.numbers[row], .row = (uint32_t)(gallery->first_row[segment_number] + row)};
    hit.score = lk_score(shape.metric, (const float *)v->result->prepared.data + (size_t)p * shape.dim, x, shape.dim);
    lk_hit *best = &v->result->lists.hits[p];
    if (v->compared == 0 || lk_hit_before(&hit, best)) *best = hit;
  }
  v->compared++;
}

static lk_status prepare_comparison(const lk_gallery *gallery, const lk_vectors *probes, lk_result *result,
                                    lk_error *error) {
  empty(result);
  lk_status status = take_probes(gallery, probes, 1, result, error);
  return status == LK_OK ? lk_candidate_lists_reserve(&result->lists, result->probes, result->probes, error) : status;
}

static lk_status run_comparison(const lk_gallery *gallery, lk_text subject, lk_result *result, lk_error *error) {
  verification v = {.result = result};
  fenv_t callers = enter_arithmetic();
  lk_gallery_each_of_subject(gallery, subject, compare_with, &v);
  fesetenv(&callers);
  if (v.compared == 0)
    return lk_fail(error, LK_ENOTFOUND, "the gallery %s has no subject '%.*s'", gallery->name, (int)subject.length,
                   subject.bytes);
  for (uint32_t p = 0; p < result->probes; p++) result->lists.ends[p] = p + 1;
  result->lists.count = result->probes;
  return LK_OK;
}

lk_status lk_gallery_verify_unchecked(const lk_gallery *gallery, const lk_vectors *probes, lk_text subject,
                                      lk_result *result, lk_error *error) {
  lk_status status = prepare_comparison(gallery, probes, result, error);
  return status == LK_OK ? run_comparison(gallery, subject, result, error) : status;
}

lk_status lk_gallery_verify(const lk_gallery *gallery, const lk_vectors *probes, lk_text subject,
                            const lk_claims *claims, lk_result *result, lk_error *error) {
  lk_policy_request request = {.operation = LK_OPERATION_VERIFY, .k = 1, .threshold = -INFINITY};
  lk_authorisation passage;
  lk_status status = prepare_comparison(gallery, probes, result, error);
  if (status == LK_OK) status = ask(&passage, gallery, request, claims, result, error);
  if (status == LK_OK) status = run_comparison(gallery, subject, result, error);
  return status == LK_OK ? lk_authorisation_release_search(&passage, result, error) : status;
}
