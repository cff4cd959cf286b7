#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "index/gallery/authorise.h"
#include "index/gallery/fusion.h"
#include "index/gallery/probes.h"

static lk_status check_run(const char *name, uint64_t rows, lk_error *error) {
  if (rows >= 1 && rows <= LK_FUSED_PROBES_MAX) return LK_OK;
  return lk_fail(error, LK_EINVAL, "%s: %" PRIu64 " probes; 1 to %d can be fused", name, rows, LK_FUSED_PROBES_MAX);
}

/* `runs`: prepared runs; NULL: the query's runs. */
static lk_status check_fusion(const lk_query *query, const lk_prepared_run *runs, uint32_t runs_count,
                              lk_error *error) {
  if ((unsigned)query->fusion > LK_FUSE_MEAN) return lk_fail(error, LK_EINVAL, "invalid fusion %d", query->fusion);
  lk_status status = LK_OK;
  for (uint32_t i = 0; query->fusion != LK_FUSE_NONE && status == LK_OK && i < runs_count; i++)
    status = runs != NULL ? check_run("a job", runs[i].count, error)
                          : check_run(query->probes[i].name, query->probes[i].rows, error);
  return status;
}

static lk_status check_list(const char *of, const lk_text *texts, uint32_t count, lk_error *error) {
  if (texts != NULL || count == 0) return LK_OK;
  return lk_fail(error, LK_EINVAL, "the list of %s is NULL, but has %u elements", of, count);
}

static lk_status check_query(const lk_gallery *gallery, const lk_query *query, lk_error *error) {
  if (query->k < 1 || (query->k > LK_K_MAX && query->k != LK_K_ALL))
    return lk_fail(error, LK_EINVAL, "k = %u is outside 1 .. %d", query->k, LK_K_MAX);
  if (query->k == LK_K_ALL && query->by_subject)
    return lk_fail(error, LK_EINVAL, "a search for all candidates above a threshold cannot be by subject");
  if (gallery->contents->device == NULL)
    return lk_fail(error, LK_EINVAL, "the gallery %s is not loaded on a device", gallery->manifest.name);
  lk_status status = check_list("keys", query->keys, query->keys_count, error);
  return status == LK_OK ? check_list("subjects", query->subjects, query->subjects_count, error) : status;
}

static void allow(void *context, uint32_t part, uint32_t row) {
  const lk_workspace *workspace = context;
  ((uint64_t **)workspace->bitmaps.data)[part][row / 64] |= UINT64_C(1) << row % 64;
}

static void allow_key(lk_workspace *workspace, lk_text key) {
  uint32_t part, row;
  if (lk_catalog_find_key(workspace->sight->catalog, key, &part, &row)) allow(workspace, part, row);
}

/* Makes a bitmap per part, of bytes of this value. */
static lk_status make_bitmaps(lk_workspace *workspace, int fill, lk_error *error) {
  const lk_catalog *catalog = workspace->sight->catalog;
  uint32_t parts = catalog->parts_count;
  size_t words = 0;
  for (uint32_t i = 0; i < parts; i++) words += (catalog->parts[i]->segment.block.rows + 63) / 64;
  uint64_t *allowed = lk_buffer_reserve(&workspace->allowed, words, sizeof *allowed);
  uint64_t **bitmaps = lk_buffer_reserve(&workspace->bitmaps, parts, sizeof *bitmaps);
  if (allowed == NULL || bitmaps == NULL) return lk_fail_memory(error);
  memset(allowed, fill, words * sizeof *allowed);
  for (uint32_t i = 0; i < parts; i++) {
    bitmaps[i] = allowed;
    allowed += (catalog->parts[i]->segment.block.rows + 63) / 64;
  }
  return LK_OK;
}

/* Marks the templates that the query lists. */
static lk_status list_allowed(lk_workspace *workspace, const lk_query *query, lk_error *error) {
  lk_status status = make_bitmaps(workspace, 0, error);
  if (status != LK_OK) return status;
  for (uint32_t i = 0; i < query->keys_count; i++) allow_key(workspace, query->keys[i]);
  for (uint32_t i = 0; i < query->subjects_count; i++)
    lk_catalog_each_of_subject(workspace->sight->catalog, query->subjects[i], allow, workspace);
  return LK_OK;
}

/* Marks all but the templates that are left out. */
static lk_status leave_out(lk_workspace *workspace, lk_error *error) {
  lk_status status = make_bitmaps(workspace, 0xff, error);
  for (uint32_t i = 0; status == LK_OK && i < workspace->without_count; i++) {
    uint32_t part, row;
    if (lk_catalog_find_number(workspace->sight->catalog, workspace->without[i], &part, &row))
      ((uint64_t **)workspace->bitmaps.data)[part][row / 64] &= ~(UINT64_C(1) << row % 64);
  }
  return status;
}

/* Searches for every probe on its own. */
static lk_status search_each(lk_result *result, const lk_query *query, lk_search_stats *stats, lk_error *error) {
  lk_workspace *w = &result->workspace;
  lk_plain_search plain = {.probes = w->probes,
                           .count = w->probes_count,
                           .thresholds = w->thresholds.data,
                           .k = query->k,
                           .by_subject = query->by_subject};
  return lk_workspace_search(w, query, &plain, &result->answer.lists, stats, error);
}

/* The query's probes and threshold are not read. Rows that were cut off read as zeros, which looks like damage: then
 * the cut is the reason. */
static lk_status search(lk_result *result, const lk_query *query, lk_search_stats *stats, lk_error *error) {
  lk_workspace *w = &result->workspace;
  lk_status status = lk_query_lists(query)  ? list_allowed(w, query, error)
                     : w->without_count > 0 ? leave_out(w, error)
                                            : LK_OK;
  if (status != LK_OK) return status;
  float *threshold = w->thresholds.data;
  for (uint32_t run = 0; run < w->runs_count; run++)
    for (uint32_t p = 0; p < w->runs[run].count; p++) *threshold++ = w->runs[run].threshold;
  fenv_t callers = lk_enter_arithmetic();
  status = query->fusion == LK_FUSE_MAX    ? lk_fuse_max(result, query, stats, error)
           : query->fusion == LK_FUSE_MEAN ? lk_fuse_mean(result, query, stats, error)
                                           : search_each(result, query, stats, error);
  fesetenv(&callers);
  lk_error cut_off;
  lk_status readable = lk_catalog_check_files(w->sight->catalog, &cut_off);
  if (readable != LK_OK && (status == LK_OK || status == LK_ECORRUPT)) {
    status = readable;
    if (error != NULL) *error = cut_off;
  }
  if (status != LK_OK) lk_answer_clear(&result->answer);
  return status;
}

/* Searches for the runs in the workspace, in the gallery as it is now; `now_ms`: the time, 0: as it is. */
static lk_status run_search(lk_result *result, const lk_query *query, uint64_t now_ms, lk_search_stats *stats,
                            lk_error *error) {
  const lk_gallery *gallery = result->workspace.gallery;
  result->workspace.sight = &result->answer.sight;
  lk_contents_enter(gallery->contents, &result->answer.sight);
  if (now_ms != 0) result->answer.sight.now_ms = now_ms;
  lk_status status = lk_gallery_check_entered(gallery, error);
  result->answer.behind = status != LK_OK;
  if (status == LK_OK) status = search(result, query, stats, error);
  lk_contents_leave(gallery->contents);
  return status;
}

/* What does not depend on the gallery's templates, so that anyone may be told. */
static lk_status check_usage(const lk_gallery *gallery, const lk_query *query, lk_error *error) {
  lk_status status = check_query(gallery, query, error);
  if (status == LK_OK && isnan(query->threshold)) status = lk_fail(error, LK_EINVAL, "the threshold is not a number");
  return status == LK_OK ? check_fusion(query, NULL, query->probes_count, error) : status;
}

static lk_status prepare(const lk_gallery *gallery, const lk_query *query, lk_workspace *w, lk_error *error) {
  lk_status status = lk_gallery_check_model(gallery, query->model, error);
  if (status != LK_OK) return status;
  return lk_workspace_prepare(w, gallery, query->probes, query->probes_count, query->threshold, error);
}

lk_status lk_gallery_identify_unchecked(lk_gallery *gallery, const lk_query *query, lk_result *result,
                                        lk_search_stats *stats, lk_error *error) {
  lk_answer_begin(&result->answer, gallery);
  lk_status status = check_usage(gallery, query, error);
  if (status == LK_OK) status = prepare(gallery, query, &result->workspace, error);
  return status == LK_OK ? run_search(result, query, 0, stats, error) : status;
}

lk_status lk_gallery_identify_prepared(lk_gallery *gallery, const lk_query *query, const lk_prepared_run *runs,
                                       uint32_t runs_count, lk_result *result, lk_search_stats *stats,
                                       lk_error *error) {
  lk_answer_begin(&result->answer, gallery);
  lk_status status = check_query(gallery, query, error);
  if (status == LK_OK) status = check_fusion(query, runs, runs_count, error);
  if (status == LK_OK) status = lk_workspace_take(&result->workspace, gallery, runs, runs_count, error);
  return status == LK_OK ? run_search(result, query, 0, stats, error) : status;
}

lk_status lk_gallery_identify_without(lk_gallery *gallery, const lk_query *query, const lk_prepared_run *runs,
                                      uint32_t runs_count, const uint64_t *numbers, uint32_t count, uint64_t now_ms,
                                      lk_result *result, lk_error *error) {
  lk_answer_begin(&result->answer, gallery);
  lk_status status = check_query(gallery, query, error);
  if (status == LK_OK) status = lk_workspace_take(&result->workspace, gallery, runs, runs_count, error);
  if (status != LK_OK) return status;
  result->workspace.without = numbers;
  result->workspace.without_count = count;
  return run_search(result, query, now_ms, NULL, error);
}

/* Asks the policy, before anyone is told that the probes do not fit the gallery, and takes its limits. */
static lk_status authorise(const lk_gallery *gallery, lk_query *query, lk_result *result,
                           lk_gallery_authorisation *authorisation, lk_error *error) {
  lk_workspace *w = &result->workspace;
  lk_policy_request request = {.operation = LK_OPERATION_IDENTIFY,
                               .k = query->k,
                               .threshold = query->threshold,
                               .probes = lk_policy_probes(query->probes, query->probes_count)};
  lk_evidence evidence = lk_query_evidence(query, prepare(gallery, query, w, error));
  if (evidence.fault == LK_OK) {
    evidence.probes = w->probes;
    evidence.floats = (size_t)w->probes_count * gallery->manifest.dim;
  }
  lk_status status = lk_gallery_authorise(authorisation, gallery, &request, &evidence, query->claims, error);
  if (status != LK_OK) return status;
  query->k = authorisation->base.request.k;
  for (uint32_t run = 0; run < w->runs_count; run++) w->runs[run].threshold = authorisation->base.request.threshold;
  return LK_OK;
}

/* Statistics of a search that is withheld would tell how many templates there are. */
lk_status lk_gallery_identify(lk_gallery *gallery, const lk_query *query, lk_result *result, lk_search_stats *stats,
                              lk_error *error) {
  lk_gallery_authorisation authorisation;
  lk_query permitted = *query;
  lk_search_stats counted = stats != NULL ? *stats : (lk_search_stats){0};
  lk_answer_begin(&result->answer, gallery);
  lk_status status = check_usage(gallery, query, error);
  if (status != LK_OK) {
    lk_result_erase(result);
    return status;
  }
  status = authorise(gallery, &permitted, result, &authorisation, error);
  if (status == LK_OK) {
    status = run_search(result, &permitted, 0, &counted, error);
    status = lk_gallery_release_search(&authorisation, status, result, error);
  } else {
    lk_gallery_refuse_search(&authorisation, result);
  }
  lk_gallery_authorise_end(&authorisation);
  if (status == LK_OK && stats != NULL) *stats = counted;
  return status;
}
