#include "tests/index/live/lives.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "tests/support/files.h"

void lives_open(lives *l, uint32_t thread, uint64_t seed) {
  *l = (lives){.thread = thread, .random = random_fork(seed, thread), .all = malloc(LIVES_MAX * sizeof *l->all)};
}

void lives_close(lives *l) { free(l->all); }

void lives_in(const lives *l, uint64_t epoch, lives_each *each, void *context) {
  for (uint32_t i = 0; i < l->count; i++)
    if (l->all[i].from <= epoch && epoch < l->all[i].until) each(context, &l->all[i]);
}

static life *living(const lives *l, const char *key) {
  for (uint32_t i = l->count; i-- > 0;)
    if (l->all[i].until == UINT64_MAX && strcmp(l->all[i].key, key) == 0) return &l->all[i];
  return NULL;
}

const life *lives_find(const lives *l, const char *key) { return living(l, key); }

void lives_forget(lives *l) {
  uint32_t kept = 0;
  for (uint32_t i = 0; i < l->count; i++)
    if (l->all[i].until == UINT64_MAX) l->all[kept++] = l->all[i];
  l->count = kept;
}

static life *begin(lives *l, const life *as, uint64_t epoch) {
  cr_assert_lt(l->count, LIVES_MAX);
  life *one = &l->all[l->count++];
  *one = *as;
  one->from = epoch;
  one->until = UINT64_MAX;
  return one;
}

/* ---- what is drawn ---- */

static void draw_key(lives *l, char key[16]) {
  snprintf(key, 16, "t%u-k%u", l->thread, random_below(&l->random, LIVES_KEYS));
}

static void draw_subject(lives *l, char subject[16]) {
  snprintf(subject, 16, "t%u-s%u", l->thread, random_below(&l->random, LIVES_SUBJECTS));
}

static uint64_t draw_expiry(lives *l) { return random_one_in(&l->random, 3) ? 1 : LK_NEVER; }

static bool is_among(const life *rows, uint32_t count, const char *key) {
  for (uint32_t i = 0; i < count; i++)
    if (strcmp(rows[i].key, key) == 0) return true;
  return false;
}

static void draw_row(lives *l, life *rows, uint32_t i) {
  do draw_key(l, rows[i].key);
  while (is_among(rows, i, rows[i].key));
  draw_subject(l, rows[i].subject);
  rows[i].tags = random_below(&l->random, 4);
  rows[i].expires_ms = draw_expiry(l);
  for (int d = 0; d < LIVES_DIM; d++) rows[i].vector[d] = (float)random_normal(&l->random);
}

lives_change lives_draw(lives *l) {
  static const lk_change_kind kinds[] = {LK_CHANGE_DELETE_SUBJECT, LK_CHANGE_DELETE_KEY, LK_CHANGE_TAG,
                                         LK_CHANGE_EXPIRE, LK_CHANGE_EXPIRE};
  uint32_t drawn = random_below(&l->random, 8);
  lives_change change = {.enrolls = drawn >= 5};
  if (change.enrolls) {
    change.count = 1 + random_below(&l->random, LIVES_ROWS);
    for (uint32_t i = 0; i < change.count; i++) draw_row(l, change.rows, i);
    return change;
  }
  change.kind = kinds[drawn];
  if (change.kind == LK_CHANGE_DELETE_SUBJECT)
    draw_subject(l, change.text);
  else
    draw_key(l, change.text);
  if (change.kind == LK_CHANGE_TAG) change.tags = random_below(&l->random, 4);
  if (change.kind == LK_CHANGE_EXPIRE) change.expires_ms = draw_expiry(l);
  return change;
}

/* ---- what is sent ---- */

static lk_status enroll(const lives_change *change, lk_owner *owner, lk_receipt *receipt, lk_error *error) {
  float vectors[LIVES_ROWS * LIVES_DIM];
  lk_label labels[LIVES_ROWS];
  for (uint32_t i = 0; i < change->count; i++) {
    const life *row = &change->rows[i];
    memcpy(vectors + i * LIVES_DIM, row->vector, sizeof row->vector);
    labels[i] = (lk_label){.key = lk_text_of(row->key),
                           .subject = lk_text_of(row->subject),
                           .tags = row->tags,
                           .expires_ms = row->expires_ms};
  }
  lk_vectors given = files_vectors(vectors, change->count, LIVES_DIM);
  lk_enrollment enrollment = {.vectors = &given, .labels = labels, .replace = true};
  return lk_owner_enroll(owner, &enrollment, NULL, receipt, error);
}

lk_status lives_send(const lives_change *change, lk_owner *owner, lk_receipt *receipt, lk_error *error) {
  if (change->enrolls) return enroll(change, owner, receipt, error);
  bool by_subject = change->kind == LK_CHANGE_DELETE_SUBJECT;
  lk_change sent = {.kind = change->kind, .tags = change->tags, .expires_ms = change->expires_ms};
  if (change->kind == LK_CHANGE_TAG) sent.mask = 3;
  *(by_subject ? &sent.subject : &sent.key) = lk_text_of(change->text);
  return lk_owner_change(owner, &sent, 1, NULL, receipt, error);
}

/* ---- what is known ---- */

static const char *take_rows(lives *l, const lives_change *change, const lk_receipt *receipt) {
  if (receipt->templates != change->count) return "an enrollment was not whole";
  for (uint32_t i = 0; i < change->count; i++) {
    life row = change->rows[i], *before = living(l, row.key);
    if (before != NULL) before->until = receipt->epoch;
    row.number = receipt->numbered_from + i;
    begin(l, &row, receipt->epoch);
  }
  return NULL;
}

static const char *take_subject(lives *l, const char *subject, const lk_receipt *receipt) {
  uint64_t least = 0, most = 0;
  for (uint32_t i = 0; i < l->count; i++) {
    life *one = &l->all[i];
    if (one->until != UINT64_MAX || strcmp(one->subject, subject) != 0) continue;
    one->until = receipt->epoch;
    most++;
    least += !life_has_expired(one);
  }
  return receipt->templates >= least && receipt->templates <= most ? NULL : "a subject had other templates";
}

const char *lives_take(lives *l, const lives_change *change, const lk_receipt *receipt) {
  if (change->enrolls) return take_rows(l, change, receipt);
  if (change->kind == LK_CHANGE_DELETE_SUBJECT) return take_subject(l, change->text, receipt);
  life *one = living(l, change->text);
  if (one == NULL) return receipt->templates == 0 ? NULL : "a template that is not there was changed";
  if (receipt->templates == 0 && !life_has_expired(one)) return "a template was not there";
  one->until = receipt->epoch;
  if (receipt->templates == 0 || change->kind == LK_CHANGE_DELETE_KEY) return NULL;
  one = begin(l, one, receipt->epoch);
  if (change->kind == LK_CHANGE_TAG) one->tags = change->tags;
  if (change->kind == LK_CHANGE_EXPIRE) one->expires_ms = change->expires_ms;
  return NULL;
}
