#include "tests/index/live/world.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/text.h"
#include "index/formats/vector.h"
#include "kernels/score.h"
#include "tests/support/files.h"

void world_open(world *w, lk_metric metric, lk_store store) {
  *w = (world){
      .metric = metric, .store = store, .least = WORLD_LEAST, .living = malloc(WORLD_TEMPLATES * sizeof *w->living)};
}

void world_close(world *w) { free(w->living); }

void world_copy(world *to, const world *from) {
  world_template *living = to->living;
  memcpy(living, from->living, from->count * sizeof *living);
  *to = *from;
  to->living = living;
}

static world_template *find(const world *w, const char *key) {
  for (uint32_t i = 0; i < w->count; i++)
    if (strcmp(w->living[i].key, key) == 0) return &w->living[i];
  return NULL;
}

static void drop(world *w, uint32_t at) {
  memmove(&w->living[at], &w->living[at + 1], (w->count - at - 1) * sizeof *w->living);
  w->count--;
  w->deleted++;
}

static void draw_key(random_state *random, char key[24]) {
  snprintf(key, 24, "key-%u", random_below(random, WORLD_KEYS));
}

static void draw_subject(random_state *random, char subject[16]) {
  snprintf(subject, 16, "s%u", random_below(random, WORLD_SUBJECTS));
}

/* ---- enrollment ---- */

typedef struct batch {
  world_template rows[WORLD_ROWS];
  float vectors[WORLD_ROWS * WORLD_DIM];
  lk_label labels[WORLD_ROWS];
  uint32_t count;
} batch;

#define YEAR_2100_MS UINT64_C(4102444800000)

static uint64_t draw_expiry(random_state *random) {
  uint32_t kind = random_below(random, 4);
  return kind == 0 ? 1 + random_below(random, 1000) : kind == 1 ? YEAR_2100_MS : LK_NEVER;
}

static bool is_in_batch(const batch *b, const char *key) {
  for (uint32_t i = 0; i < b->count; i++)
    if (strcmp(b->rows[i].key, key) == 0) return true;
  return false;
}

static void store(const world *w, const float *vector, float *stored) {
  lk_vectors one = files_vectors(vector, 1, WORLD_DIM);
  cr_assert_null(lk_vector_prepare(w->metric, &one, 0, stored));
  cr_assert_null(lk_vector_round(w->metric, w->store, stored, WORLD_DIM));
}

/* Vectors near those that are there, and some equal. */
static void draw_vector(const world *w, random_state *random, float *vector) {
  const world_template *near =
      w->count > 0 && random_one_in(random, 3) ? &w->living[random_below(random, w->count)] : NULL;
  double by = random_one_in(random, 2) ? 0 : 0.01;
  for (int i = 0; i < WORLD_DIM; i++)
    vector[i] = near != NULL ? near->stored[i] + (float)(by * random_normal(random)) : (float)random_normal(random);
}

static void draw_row(const world *w, random_state *random, batch *b) {
  world_template *row = &b->rows[b->count];
  *row = (world_template){
      .expires_ms = draw_expiry(random), .tags = random_below(random, 8), .version = random_below(random, 3)};
  do draw_key(random, row->key);
  while (is_in_batch(b, row->key));
  if (random_one_in(random, 8)) row->key[0] = '\0';
  if (!random_one_in(random, 5)) draw_subject(random, row->subject);
  if (random_one_in(random, 2)) snprintf(row->group, sizeof row->group, "g%u", random_below(random, 3));
  if (random_one_in(random, 3)) snprintf(row->metadata, sizeof row->metadata, "m%u", random_below(random, 1000));
  draw_vector(w, random, &b->vectors[b->count * WORLD_DIM]);
  store(w, &b->vectors[b->count * WORLD_DIM], row->stored);
  b->labels[b->count++] = (lk_label){.key = lk_text_of(row->key),
                                     .subject = lk_text_of(row->subject),
                                     .group = lk_text_of(row->group),
                                     .tags = row->tags,
                                     .version = row->version,
                                     .expires_ms = row->expires_ms,
                                     .metadata = lk_text_of(row->metadata)};
}

typedef enum fate { NEW, SAME, REPLACED, GAVE_WAY, REFUSED } fate;

static fate fate_of(const world *w, const world_template *row, bool replace) {
  const world_template *there = row->key[0] != '\0' ? find(w, row->key) : NULL;
  if (there == NULL) return NEW;
  if (there->expires_ms < YEAR_2100_MS) return GAVE_WAY;
  if (row->version != 0 && row->version == there->version) return SAME;
  if (!replace || (row->version != 0 && row->version < there->version)) return REFUSED;
  return REPLACED;
}

static void take_row(world *w, world_template *row, fate became) {
  if (became == SAME) return;
  if (became == REPLACED || became == GAVE_WAY) drop(w, (uint32_t)(find(w, row->key) - w->living));
  row->number = w->next_number++;
  if (row->key[0] == '\0') snprintf(row->key, sizeof row->key, "%llu", (unsigned long long)row->number);
  if (row->subject[0] == '\0') memcpy(row->subject, row->key, sizeof row->subject);
  cr_assert_lt(w->count, WORLD_TEMPLATES);
  w->living[w->count++] = *row;
}

static lk_status enroll(world *w, random_state *random, lk_owner *owner, lk_error *error) {
  batch b = {.count = 0};
  uint32_t rows = random_one_in(random, 4) ? 1 + random_below(random, WORLD_ROWS) : 1 + random_below(random, 3);
  bool replace = random_one_in(random, 2), refused = false;
  while (b.count < rows) draw_row(w, random, &b);
  fate became[WORLD_ROWS];
  for (uint32_t i = 0; i < rows; i++) refused |= (became[i] = fate_of(w, &b.rows[i], replace)) == REFUSED;
  lk_vectors vectors = files_vectors(b.vectors, rows, WORLD_DIM);
  lk_enrollment enrollment = {.vectors = &vectors, .labels = b.labels, .replace = replace};
  lk_receipt receipt;
  if (owner == NULL && refused) return LK_OK;
  lk_status status = owner != NULL ? lk_owner_enroll(owner, &enrollment, NULL, &receipt, error) : LK_OK;
  if (refused && status == LK_EEXIST) return LK_OK;
  if (status != LK_OK) return status;
  cr_assert(!refused, "a key was taken");
  uint64_t from = w->next_number, same = 0;
  for (uint32_t i = 0; i < rows; i++) take_row(w, &b.rows[i], became[i]), same += became[i] == SAME;
  if (owner == NULL) return LK_OK;
  cr_assert_eq(receipt.templates, w->next_number - from);
  cr_assert_eq(receipt.unchanged, same);
  if (receipt.templates > 0) cr_assert_eq(receipt.numbered_from, from);
  w->epoch = receipt.epoch;
  return LK_OK;
}

void world_enroll_bulk(world *w, random_state *random, const char *folder) {
  batch b = {.count = 0};
  uint32_t rows = 1 + random_below(random, WORLD_ROWS);
  while (b.count < rows) {
    draw_row(w, random, &b);
    if (fate_of(w, &b.rows[b.count - 1], false) != NEW) b.count--;
  }
  lk_vectors vectors = files_vectors(b.vectors, rows, WORLD_DIM);
  uint64_t from;
  lk_error error;
  cr_assert_eq(lk_gallery_enroll(folder, &vectors, b.labels, NULL, NULL, NULL, &from, &error), LK_OK, "%s", error.text);
  cr_assert_eq(from, w->next_number);
  for (uint32_t i = 0; i < rows; i++) take_row(w, &b.rows[i], NEW);
}

/* ---- other changes ---- */

static uint64_t delete_subject(world *w, const char *subject) {
  uint64_t deleted = 0;
  for (uint32_t i = w->count; i-- > 0;)
    if (strcmp(w->living[i].subject, subject) == 0) drop(w, i), deleted++;
  return deleted;
}

static uint64_t change_key(world *w, const lk_change *change, const char *key) {
  world_template *t = find(w, key);
  if (t == NULL) return 0;
  if (change->kind == LK_CHANGE_DELETE_KEY) drop(w, (uint32_t)(t - w->living));
  if (change->kind == LK_CHANGE_TAG) t->tags = (t->tags & ~change->mask) | (change->tags & change->mask);
  if (change->kind == LK_CHANGE_EXPIRE) t->expires_ms = change->expires_ms;
  return 1;
}

static lk_status change(world *w, random_state *random, lk_owner *owner, lk_error *error) {
  enum { MOST = 6 };
  lk_change changes[MOST];
  char texts[MOST][24];
  uint32_t count = 1 + random_below(random, MOST);
  lk_change_kind kind = LK_CHANGE_DELETE_KEY + random_below(random, 4);
  for (uint32_t i = 0; i < count; i++) {
    changes[i] = (lk_change){.kind = kind};
    if (kind == LK_CHANGE_DELETE_SUBJECT)
      draw_subject(random, texts[i]);
    else
      draw_key(random, texts[i]);
    *(kind == LK_CHANGE_DELETE_SUBJECT ? &changes[i].subject : &changes[i].key) = lk_text_of(texts[i]);
    if (kind == LK_CHANGE_TAG) {
      changes[i].mask = 1 + random_below(random, 7);
      changes[i].tags = random_below(random, 8) & changes[i].mask;
    }
    if (kind == LK_CHANGE_EXPIRE) changes[i].expires_ms = draw_expiry(random);
  }
  lk_receipt receipt;
  lk_status status = owner != NULL ? lk_owner_change(owner, changes, count, NULL, &receipt, error) : LK_OK;
  if (status != LK_OK) return status;
  uint64_t touched = 0;
  for (uint32_t i = 0; i < count; i++)
    touched += kind == LK_CHANGE_DELETE_SUBJECT ? delete_subject(w, texts[i]) : change_key(w, &changes[i], texts[i]);
  if (owner == NULL) return LK_OK;
  if (kind == LK_CHANGE_DELETE_KEY || kind == LK_CHANGE_DELETE_SUBJECT) cr_assert_eq(receipt.templates, touched);
  w->epoch = receipt.epoch;
  return LK_OK;
}

lk_status world_change(world *w, random_state *random, lk_owner *owner, lk_error *error) {
  bool grows = w->count < w->least || random_one_in(random, 2);
  return grows ? enroll(w, random, owner, error) : change(w, random, owner, error);
}

/* ---- what is there ---- */

static const char *field_fault(const world_template *t, const lk_template *found) {
  if (found->number != t->number) return "number";
  if (!lk_text_equal(found->key, lk_text_of(t->key))) return "key";
  if (!lk_text_equal(found->subject, lk_text_of(t->subject))) return "subject";
  if (!lk_text_equal(found->group, lk_text_of(t->group))) return "group";
  if (!lk_text_equal(found->metadata, lk_text_of(t->metadata))) return "metadata";
  if (found->tags != t->tags) return "tags";
  if (found->expires_ms != t->expires_ms) return "expiry";
  return found->version != t->version ? "version" : NULL;
}

const char *world_difference(const world *w, lk_gallery *gallery) {
  static char text[128];
  float vector[WORLD_DIM];
  uint32_t met = 0;
  lk_gallery_stat stat;
  lk_gallery_stat_get(gallery, &stat);
  for (uint64_t i = 0; i < stat.positions; i++) {
    lk_template t = lk_gallery_template(gallery, i);
    if (t.key.length == 0) continue;
    const world_template *of = &w->living[met++];
    const char *fault = met > w->count ? "place" : field_fault(of, &t);
    if (fault == NULL && lk_gallery_export(gallery, i, 1, NULL, vector, NULL) != LK_OK) fault = "export";
    if (fault == NULL && memcmp(vector, of->stored, sizeof vector) != 0) fault = "vector";
    if (fault == NULL) continue;
    snprintf(text, sizeof text, "the %s of template %u, key %.*s", fault, met, (int)t.key.length, t.key.bytes);
    return text;
  }
  if (met == w->count && stat.templates == w->count) return NULL;
  snprintf(text, sizeof text, "%u templates, of %llu, not %u", met, (unsigned long long)stat.templates, w->count);
  return text;
}

void world_expect_templates(const world *w, lk_gallery *gallery, const char *when) {
  const char *difference = world_difference(w, gallery);
  cr_assert_null(difference, "%s: %s", when, difference);
}

typedef struct scored {
  const world_template *t;
  float score;
} scored;

static int compare_scored(const void *a, const void *b) {
  const scored *x = a, *y = b;
  if (x->score != y->score) return x->score > y->score ? -1 : 1;
  return (x->t->number > y->t->number) - (x->t->number < y->t->number);
}

static uint32_t reference(const world *w, const float *probe, const lk_query *q, uint64_t now_ms, scored *list) {
  uint32_t count = 0, kept = 0;
  for (uint32_t i = 0; i < w->count; i++) {
    const world_template *t = &w->living[i];
    if (t->expires_ms <= now_ms || ((t->tags ^ q->tags) & q->mask) != 0) continue;
    if (q->subjects != NULL && !lk_text_equal(q->subjects[0], lk_text_of(t->subject))) continue;
    list[count++] = (scored){.t = t, .score = lk_score(w->metric, probe, t->stored, WORLD_DIM)};
  }
  qsort(list, count, sizeof *list, compare_scored);
  for (uint32_t i = 0; i < count && kept < q->k; i++) {
    bool again = false;
    for (uint32_t j = 0; q->by_subject && j < kept; j++) again |= strcmp(list[j].t->subject, list[i].t->subject) == 0;
    if (!again) list[kept++] = list[i];
  }
  return kept;
}

void world_expect_searches(const world *w, random_state *random, lk_gallery *gallery, lk_result *result,
                           const char *when) {
  enum { PROBES = 3 };
  float probes[PROBES * WORLD_DIM];
  char subject[16];
  scored *list = malloc(WORLD_TEMPLATES * sizeof *list);
  for (int p = 0; p < PROBES; p++) draw_vector(w, random, probes + p * WORLD_DIM);
  lk_vectors vectors = files_vectors(probes, PROBES, WORLD_DIM);
  lk_query query = {.probes = &vectors, .probes_count = 1, .k = 1 + random_below(random, 20), .threshold = -INFINITY};
  query.by_subject = random_one_in(random, 2);
  if (random_one_in(random, 2)) query.mask = 3, query.tags = random_below(random, 4);
  draw_subject(random, subject);
  lk_text listed = lk_text_of(subject);
  if (random_one_in(random, 4)) query.subjects = &listed, query.subjects_count = 1;
  lk_error error;
  cr_assert_eq(lk_gallery_identify(gallery, &query, result, NULL, &error), LK_OK, "%s: %s", when, error.text);
  uint64_t now_ms = lk_clock_unix_ms();
  for (uint32_t p = 0; p < PROBES; p++) {
    uint32_t count = reference(w, probes + p * WORLD_DIM, &query, now_ms, list);
    cr_assert_eq(lk_result_count(result, p), count, "%s: %u candidates, not %u", when, lk_result_count(result, p),
                 count);
    for (uint32_t rank = 0; rank < count; rank++) {
      lk_candidate c = lk_result_candidate(result, p, rank);
      cr_assert_eq(c.score, list[rank].score, "%s: probe %u, rank %u", when, p, rank);
      const char *fault = field_fault(list[rank].t, &c.found);
      cr_assert_null(fault, "%s: probe %u, rank %u: %s", when, p, rank, fault);
    }
  }
  free(list);
}
