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

static life *living(lives *l, const char *key) {
  for (uint32_t i = l->count; i-- > 0;)
    if (l->all[i].until == UINT64_MAX && strcmp(l->all[i].key, key) == 0) return &l->all[i];
  return NULL;
}

static life *begin(lives *l, const life *as, uint64_t epoch) {
  life *one = &l->all[l->count++];
  *one = *as;
  one->from = epoch;
  one->until = UINT64_MAX;
  return one;
}

static void draw_key(lives *l, char key[16]) {
  snprintf(key, 16, "t%u-k%u", l->thread, random_below(&l->random, LIVES_KEYS));
}

static void draw_subject(lives *l, char subject[16]) {
  snprintf(subject, 16, "t%u-s%u", l->thread, random_below(&l->random, LIVES_SUBJECTS));
}

static uint64_t draw_expiry(lives *l) { return random_one_in(&l->random, 3) ? 1 : LK_NEVER; }

/* ---- enrollment ---- */

enum { ROWS = 4 };

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

static const char *enroll(lives *l, lk_owner *owner) {
  life rows[ROWS];
  float vectors[ROWS * LIVES_DIM];
  lk_label labels[ROWS];
  uint32_t count = 1 + random_below(&l->random, ROWS);
  for (uint32_t i = 0; i < count; i++) {
    draw_row(l, rows, i);
    memcpy(vectors + i * LIVES_DIM, rows[i].vector, sizeof rows[i].vector);
    labels[i] = (lk_label){.key = lk_text_of(rows[i].key),
                           .subject = lk_text_of(rows[i].subject),
                           .tags = rows[i].tags,
                           .expires_ms = rows[i].expires_ms};
  }
  lk_vectors given = files_vectors(vectors, count, LIVES_DIM);
  lk_enrollment enrollment = {.vectors = &given, .labels = labels, .replace = true};
  lk_receipt receipt;
  if (lk_owner_enroll(owner, &enrollment, NULL, &receipt, NULL) != LK_OK) return "an enrollment failed";
  if (receipt.templates != count) return "an enrollment was not whole";
  for (uint32_t i = 0; i < count; i++) {
    life *before = living(l, rows[i].key);
    if (before != NULL) before->until = receipt.epoch;
    rows[i].number = receipt.numbered_from + i;
    begin(l, &rows[i], receipt.epoch);
  }
  return NULL;
}

/* ---- other changes ---- */

static const char *delete_subject(lives *l, lk_owner *owner) {
  char subject[16];
  draw_subject(l, subject);
  lk_change change = {.kind = LK_CHANGE_DELETE_SUBJECT, .subject = lk_text_of(subject)};
  lk_receipt receipt;
  uint64_t least = 0, most = 0;
  if (lk_owner_change(owner, &change, 1, NULL, &receipt, NULL) != LK_OK) return "a subject was not deleted";
  for (uint32_t i = 0; i < l->count; i++) {
    life *one = &l->all[i];
    if (one->until != UINT64_MAX || strcmp(one->subject, subject) != 0) continue;
    one->until = receipt.epoch;
    most++;
    least += !life_has_expired(one);
  }
  return receipt.templates >= least && receipt.templates <= most ? NULL : "a subject had other templates";
}

/* A template that has expired may be gone: somebody compacts. */
static const char *change_key(lives *l, lk_owner *owner, lk_change_kind kind) {
  char key[16];
  draw_key(l, key);
  lk_change change = {.kind = kind, .key = lk_text_of(key)};
  if (kind == LK_CHANGE_TAG) change.mask = 3, change.tags = random_below(&l->random, 4);
  if (kind == LK_CHANGE_EXPIRE) change.expires_ms = draw_expiry(l);
  lk_receipt receipt;
  life *one = living(l, key);
  if (lk_owner_change(owner, &change, 1, NULL, &receipt, NULL) != LK_OK) return "a change failed";
  if (one == NULL) return receipt.templates == 0 ? NULL : "a template that is not there was changed";
  if (receipt.templates == 0 && !life_has_expired(one)) return "a template was not there";
  one->until = receipt.epoch;
  if (receipt.templates == 0 || kind == LK_CHANGE_DELETE_KEY) return NULL;
  one = begin(l, one, receipt.epoch);
  if (kind == LK_CHANGE_TAG) one->tags = change.tags;
  if (kind == LK_CHANGE_EXPIRE) one->expires_ms = change.expires_ms;
  return NULL;
}

const char *lives_change(lives *l, lk_owner *owner) {
  if (l->count + ROWS > LIVES_MAX) return "too many changes for the test";
  switch (random_below(&l->random, 8)) {
    case 0:
      return delete_subject(l, owner);
    case 1:
      return change_key(l, owner, LK_CHANGE_DELETE_KEY);
    case 2:
      return change_key(l, owner, LK_CHANGE_TAG);
    case 3:
    case 4:
      return change_key(l, owner, LK_CHANGE_EXPIRE);
    default:
      return enroll(l, owner);
  }
}
