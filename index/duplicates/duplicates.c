/* Every template is a probe of the exact search, so each pair is found twice; it is reported where the probe has the
 * smaller number.
 *
 * To search only the rows behind the probes would save up to half the products. But a scan reads whole tiles of
 * segments, whose rows may lie in the order of their lengths, and no filter makes it skip one.
 *
 * A range search keeps all that it finds, and a batch of probes can find almost all of the gallery each. So the first
 * level searches for the best few of each probe at or above the threshold: this costs little more than a range search,
 * and its memory is bounded. A list that is not full has all there is. The probes of full lists go to the next level,
 * the last of which is a range search for so few probes that their lists can be as long as the gallery.
 *
 * The gallery may change meanwhile. The probes are those of one catalog, and their rows are read from it even when they
 * have been deleted; a probe that lives no more when its search has ended has an empty list. */
#include <math.h>
#include <stdlib.h>

#include <likeness/dedupe.h>
#include "base/clock.h"
#include "base/fail.h"
#include "base/text.h"
#include "index/gallery/authorise.h"
#include "index/gallery/unchecked.h"

enum { LEVELS = 3, BATCH_PROBES = 1024, RANGE_HITS = 1 << 21 };

static const uint32_t level_k[LEVELS] = {64, 1024, LK_K_ALL};

/* The last search of a level. */
typedef struct window {
  uint64_t positions[BATCH_PROBES]; /* of the probes, ascending */
  lk_template probes[BATCH_PROBES]; /* once they were searched for; zeros: it lives no more */
  bool is_full[BATCH_PROBES];       /* the probe's list may be cut, so the next level searches for it */
  uint32_t count, most;             /* probes; at most */
  uint32_t next;                    /* the first probe that is not reported */
  lk_result *result;
} window;

typedef struct run {
  lk_gallery *gallery;
  lk_catalog *shown; /* what positions count */
  const lk_dedupe *dedupe;
  lk_gallery_authorisation authorisation;
  lk_gallery_stat stat;
  float threshold; /* in effect */
  uint64_t end;    /* the first level has come so far */
  float *vectors;  /* BATCH_PROBES x dim, of the search that runs */
  window *windows; /* one for each level; the first has the caller's result */
  lk_error *error;
} run;

/* The template at a position; zeros if it was deleted or had expired by then. */
static lk_template find_living(const run *r, uint64_t position, uint64_t now_ms) {
  lk_template t = lk_gallery_template_of(r->gallery, r->shown, position);
  return t.expires_ms > now_ms ? t : (lk_template){0};
}

static void fill_first(run *r) {
  window *w = &r->windows[0];
  uint64_t now_ms = lk_clock_unix_ms();
  for (w->count = 0; r->end < r->shown->rows && w->count < w->most; r->end++)
    if (find_living(r, r->end, now_ms).key.length > 0) w->positions[w->count++] = r->end;
}

/* From the level above takes the next probes with full lists. */
static void fill_from(const window *above, window *w) {
  w->count = 0;
  for (uint32_t p = above->next; p < above->count && w->count < w->most; p++)
    if (above->is_full[p]) w->positions[w->count++] = above->positions[p];
}

static lk_status search(run *r, uint32_t level) {
  window *w = &r->windows[level];
  lk_query query = {.k = level_k[level], .control = r->dedupe->control};
  lk_prepared_run probes = {.probes = r->vectors, .count = w->count, .threshold = r->threshold};
  lk_status status = LK_OK;
  for (uint32_t p = 0; status == LK_OK && p < w->count; p++)
    status = lk_gallery_export_row(r->shown, w->positions[p], r->vectors + (size_t)p * r->stat.dim, r->error);
  if (status != LK_OK) return status;
  return lk_gallery_identify_prepared(r->gallery, &query, &probes, 1, w->result, NULL, r->error);
}

static bool is_pair(void *context, uint32_t probe, lk_template found) {
  const window *w = context;
  const lk_template *t = &w->probes[probe];
  return t->key.length > 0 && !w->is_full[probe] && !lk_text_equal(t->subject, found.subject);
}

/* Leaves only pairs in the lists, of templates that lived when the search began; and none in a full list, which the
 * next level releases. */
static void leave_pairs(const run *r, uint32_t level) {
  window *w = &r->windows[level];
  lk_answer *answer = &w->result->answer;
  for (uint32_t p = 0; p < w->count; p++) {
    w->probes[p] = find_living(r, w->positions[p], answer->sight.now_ms);
    w->is_full[p] = level_k[level] != LK_K_ALL && lk_result_count(w->result, p) == level_k[level];
  }
  lk_answer_keep(answer, is_pair, w);
}

/* A limit of candidates would leave out pairs, of which nobody could say which. */
static lk_status take_limits(run *r) {
  const lk_policy_request *limited = &r->authorisation.base.request;
  r->threshold = limited->threshold;
  if (limited->k == LK_K_ALL) return LK_OK;
  return lk_fail(r->error, LK_EPOLICY,
                 "refused: the policy permits at most %u candidates for a probe, which would leave out pairs",
                 limited->k);
}

/* Rules that have become stricter would leave out pairs of some templates and not of others. */
static lk_status check_limits(const run *r) {
  const lk_policy_request *limited = &r->authorisation.base.request;
  if (limited->k == LK_K_ALL && limited->threshold == r->threshold) return LK_OK;
  return lk_fail(r->error, LK_EPOLICY, "refused: the policy's limits have become stricter meanwhile; ask again");
}

/* Both subjects of a pair count as found, each by the other's template. */
static lk_status release(run *r, const window *w, lk_status searched) {
  r->authorisation.base.counted = false;
  lk_status status = lk_gallery_release_search(&r->authorisation, searched, w->result, r->error);
  return status == LK_OK ? check_limits(r) : status;
}

/* Searches for the probes in a level's window. */
static lk_status run_level(run *r, uint32_t level) {
  window *w = &r->windows[level];
  w->next = 0;
  lk_status status = search(r, level);
  if (status == LK_OK) leave_pairs(r, level);
  return release(r, w, status);
}

static lk_status report_list(const run *r, const window *w, uint32_t probe) {
  lk_pair pair = {.a = w->probes[probe]};
  uint32_t count = lk_result_count(w->result, probe);
  lk_status status = LK_OK;
  for (uint32_t rank = 0; status == LK_OK && rank < count; rank++) {
    lk_candidate candidate = lk_result_candidate(w->result, probe, rank);
    if (candidate.found.number < pair.a.number) continue;
    pair.b = candidate.found;
    pair.score = candidate.score;
    status = r->dedupe->found(r->dedupe->context, &pair, r->error);
  }
  return status;
}

/* Reports the next probe of the level's window. */
static lk_status report_next(run *r, uint32_t level) {
  window *w = &r->windows[level], *below = w + 1;
  lk_status status = lk_control_check(r->dedupe->control, r->error);
  if (status == LK_OK && !w->is_full[w->next]) {
    status = report_list(r, w, w->next);
  } else if (status == LK_OK) {
    if (below->next == below->count) {
      fill_from(w, below);
      status = run_level(r, level + 1);
    }
    if (status == LK_OK) status = report_next(r, level + 1);
  }
  w->next++;
  return status;
}

static void tell_progress(const run *r) {
  const window *w = &r->windows[0];
  uint64_t done = w->next < w->count ? w->positions[w->next] : r->end;
  if (r->dedupe->progress != NULL) r->dedupe->progress(r->dedupe->context, done, r->shown->rows);
}

/* An empty gallery is searched too: its answer, which has no pairs, is released like any other. */
static lk_status find_all(run *r) {
  const window *w = &r->windows[0];
  lk_status status = LK_OK;
  do {
    fill_first(r);
    status = run_level(r, 0);
    while (status == LK_OK && w->next < w->count) {
      status = report_next(r, 0);
      tell_progress(r);
    }
  } while (status == LK_OK && r->end < r->shown->rows);
  return status;
}

static lk_status open_run(run *r, lk_result *result) {
  uint64_t templates = r->stat.templates > 0 ? r->stat.templates : 1, at_once = RANGE_HITS / templates;
  r->vectors = malloc((size_t)BATCH_PROBES * r->stat.dim * sizeof *r->vectors);
  r->windows = calloc(LEVELS, sizeof *r->windows);
  if (r->vectors == NULL || r->windows == NULL) return lk_fail_memory(r->error);
  r->windows[0].result = result;
  for (uint32_t level = 0; level < LEVELS; level++) r->windows[level].most = BATCH_PROBES;
  r->windows[LEVELS - 1].most = at_once < 1 ? 1 : at_once < BATCH_PROBES ? (uint32_t)at_once : BATCH_PROBES;
  lk_status status = LK_OK;
  for (uint32_t level = 1; status == LK_OK && level < LEVELS; level++)
    status = lk_result_open(&r->windows[level].result, r->error);
  return status;
}

static void close_run(run *r) {
  for (uint32_t level = 1; r->windows != NULL && level < LEVELS; level++) {
    if (r->windows[level].result != NULL) lk_result_erase(r->windows[level].result);
    lk_result_close(r->windows[level].result);
  }
  free(r->windows);
  free(r->vectors);
  lk_catalog_release(r->shown);
}

/* Each template is a probe. They have no hash in the log: they are what the gallery had in this epoch. */
static lk_status authorise(run *r) {
  lk_policy_request request = {.operation = LK_OPERATION_IDENTIFY,
                               .k = LK_K_ALL,
                               .threshold = r->dedupe->threshold,
                               .probes = r->stat.templates < UINT32_MAX ? (uint32_t)r->stat.templates : UINT32_MAX};
  lk_evidence evidence = {.searches = true};
  lk_status status =
      lk_gallery_authorise(&r->authorisation, r->gallery, &request, &evidence, r->dedupe->claims, r->error);
  if (status != LK_OK) return status;
  status = take_limits(r);
  return status == LK_OK ? LK_OK : release(r, &r->windows[0], status);
}

static lk_status check_usage(const lk_gallery *gallery, const lk_dedupe *dedupe, lk_error *error) {
  if (isnan(dedupe->threshold)) return lk_fail(error, LK_EINVAL, "the threshold is not a number");
  if (gallery->contents->device == NULL)
    return lk_fail(error, LK_EINVAL, "the gallery %s is not loaded on a device", gallery->manifest.name);
  return LK_OK;
}

lk_status lk_gallery_dedupe(lk_gallery *gallery, const lk_dedupe *dedupe, lk_result *result, lk_error *error) {
  run r = {.gallery = gallery, .dedupe = dedupe, .error = error};
  r.shown = lk_gallery_shown(gallery);
  lk_gallery_stat_get(gallery, &r.stat);
  lk_answer_begin(&result->answer, gallery);
  lk_status status = check_usage(gallery, dedupe, error);
  if (status == LK_OK) status = open_run(&r, result);
  if (status == LK_OK) {
    status = authorise(&r);
    if (status == LK_OK) status = find_all(&r);
    if (status == LK_OK)
      lk_candidate_lists_erase(&result->answer.lists);
    else
      lk_gallery_refuse_search(&r.authorisation, result);
    lk_gallery_authorise_end(&r.authorisation);
  }
  close_run(&r);
  return status;
}
