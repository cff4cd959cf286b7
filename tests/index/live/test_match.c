/* The duplicate check against a model: requests of all kinds, several in a group, and thresholds that are exactly the
 * score of a pair, or the next float above it. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"
#include "index/formats/vector.h"
#include "index/live/fold.h"
#include "index/live/queue.h"
#include "kernels/score.h"
#include "tests/support/files.h"

enum { DIM = 40, ROWS = 6, GROUP = 5, KEYS = 60, SUBJECTS = 12, MOST = 256, STEPS = 500 };

typedef struct template {
  char key[16], subject[16];
  uint64_t number, version, expires_ms;
  float stored[DIM];
}
template;

/* A request and what it is made of. */
typedef struct drawn {
  lk_request request;
  lk_enrollment enrollment;
  lk_change change;
  lk_vectors vectors;
  lk_label labels[ROWS];
  template rows[ROWS];
  float given[ROWS * DIM];
  char text[16];
} drawn;

/* How often what was refused. */
typedef struct tally {
  uint32_t by_catalog, by_group, by_own_row, passed;
} tally;

static lk_device *device;
static lk_owner *owner;
static random_state source;
static lk_metric metric;
static lk_store store;
static template living[MOST];
static uint32_t count;
static uint64_t next_number, group_from;
static float drawn_last[DIM]; /* the row that was drawn last: often of the same group */
static tally seen;

TestSuite(match, .init = files_setup, .fini = files_teardown, .timeout = 300);

static uint64_t seed(void) {
  const char *given = getenv("LIKENESS_SEED");
  return given != NULL ? strtoull(given, NULL, 0) : 1;
}

static bool has_expired(const template *t) { return t->expires_ms < 1000; }

/* ---- the model ---- */

static template *find(const char *key) {
  for (uint32_t i = 0; i < count; i++)
    if (strcmp(living[i].key, key) == 0) return &living[i];
  return NULL;
}

static void drop(template *t) { *t = living[--count]; }

typedef enum fate { NEW, SAME, REPLACED, REFUSED } fate;

static fate fate_of(const drawn *d, uint32_t row) {
  const template *there = find(d->rows[row].key);
  uint64_t version = d->rows[row].version;
  if (there == NULL) return NEW;
  if (has_expired(there)) return REPLACED;
  if (version != 0 && version == there->version) return SAME;
  return d->enrollment.replace && (version == 0 || version > there->version) ? REPLACED : REFUSED;
}

static bool is_replaced(const drawn *d, const template *t) {
  for (uint32_t i = 0; i < d->request.count; i++)
    if (strcmp(d->rows[i].key, t->key) == 0 && fate_of(d, i) == REPLACED) return true;
  return false;
}

typedef struct match {
  const template *with;
  float score;
} match;

static void consider(const drawn *d, uint32_t row, const template *t, match *best) {
  if (has_expired(t) || strcmp(t->subject, d->rows[row].subject) == 0) return;
  float score = lk_score(metric, d->given + (size_t)row * DIM, t->stored, DIM);
  if (best->with == NULL || score > best->score || (score == best->score && t->number < best->with->number))
    *best = (match){.with = t, .score = score};
}

/* The best of those that a row could match. */
static match best_of(const drawn *d, uint32_t row) {
  match best = {.score = -INFINITY};
  for (uint32_t i = 0; i < count; i++)
    if (!is_replaced(d, &living[i])) consider(d, row, &living[i], &best);
  for (uint32_t i = 0; i < row; i++)
    if (fate_of(d, i) != SAME) consider(d, row, &d->rows[i], &best);
  return best;
}

static void number_rows(drawn *d) {
  uint64_t next = next_number;
  for (uint32_t i = 0; i < d->request.count; i++)
    if (fate_of(d, i) != SAME) d->rows[i].number = next++;
}

static void expect_match(const drawn *d, uint32_t row, const match *best) {
  const lk_finding *f = &d->request.finding;
  unsigned long long s = seed();
  cr_assert_eq(d->request.status, LK_EEXIST, "seed %llu: row %u passed, which scores %.9g, at least %.9g, with %s", s,
               row, (double)best->score, (double)d->enrollment.match_threshold, best->with->key);
  cr_assert(f->found, "seed %llu: %s", s, d->request.error.text);
  cr_assert_eq(f->probe, row, "seed %llu: row %u, not %u", s, f->probe, row);
  cr_assert_str_eq(f->key, best->with->key, "seed %llu: %s, not %s", s, f->key, best->with->key);
  cr_assert_str_eq(f->subject, best->with->subject);
  cr_assert_eq(f->number, best->with->number);
  cr_assert_eq(f->score, best->score, "seed %llu: %.9g, not %.9g", s, (double)f->score, (double)best->score);
  bool own = best->with >= d->rows && best->with < d->rows + ROWS;
  (*(own ? &seen.by_own_row : best->with->number >= group_from ? &seen.by_group : &seen.by_catalog))++;
}

static void take_rows(drawn *d) {
  for (uint32_t i = 0; i < d->request.count; i++) {
    fate became = fate_of(d, i);
    if (became == REPLACED) drop(find(d->rows[i].key));
    cr_assert_lt(count, MOST);
    if (became != SAME) living[count++] = d->rows[i], next_number++;
  }
}

static void expect_enrollment(drawn *d) {
  for (uint32_t i = 0; i < d->request.count; i++)
    if (fate_of(d, i) == REFUSED) {
      cr_assert(d->request.status == LK_EEXIST && !d->request.finding.found);
      return;
    }
  number_rows(d);
  for (uint32_t i = 0; d->enrollment.unless_match && i < d->request.count; i++) {
    match best = best_of(d, i);
    if (fate_of(d, i) == SAME || best.with == NULL || !(best.score >= d->enrollment.match_threshold)) continue;
    expect_match(d, i, &best);
    return;
  }
  cr_assert_eq(d->request.status, LK_OK, "seed %llu: %s: row %u, %s", (unsigned long long)seed(), d->request.error.text,
               d->request.finding.probe, d->request.finding.key);
  seen.passed += d->enrollment.unless_match;
  take_rows(d);
}

static void take_change(const drawn *d) {
  cr_assert_eq(d->request.status, LK_OK, "%s", d->request.error.text);
  if (d->change.kind == LK_CHANGE_DELETE_SUBJECT) {
    for (uint32_t i = count; i-- > 0;)
      if (strcmp(living[i].subject, d->text) == 0) drop(&living[i]);
    return;
  }
  template *t = find(d->text);
  if (t != NULL && d->change.kind == LK_CHANGE_DELETE_KEY) drop(t);
  if (t != NULL && d->change.kind == LK_CHANGE_EXPIRE) t->expires_ms = d->change.expires_ms;
}

/* ---- what is drawn ---- */

static uint64_t draw_expiry(void) { return random_one_in(&source, 4) ? 1 : LK_NEVER; }

static void draw_vector(float *vector) {
  const template *near = count > 0 && !random_one_in(&source, 3) ? &living[random_below(&source, count)] : NULL;
  double by = random_one_in(&source, 3) ? 0 : 0.2;
  for (int i = 0; i < DIM; i++)
    vector[i] = near != NULL ? near->stored[i] + (float)(by * random_normal(&source)) : (float)random_normal(&source);
  if (drawn_last[0] != 0 && random_one_in(&source, 3)) memcpy(vector, drawn_last, sizeof drawn_last);
  memcpy(drawn_last, vector, sizeof drawn_last);
}

static bool is_drawn(const drawn *d, const char *key) {
  for (uint32_t i = 0; i < d->request.count; i++)
    if (strcmp(d->rows[i].key, key) == 0) return true;
  return false;
}

static void draw_row(drawn *d) {
  uint32_t row = d->request.count;
  template *t = &d->rows[row];
  float *given = d->given + (size_t)row * DIM;
  do snprintf(t->key, sizeof t->key, "k%u", random_below(&source, KEYS));
  while (is_drawn(d, t->key));
  snprintf(t->subject, sizeof t->subject, "s%u", random_below(&source, SUBJECTS));
  t->version = random_one_in(&source, 3) ? 1 + random_below(&source, 2) : 0;
  t->expires_ms = draw_expiry();
  if (row > 0 && random_one_in(&source, 4))
    memcpy(given, d->given, DIM * sizeof *given);
  else
    draw_vector(given);
  lk_vectors one = files_vectors(given, 1, DIM);
  cr_assert_null(lk_vector_prepare(metric, &one, 0, t->stored));
  cr_assert_null(lk_vector_round(metric, store, t->stored, DIM));
  d->labels[row] = (lk_label){
      .key = lk_text_of(t->key), .subject = lk_text_of(t->subject), .version = t->version, .expires_ms = t->expires_ms};
  d->request.count++;
}

/* By what is there now; requests before it in the group may change that. */
static float draw_threshold(drawn *d) {
  uint32_t row = random_below(&source, d->request.count);
  match best = best_of(d, row);
  number_rows(d);
  float most = -INFINITY;
  for (uint32_t i = 0; i < d->request.count; i++) most = fmaxf(most, best_of(d, i).score);
  uint32_t kind = random_below(&source, 6);
  if (kind >= 4) return lk_score(metric, d->given + (size_t)row * DIM, d->rows[row].stored, DIM); /* only its equals */
  if (kind == 0) return best.score;
  if (kind == 1) return most;
  return nextafterf(kind == 2 ? best.score : most, INFINITY);
}

static void draw(drawn *d) {
  static const lk_change_kind kinds[] = {LK_CHANGE_DELETE_KEY, LK_CHANGE_EXPIRE, LK_CHANGE_DELETE_SUBJECT};
  uint32_t kind = random_below(&source, 10);
  *d = (drawn){.request = {.count = 0}};
  if (kind >= 3) {
    uint32_t rows = count > MOST / 2 ? 1 : random_one_in(&source, 2) ? 1 : 1 + random_below(&source, ROWS);
    while (d->request.count < rows) draw_row(d);
    d->vectors = files_vectors(d->given, rows, DIM);
    d->enrollment = (lk_enrollment){.vectors = &d->vectors, .labels = d->labels};
    d->enrollment.replace = !random_one_in(&source, 3);
    d->enrollment.unless_match = !random_one_in(&source, 5);
    if (d->enrollment.unless_match) d->enrollment.match_threshold = draw_threshold(d);
    d->request.enrollment = &d->enrollment;
    return;
  }
  bool by_subject = kinds[kind] == LK_CHANGE_DELETE_SUBJECT;
  d->change.kind = kinds[kind];
  snprintf(d->text, sizeof d->text, by_subject ? "s%u" : "k%u", random_below(&source, by_subject ? SUBJECTS : KEYS));
  *(by_subject ? &d->change.subject : &d->change.key) = lk_text_of(d->text);
  if (d->change.kind == LK_CHANGE_EXPIRE) d->change.expires_ms = draw_expiry();
  d->request.changes = &d->change;
  d->request.count = 1;
}

/* ---- a run ---- */

static void *pass(void *request) {
  lk_queue_pass(owner, request);
  return NULL;
}

static bool is_last(const lk_request *request) {
  pthread_mutex_lock(&owner->mutex);
  bool last = owner->last == request;
  pthread_mutex_unlock(&owner->mutex);
  return last;
}

/* All as one group, in this order. */
static void pass_together(drawn *all, uint32_t requests) {
  pthread_t threads[GROUP];
  lk_owner_take_turn(owner);
  for (uint32_t i = 0; i < requests; i++) {
    cr_assert_eq(pthread_create(&threads[i], NULL, pass, &all[i].request), 0);
    while (!is_last(&all[i].request)) usleep(20);
  }
  lk_owner_end_turn(owner);
  for (uint32_t i = 0; i < requests; i++) pthread_join(threads[i], NULL);
}

static void step(void) {
  static drawn all[GROUP];
  uint32_t requests = 1 + random_below(&source, GROUP);
  for (uint32_t i = 0; i < requests; i++) draw(&all[i]);
  group_from = next_number;
  pass_together(all, requests);
  for (uint32_t i = 0; i < requests; i++) {
    if (all[i].request.enrollment != NULL)
      expect_enrollment(&all[i]);
    else
      take_change(&all[i]);
  }
}

static void run(lk_metric of, lk_store as) {
  lk_error error;
  metric = of;
  store = as;
  source = random_fork(seed(), 10 * (uint64_t)of + as);
  const char *folder = files_path("g");
  lk_gallery_options options = {.dim = DIM, .metric = of, .store = as};
  cr_assert_eq(lk_gallery_create(folder, &options, NULL), LK_OK);
  cr_assert_eq(lk_device_open("cpu", 1, &device, &error), LK_OK, "%s", error.text);
  cr_assert_eq(lk_owner_open(folder, &owner, &error), LK_OK, "%s", error.text);
  cr_assert_eq(lk_owner_load(owner, device, &error), LK_OK, "%s", error.text);
  for (int i = 0; i < STEPS; i++) {
    step();
    if (i % 60 == 59) cr_assert_eq(lk_fold(owner, LK_FOLD_JOURNAL, &error), LK_OK, "%s", error.text);
  }
  cr_assert(seen.by_catalog > 50 && seen.by_group > 10 && seen.by_own_row > 10 && seen.passed > 50,
            "seed %llu: %u, %u, %u, %u", (unsigned long long)seed(), seen.by_catalog, seen.by_group, seen.by_own_row,
            seen.passed);
  lk_owner_close(owner);
  lk_device_close(device);
}

Test(match, cosine) { run(LK_COSINE, LK_STORE_F32); }
Test(match, cosine_in_halves) { run(LK_COSINE, LK_STORE_F16); }
Test(match, inner_product) { run(LK_IP, LK_STORE_F32); }
Test(match, inner_product_in_halves) { run(LK_IP, LK_STORE_F16); }
Test(match, distance) { run(LK_L2, LK_STORE_F32); }
Test(match, distance_in_halves) { run(LK_L2, LK_STORE_F16); }
