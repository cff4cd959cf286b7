/* Verification compares each probe with all templates of one subject. It needs no scan, so each template is held
 * against its code here. */
#include <math.h>

#include "base/fail.h"
#include "base/text.h"
#include "index/gallery/authorise.h"
#include "index/gallery/probes.h"

typedef struct verification {
  const lk_query *query; /* its tags, mask and control */
  lk_result *result;
  uint32_t templates, compared; /* of the subject */
  lk_status status;
  lk_error *error;
} verification;

/* Keeps for each probe the better of its hit so far and this template. */
static void compare_with(void *context, uint32_t part_number, uint32_t row) {
  verification *v = context;
  const lk_workspace *w = &v->result->workspace;
  const lk_catalog *catalog = w->sight->catalog;
  const lk_part *part = catalog->parts[part_number];
  const lk_segment *segment = &part->segment;
  lk_shape shape = segment->shape;
  lk_filter all = lk_sight_filter(w->sight), filter = all;
  lk_visibility visibility = lk_part_visibility(part);
  float buffer[LK_DIM_MAX];
  filter.tags = v->query->tags;
  filter.mask = v->query->mask;
  if (!lk_visible(&visibility, &all, NULL, row)) return;
  v->templates++;
  if (!lk_visible(&visibility, &filter, NULL, row)) return;
  if (v->status == LK_OK) v->status = lk_control_check(v->query->control, v->error);
  if (v->status == LK_OK) v->status = lk_segment_check_row(segment, row, v->error);
  if (v->status != LK_OK) return;
  const float *x = lk_stored_row(shape.store, segment->block.exact, row, shape.dim, buffer);
  for (uint32_t p = 0; p < w->probes_count; p++) {
    lk_hit hit = {.number = segment->block.numbers[row], .row = catalog->first_row[part_number] + row};
    hit.score = lk_score(shape.metric, w->probes + (size_t)p * shape.dim, x, shape.dim);
    lk_hit *best = &v->result->answer.lists.hits[p];
    if (v->compared == 0 || lk_hit_before(&hit, best)) *best = hit;
  }
  v->compared++;
}

static lk_status compare_all(lk_result *result, const lk_query *query, lk_text subject, lk_error *error) {
  verification v = {.query = query, .result = result, .error = error};
  const lk_gallery *gallery = result->answer.gallery;
  lk_candidate_lists *lists = &result->answer.lists;
  uint32_t probes = result->workspace.probes_count;
  lk_status status = lk_candidate_lists_reserve(lists, probes, probes, error);
  if (status != LK_OK) return status;
  fenv_t callers = lk_enter_arithmetic();
  lk_catalog_each_of_subject(result->answer.sight.catalog, subject, compare_with, &v);
  fesetenv(&callers);
  status = lk_catalog_check_files(result->answer.sight.catalog, error);
  if (status == LK_OK) status = v.status;
  if (status != LK_OK) return status;
  if (v.templates == 0)
    return lk_fail(error, LK_ENOTFOUND, "the gallery %s has no subject '%.*s'", gallery->manifest.name,
                   lk_text_shown(subject), subject.bytes);
  lists->visible = v.compared;
  for (uint32_t p = 0; p < probes; p++) lists->ends[p] = v.compared > 0 ? p + 1 : 0;
  lists->count = probes;
  return LK_OK;
}

/* Compares the probes in the workspace. */
static lk_status compare(lk_result *result, const lk_query *query, lk_text subject, lk_error *error) {
  const lk_gallery *gallery = result->answer.gallery;
  result->workspace.sight = &result->answer.sight;
  lk_contents_enter(gallery->contents, &result->answer.sight);
  lk_status status = lk_gallery_check_entered(gallery, error);
  result->answer.behind = status != LK_OK;
  if (status == LK_OK) status = compare_all(result, query, subject, error);
  lk_contents_leave(gallery->contents);
  return status;
}

lk_status lk_gallery_verify_prepared(const lk_gallery *gallery, const lk_query *query, const lk_prepared_run *run,
                                     lk_text subject, lk_result *result, lk_error *error) {
  lk_answer_begin(&result->answer, gallery);
  lk_status status = lk_workspace_take(&result->workspace, gallery, run, 1, error);
  return status == LK_OK ? compare(result, query, subject, error) : status;
}

/* The policy is asked before the probes are refused or the subject is looked up: a refusal must not tell of either. */
static lk_status authorise(const lk_gallery *gallery, const lk_vectors *probes, const lk_text *subject,
                           const lk_claims *claims, lk_result *result, lk_gallery_authorisation *authorisation,
                           lk_error *error) {
  lk_workspace *w = &result->workspace;
  lk_policy_request request = {
      .operation = LK_OPERATION_VERIFY, .k = 1, .threshold = -INFINITY, .probes = lk_policy_probes(probes, 1)};
  lk_evidence evidence = {.searches = true, .narrowing = lk_narrowing_to_subject(subject)};
  evidence.fault = lk_workspace_prepare(w, gallery, probes, 1, -INFINITY, error);
  if (evidence.fault == LK_OK) {
    evidence.probes = w->probes;
    evidence.floats = (size_t)w->probes_count * gallery->manifest.dim;
  }
  return lk_gallery_authorise(authorisation, gallery, &request, &evidence, claims, error);
}

lk_status lk_gallery_verify(const lk_gallery *gallery, const lk_vectors *probes, lk_text subject,
                            const lk_claims *claims, lk_result *result, lk_error *error) {
  lk_gallery_authorisation authorisation;
  lk_answer_begin(&result->answer, gallery);
  lk_status status = authorise(gallery, probes, &subject, claims, result, &authorisation, error);
  if (status == LK_OK) {
    status = compare(result, &(lk_query){0}, subject, error);
    status = lk_gallery_release_search(&authorisation, status, result, error);
  } else {
    lk_gallery_refuse_search(&authorisation, result);
  }
  lk_gallery_authorise_end(&authorisation);
  return status;
}
