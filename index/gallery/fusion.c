/* Fused searches, made of plain searches.
 *
 * Max. A search finds the k best of each probe; the k best of all those are the answer. For if a template is among the
 * k best by its largest score, fewer than k templates are better than it with the probe that gave that score.
 *
 * Mean. Up to rounding, the mean of a template's scores is its score with the mean of the probes (minus a constant
 * under l2, times the mean's length under cosine, where it is the mean of the probes as vectors of length 1). So two
 * searches for the mean probe suffice:
 *   1. the k best of the mean probe; the least of their fused scores is a bar that the k best fused scores reach;
 *   2. all templates whose score with the mean probe lets their fused score reach that bar, by least_score below; their
 *      fused scores, computed as defined, decide.
 * Under cosine, where probes cancel out, their mean says nothing: then any probe takes its place, with every template.
 *
 * The proof of least_score. Up to 4096 probes q_p of mean length M, their exact mean c, the float mean probe q;
 * u = 2^-24.
 *   - A sum of 4096 doubles is within 2^-41 of the sum of magnitudes, so |q - c| <= u |c| + 2^-41 M + 2^-140 <=
 *     2 u M + 2^-140.
 *   - A canonical score is within u (and 2^-44 of the lengths' product) of the true one; the fused score F is rounded
 *     once more.
 *   - cosine: with x and q_p as vectors of length 1, F(x) >= B means c.x >= B - 2.1 u, since scores are within u of
 *     cosines, which are at most 1; |q - c| <= u |c| + 2^-40 and |c| <= 1, so q.x >= B - 3.2 u. The score with q is
 *     within 1.1 u of q.x / |q|.
 *   - ip: F(x) >= B means c.x >= B - 2.1 u M |x|; so q.x >= B - 4.1 u M |x|, and its score is 1.1 u M |x| off at most.
 *   - l2: the mean of |q_p - x|^2 is |c - x|^2 + V, V the mean of |q_p - c|^2. F(x) >= B means |c - x|^2 + V <=
 *     -B (1 + 2.2 u), and |q - x| <= |c - x| + |q - c|. V is summed in double, 2^-40 (V + M^2) outward.
 *   - Squares and products below float's normal range are off by 2^-149 each at most: 2^-100 covers them. */
#include "index/gallery/fusion.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"

static int compare_rows(const void *a, const void *b) {
  const lk_hit *x = a, *y = b;
  if (x->row != y->row) return x->row < y->row ? -1 : 1;
  return lk_hit_before(x, y) ? -1 : lk_hit_before(y, x);
}

static int compare_subjects(const void *a, const void *b) {
  const lk_hit *x = a, *y = b;
  if (x->subject != y->subject) return x->subject < y->subject ? -1 : 1;
  return lk_hit_before(x, y) ? -1 : lk_hit_before(y, x);
}

static int compare_hits(const void *a, const void *b) { return lk_hit_before(a, b) ? -1 : lk_hit_before(b, a); }

/* Keeps the best hit of each template or subject, and of those the k best, in order. */
static uint32_t keep_best(lk_hit *hits, uint32_t count, bool by_subject, uint32_t k) {
  uint32_t kept = 0;
  if (count == 0) return 0;
  qsort(hits, count, sizeof *hits, by_subject ? compare_subjects : compare_rows);
  for (uint32_t i = 0; i < count; i++)
    if (kept == 0 || (by_subject ? hits[i].subject != hits[kept - 1].subject : hits[i].row != hits[kept - 1].row))
      hits[kept++] = hits[i];
  qsort(hits, kept, sizeof *hits, compare_hits);
  return kept < k ? kept : k;
}

static lk_status append_list(lk_candidate_lists *lists, const lk_hit *hits, uint32_t count, lk_error *error) {
  lk_status status = lk_candidate_lists_reserve(lists, 1, count, error);
  if (status != LK_OK) return status;
  uint64_t begin = lk_candidate_lists_begin(lists, lists->count);
  for (uint32_t i = 0; i < count; i++) lists->hits[begin + i] = hits[i];
  lists->ends[lists->count++] = begin + count;
  return LK_OK;
}

lk_status lk_fuse_max(lk_result *result, const lk_query *query, lk_search_stats *stats, lk_error *error) {
  lk_workspace *w = &result->workspace;
  lk_candidate_lists *parts = &w->parts;
  lk_plain_search plain = {.probes = w->probes,
                           .count = w->probes_count,
                           .thresholds = w->thresholds.data,
                           .k = query->k,
                           .by_subject = query->by_subject};
  lk_status status = lk_workspace_search(w, query, &plain, parts, stats, error);
  result->answer.lists.visible = parts->visible;
  for (uint32_t run = 0, first = 0; status == LK_OK && run < w->runs_count; run++) {
    uint32_t end = first + w->runs[run].count;
    lk_hit *hits = parts->hits + lk_candidate_lists_begin(parts, first);
    uint32_t count = (uint32_t)(parts->ends[end - 1] - lk_candidate_lists_begin(parts, first));
    status = append_list(&result->answer.lists, hits, keep_best(hits, count, query->by_subject, query->k), error);
    if (status == LK_OK) status = lk_control_check(query->control, error);
    first = end;
  }
  return status;
}

/* A run of probes around their mean. */
typedef struct centre {
  double magnitude; /* mean length of the probes */
  double spread;    /* mean squared distance of the probes from their mean */
  double length;    /* of the mean */
} centre;

/* Below this length, under cosine, the rounding of scores would be more than their differences. */
static const double least_length = 0x1p-20;

static centre find_cosine_centre(const float *probes, const double *reciprocals, uint32_t count, uint32_t dim,
                                 float *mean) {
  centre c = {0};
  for (uint32_t i = 0; i < dim; i++) {
    double sum = 0;
    for (uint32_t p = 0; p < count; p++) sum += probes[(size_t)p * dim + i] * reciprocals[p];
    mean[i] = (float)(sum / count);
    c.length += (double)mean[i] * mean[i];
  }
  c.length = sqrt(c.length);
  if (c.length < least_length) memcpy(mean, probes, dim * sizeof *mean);
  return c;
}

static centre find_centre(const float *probes, uint32_t count, uint32_t dim, float *mean) {
  centre c = {0};
  for (uint32_t i = 0; i < dim; i++) {
    double sum = 0, squares = 0;
    for (uint32_t p = 0; p < count; p++) sum += probes[(size_t)p * dim + i];
    for (uint32_t p = 0; p < count; p++) {
      double apart = probes[(size_t)p * dim + i] - sum / count;
      squares += apart * apart;
    }
    mean[i] = (float)(sum / count);
    c.spread += squares / count;
  }
  for (uint32_t p = 0; p < count; p++) {
    double squares = 0;
    for (uint32_t i = 0; i < dim; i++) squares += (double)probes[(size_t)p * dim + i] * probes[(size_t)p * dim + i];
    c.magnitude += sqrt(squares) / count;
  }
  c.magnitude *= 1 + 0x1p-40;
  return c;
}

/* A template whose fused score is at least `bar` has at least this score with the mean probe. */
static float least_score(const lk_gallery *gallery, const centre *c, float bar) {
  if (bar == -INFINITY) return -INFINITY;
  const double u = 0x1p-24;
  double least;
  if (gallery->manifest.metric == LK_COSINE) {
    if (c->length < least_length) return -INFINITY;
    least = (bar - 4 * u) / c->length;
    least -= 2 * u * (1 + fabs(least));
  } else if (gallery->manifest.metric == LK_L2) {
    double spread = c->spread - 0x1p-40 * (c->spread + c->magnitude * c->magnitude);
    double squared = -(double)bar * (1 + 4 * u) + 0x1p-100 - spread;
    double distance = sqrt(fmax(squared, 0)) + 2 * u * c->magnitude + 0x1p-100;
    least = -distance * distance * (1 + 4 * u) - 0x1p-100;
  } else {
    least = bar - 8 * u * (c->magnitude * gallery->contents->longest + fabs(bar)) - 0x1p-100;
  }
  return nextafterf((float)least, -INFINITY);
}

/* The fused score, by its definition. `reciprocals`: of the run's probes. */
static float mean_score(const lk_segment *segment, const lk_prepared_run *run, const double *reciprocals,
                        uint32_t inside) {
  lk_shape shape = segment->shape;
  float buffer[LK_DIM_MAX];
  const float *x = lk_stored_row(shape.store, segment->block.exact, inside, shape.dim, buffer);
  const double *known = segment->block.reciprocals;
  double sum = 0, reciprocal = known != NULL ? known[inside] : lk_score_reciprocal(shape.metric, x, shape.dim);
  for (uint32_t p = 0; p < run->count; p++)
    sum += lk_score_known(shape.metric, run->probes + (size_t)p * shape.dim, x, shape.dim, reciprocals[p] * reciprocal);
  return lk_score_round(sum / run->count);
}

/* Gives the hits of each run's list their fused scores. */
static lk_status score_lists(lk_workspace *w, lk_search_control *control, lk_error *error) {
  const double *reciprocals = w->reciprocals.data;
  for (uint32_t run = 0; run < w->runs_count; reciprocals += w->runs[run++].count)
    for (uint64_t i = lk_candidate_lists_begin(&w->parts, run); i < w->parts.ends[run]; i++) {
      if (!lk_control_goes_on(control)) return lk_control_check(control, error);
      lk_hit *hit = &w->parts.hits[i];
      uint32_t inside;
      const lk_part *part = lk_catalog_part_at(w->sight->catalog, hit->row, &inside);
      hit->score = mean_score(&part->segment, &w->runs[run], reciprocals, inside);
      hit->subject = part->subjects[inside];
    }
  return LK_OK;
}

/* The bar of step 2. Fewer than k found means that no other template reaches the threshold. */
static float bar_of(const lk_workspace *w, uint32_t run) {
  uint64_t begin = lk_candidate_lists_begin(&w->parts, run), end = w->parts.ends[run];
  float threshold = w->runs[run].threshold, bar = begin < end ? INFINITY : threshold;
  for (uint64_t i = begin; i < end; i++) bar = fminf(bar, w->parts.hits[i].score);
  return fmaxf(bar, threshold);
}

static lk_status search_means(lk_workspace *w, const lk_query *query, uint32_t k, lk_search_stats *stats,
                              lk_error *error) {
  lk_plain_search plain = {.probes = w->means.data,
                           .count = w->runs_count,
                           .thresholds = w->thresholds.data,
                           .k = k,
                           .by_subject = k != LK_K_ALL && query->by_subject};
  lk_status status = lk_workspace_search(w, query, &plain, &w->parts, stats, error);
  return status == LK_OK ? score_lists(w, query->control, error) : status;
}

static lk_status append_best(lk_result *result, const lk_query *query, uint32_t run, lk_error *error) {
  lk_workspace *w = &result->workspace;
  lk_hit *hits = w->parts.hits + lk_candidate_lists_begin(&w->parts, run);
  uint32_t found = (uint32_t)(w->parts.ends[run] - lk_candidate_lists_begin(&w->parts, run)), reaching = 0;
  for (uint32_t i = 0; i < found; i++)
    if (hits[i].score >= w->runs[run].threshold) hits[reaching++] = hits[i];
  return append_list(&result->answer.lists, hits, keep_best(hits, reaching, query->by_subject, query->k), error);
}

/* Finds the mean probe of each run, and the reciprocals of all probes. False: out of memory. */
static bool find_means(lk_workspace *w) {
  lk_shape shape = lk_gallery_shape(w->gallery);
  uint32_t runs = w->runs_count, dim = shape.dim;
  float *mean = lk_buffer_reserve(&w->means, (size_t)runs * dim, sizeof *mean);
  centre *centres = lk_buffer_reserve(&w->centres, runs, sizeof *centres);
  double *reciprocals = lk_buffer_reserve(&w->reciprocals, w->probes_count, sizeof *reciprocals);
  if (mean == NULL || centres == NULL || reciprocals == NULL) return false;
  for (uint32_t p = 0; p < w->probes_count; p++)
    reciprocals[p] = lk_score_reciprocal(shape.metric, w->probes + (size_t)p * dim, dim);
  for (uint32_t run = 0; run < runs; run++, mean += dim) {
    const lk_prepared_run *of = &w->runs[run];
    centres[run] = shape.metric == LK_COSINE ? find_cosine_centre(of->probes, reciprocals, of->count, dim, mean)
                                             : find_centre(of->probes, of->count, dim, mean);
    reciprocals += of->count;
  }
  return true;
}

lk_status lk_fuse_mean(lk_result *result, const lk_query *query, lk_search_stats *stats, lk_error *error) {
  lk_workspace *w = &result->workspace;
  uint32_t runs = w->runs_count;
  float *thresholds = w->thresholds.data;
  if (!find_means(w)) return lk_fail_memory(error);
  const centre *centres = w->centres.data;
  for (uint32_t run = 0; run < runs; run++)
    thresholds[run] = least_score(w->gallery, &centres[run], w->runs[run].threshold);
  lk_status status = LK_OK;
  if (query->k != LK_K_ALL) {
    status = search_means(w, query, query->k, stats, error);
    for (uint32_t run = 0; status == LK_OK && run < runs; run++)
      thresholds[run] = least_score(w->gallery, &centres[run], bar_of(w, run));
  }
  if (status == LK_OK) status = search_means(w, query, LK_K_ALL, stats, error);
  result->answer.lists.visible = w->parts.visible;
  for (uint32_t run = 0; status == LK_OK && run < runs; run++) {
    status = append_best(result, query, run, error);
    if (status == LK_OK) status = lk_control_check(query->control, error);
  }
  return status;
}
