#include "index/live/match.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/pool.h"
#include "base/text.h"
#include "index/formats/vector.h"
#include "index/gallery/probes.h"
#include "index/gallery/unchecked.h"
#include "kernels/order.h"
#include "kernels/score.h"

enum { BATCH_PROBES = 1024 };

/* A template that the device shall not find, because the group or the enrollment has changed it. */
typedef struct changed {
  uint64_t number;
  uint32_t part, row, order;
  uint64_t expires_ms; /* 0: it is gone */
} changed;

/* A template that the rows are compared with here. */
typedef struct other {
  lk_template template;
  lk_store store;
  const void *stored;
  double reciprocal;
} other;

typedef struct candidate {
  bool found;
  lk_hit hit; /* its number and score */
  lk_text key, subject;
} candidate;

typedef struct check {
  lk_owner *owner;
  const lk_group *group;
  float threshold;
  uint64_t now_ms;
  const lk_record **rows; /* that are new */
  uint32_t rows_count;
  changed *changed;  /* ascending by number */
  uint64_t *numbers; /* of these */
  uint32_t changed_count;
  other *others; /* the group's, then the rows themselves */
  uint32_t others_count, own_from;
  float *rounded; /* the rows as they are stored, where that is something else */
  candidate best[BATCH_PROBES];
  uint32_t first; /* row of the batch */
} check;

/* ---- what the device shall not find ---- */

static int compare_changed(const void *a, const void *b) {
  const changed *x = a, *y = b;
  if (x->number != y->number) return x->number < y->number ? -1 : 1;
  return (x->order > y->order) - (x->order < y->order);
}

static void add_changed(check *c, changed one) {
  one.order = c->changed_count;
  c->changed[c->changed_count++] = one;
}

/* Of each template the last change counts. */
static void keep_last(check *c) {
  uint32_t kept = 0;
  qsort(c->changed, c->changed_count, sizeof *c->changed, compare_changed);
  for (uint32_t i = 0; i < c->changed_count; i++)
    if (i + 1 == c->changed_count || c->changed[i + 1].number != c->changed[i].number)
      c->changed[kept++] = c->changed[i];
  c->changed_count = kept;
  for (uint32_t i = 0; i < kept; i++) c->numbers[i] = c->changed[i].number;
}

static lk_status list_changed(check *c, const lk_draft *draft, lk_error *error) {
  const lk_group *group = c->group;
  size_t most = (size_t)group->changes_count + draft->count + 1;
  c->changed = malloc(most * sizeof *c->changed);
  c->numbers = malloc(most * sizeof *c->numbers);
  if (c->changed == NULL || c->numbers == NULL) return lk_fail_memory(error);
  for (uint32_t i = 0; i < group->changes_count; i++) {
    const lk_row_change *change = &group->changes[i];
    if (change->kind == LK_RECORD_TAG) continue;
    add_changed(c, (changed){.number = group->catalog->parts[change->part]->segment.block.numbers[change->row],
                             .part = change->part,
                             .row = change->row,
                             .expires_ms = change->kind == LK_RECORD_EXPIRE ? change->expires_ms : 0});
  }
  for (uint32_t i = 0; i < draft->count; i++) {
    lk_template replaced;
    if (draft->records[i].kind == LK_RECORD_DELETE_KEY && lk_group_find_key(group, draft->records[i].key, &replaced))
      add_changed(c, (changed){.number = replaced.number});
  }
  keep_last(c);
  return LK_OK;
}

static bool has_changed(const check *c, uint64_t number) {
  changed sought = {.number = number};
  uint32_t low = 0, high = c->changed_count;
  while (low < high) {
    uint32_t middle = low + (high - low) / 2;
    if (c->changed[middle].number < sought.number)
      low = middle + 1;
    else
      high = middle;
  }
  return low < c->changed_count && c->changed[low].number == number;
}

/* ---- what the rows are compared with here ---- */

static void add_other(check *c, const lk_template *template, lk_store store, const void *stored) {
  float room[LK_DIM_MAX];
  lk_shape shape = c->group->shape;
  const float *x = lk_stored_row(store, stored, 0, shape.dim, room);
  c->others[c->others_count++] = (other){.template = *template,
                                         .store = store,
                                         .stored = stored,
                                         .reciprocal = lk_score_reciprocal(shape.metric, x, shape.dim)};
}

/* A row of a segment that has its place in the catalog, and another expiry. */
static lk_status add_catalog_row(check *c, const changed *one, lk_error *error) {
  const lk_part *part = c->group->catalog->parts[one->part];
  lk_shape shape = c->group->shape;
  lk_template template = lk_part_template(part, one->row);
  template.expires_ms = one->expires_ms;
  const char *rows = part->segment.block.exact;
  add_other(c, &template, shape.store, rows + (size_t)one->row * shape.dim * lk_store_bytes(shape.store));
  return lk_segment_check_row(&part->segment, one->row, error);
}

static void add_own_row(check *c, uint32_t row) {
  const lk_record *record = c->rows[row];
  lk_shape shape = c->group->shape;
  lk_template template = {
      .number = record->number, .key = record->key, .subject = record->subject, .expires_ms = record->expires_ms};
  const float *stored = record->vector;
  if (c->rounded != NULL) {
    float *rounded = c->rounded + (size_t)row * shape.dim;
    memcpy(rounded, stored, shape.dim * sizeof *rounded);
    lk_vector_round(shape.metric, shape.store, rounded, shape.dim);
    stored = rounded;
  }
  add_other(c, &template, LK_STORE_F32, stored);
}

static lk_status list_others(check *c, lk_error *error) {
  const lk_group *group = c->group;
  lk_shape shape = group->shape;
  lk_status status = LK_OK;
  c->others = malloc(((size_t)group->rows_count + c->changed_count + c->rows_count) * sizeof *c->others);
  bool rounds = shape.store != LK_STORE_F32;
  if (rounds) c->rounded = malloc((size_t)c->rows_count * shape.dim * sizeof *c->rounded);
  if (c->others == NULL || (rounds && c->rounded == NULL)) return lk_fail_memory(error);
  for (uint32_t i = 0; i < group->rows_count; i++) {
    const lk_fresh_row *fresh = &group->rows[i];
    if (!fresh->deleted && !has_changed(c, fresh->template.number))
      add_other(c, &fresh->template, shape.store, fresh->stored);
  }
  for (uint32_t i = 0; status == LK_OK && i < c->changed_count; i++)
    if (c->changed[i].expires_ms > c->now_ms) status = add_catalog_row(c, &c->changed[i], error);
  c->own_from = c->others_count;
  for (uint32_t i = 0; i < c->rows_count; i++) add_own_row(c, i);
  return status;
}

/* ---- the comparisons ---- */

static void take(check *c, uint32_t probe, const lk_template *template, float score) {
  candidate *best = &c->best[probe];
  lk_hit hit = {.number = template->number, .score = score};
  if (!(score >= c->threshold) || (best->found && !lk_hit_before(&hit, &best->hit))) return;
  *best = (candidate){.found = true, .hit = hit, .key = template->key, .subject = template->subject};
}

static lk_status search(check *c, uint32_t count, lk_error *error) {
  static const lk_query query = {.k = 2, .by_subject = true};
  lk_prepared_run runs[BATCH_PROBES];
  lk_result *result = c->owner->matches;
  for (uint32_t p = 0; p < count; p++)
    runs[p] = (lk_prepared_run){.probes = c->rows[c->first + p]->vector, .count = 1, .threshold = c->threshold};
  lk_status status = lk_gallery_identify_without(c->owner->gallery, &query, runs, count, c->numbers, c->changed_count,
                                                 c->now_ms, result, error);
  for (uint32_t p = 0; status == LK_OK && p < count; p++) {
    for (uint32_t rank = 0; rank < lk_result_count(result, p); rank++) {
      lk_candidate found = lk_result_candidate(result, p, rank);
      if (!lk_text_equal(found.found.subject, c->rows[c->first + p]->subject)) take(c, p, &found.found, found.score);
    }
  }
  return status;
}

/* An item of the pool: compares a row with those before it. */
static void compare(void *context, uint32_t thread, uint32_t probe) {
  (void)thread;
  check *c = context;
  lk_shape shape = c->group->shape;
  const lk_record *row = c->rows[c->first + probe];
  float room[LK_DIM_MAX];
  double reciprocal = lk_score_reciprocal(shape.metric, row->vector, shape.dim);
  for (uint32_t i = 0; i < c->own_from + c->first + probe; i++) {
    const other *with = &c->others[i];
    if (with->template.expires_ms <= c->now_ms || lk_text_equal(with->template.subject, row->subject)) continue;
    const float *x = lk_stored_row(with->store, with->stored, 0, shape.dim, room);
    take(c, probe, &with->template,
         lk_score_known(shape.metric, row->vector, x, shape.dim, reciprocal * with->reciprocal));
  }
}

static void fill_finding(const check *c, const lk_draft *draft, uint32_t probe, lk_finding *finding) {
  const candidate *best = &c->best[probe];
  const float *vector = c->rows[c->first + probe]->vector;
  finding->found = true;
  finding->probe = (uint32_t)((size_t)(vector - draft->vectors) / c->group->shape.dim);
  finding->number = best->hit.number;
  finding->score = best->hit.score;
  lk_text_append(finding->key, sizeof finding->key, 0, "%.*s", lk_text_shown(best->key), best->key.bytes);
  lk_text_append(finding->subject, sizeof finding->subject, 0, "%.*s", lk_text_shown(best->subject),
                 best->subject.bytes);
}

/* Batch by batch, until a row matches. */
static lk_status check_rows(check *c, const lk_draft *draft, lk_finding *finding, lk_error *error) {
  lk_status status = LK_OK;
  for (; status == LK_OK && !finding->found && c->first < c->rows_count; c->first += BATCH_PROBES) {
    uint32_t left = c->rows_count - c->first, count = left < BATCH_PROBES ? left : BATCH_PROBES;
    memset(c->best, 0, sizeof c->best);
    status = search(c, count, error);
    if (status == LK_OK) lk_pool_run(c->owner->pool, count, compare, c);
    for (uint32_t p = 0; status == LK_OK && !finding->found && p < count; p++)
      if (c->best[p].found) fill_finding(c, draft, p, finding);
    finding->searched = c->owner->matches->answer.lists.visible;
  }
  lk_error cut_off;
  if (lk_catalog_check_files(c->group->catalog, &cut_off) != LK_OK) status = lk_fail(error, LK_EIO, "%s", cut_off.text);
  for (uint32_t i = 0; i < c->own_from; i++) finding->searched += c->others[i].template.expires_ms > c->now_ms;
  return status;
}

/* ---- the check ---- */

/* The file may have changed since it was checked. */
static lk_status list_rows(check *c, const lk_draft *draft, lk_error *error) {
  lk_status status = LK_OK;
  c->rows = malloc(((size_t)draft->count + 1) * sizeof *c->rows);
  if (c->rows == NULL) return lk_fail_memory(error);
  for (uint32_t i = 0; status == LK_OK && i < draft->count; i++) {
    if (draft->records[i].kind != LK_RECORD_ENROLL) continue;
    status = lk_record_check(c->group->shape, &draft->records[i], error);
    c->rows[c->rows_count++] = &draft->records[i];
  }
  return status;
}

static lk_status run(check *c, const lk_draft *draft, lk_finding *finding, lk_error *error) {
  lk_status status = list_rows(c, draft, error);
  if (status == LK_OK) status = list_changed(c, draft, error);
  if (status == LK_OK) status = list_others(c, error);
  if (status == LK_OK && c->owner->matches == NULL) status = lk_result_open(&c->owner->matches, error);
  if (status != LK_OK || c->rows_count == 0) return status;
  status = check_rows(c, draft, finding, error);
  lk_result_erase(c->owner->matches);
  lk_result_let_go(c->owner->matches);
  return status;
}

/* Templates that would live if the group were applied. */
static uint64_t count_living(const lk_group *group) {
  uint64_t living = lk_catalog_living(group->catalog) - group->deleted_count;
  for (uint32_t i = 0; i < group->rows_count; i++) living += !group->rows[i].deleted;
  return living;
}

lk_status lk_match_check(lk_owner *owner, const lk_group *group, const lk_draft *draft, lk_request *request,
                         lk_error *error) {
  if (request->enrollment == NULL || !request->enrollment->unless_match) return LK_OK;
  check *c = calloc(1, sizeof *c);
  if (c == NULL) return lk_fail_memory(error);
  c->owner = owner;
  c->group = group;
  c->threshold = request->enrollment->match_threshold;
  c->now_ms = request->now_ms;
  fenv_t callers = lk_enter_arithmetic();
  lk_status status = run(c, draft, &request->finding, error);
  fesetenv(&callers);
  request->finding.epoch = group->epoch;
  request->finding.total = count_living(group);
  free(c->rows);
  free(c->changed);
  free(c->numbers);
  free(c->others);
  free(c->rounded);
  free(c);
  if (status != LK_OK) request->finding.found = false;
  return request->finding.found ? lk_fail(error, LK_EEXIST, "a row matches a template") : status;
}

lk_status lk_match_tell(const lk_request *request, lk_error *error) {
  const lk_finding *f = &request->finding;
  const lk_enrollment *e = request->enrollment;
  char score[32] = "";
  if (!isnan(f->score)) lk_text_append(score, sizeof score, 0, "score %.9g, ", (double)f->score);
  return lk_fail(error, LK_EEXIST, "%s: row %" PRIu32 " matches (%sthreshold %.9g) key '%s' of subject '%s'",
                 e->vectors->name, f->probe, score, (double)e->match_threshold, f->key, f->subject);
}
