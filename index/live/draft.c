#include "index/live/draft.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/text.h"
#include "index/formats/vector.h"
#include "index/gallery/probes.h"

/* ---- what does not depend on the templates ---- */

static lk_status check_row(const lk_gallery *gallery, const lk_enrollment *e, uint64_t row, lk_error *error) {
  float prepared[LK_DIM_MAX];
  lk_shape shape = lk_gallery_shape(gallery);
  const char *fault = lk_vector_prepare(shape.metric, e->vectors, row, prepared);
  if (fault == NULL) fault = lk_vector_round(shape.metric, shape.store, prepared, shape.dim);
  if (fault == NULL) return LK_OK;
  return lk_fail(error, LK_EBADPROBE, "%s: row %" PRIu64 " %s", e->vectors->name, row, fault);
}

static lk_status check_label(const lk_enrollment *e, uint64_t row, lk_error *error) {
  if (e->labels == NULL) return LK_OK;
  const lk_label *label = &e->labels[row];
  const char *what = "key", *fault = lk_text_fault(label->key);
  if (fault == NULL) what = "subject", fault = lk_text_fault(label->subject);
  if (fault == NULL) what = "group", fault = lk_text_fault(label->group);
  if (fault == NULL && label->metadata.length > LK_METADATA_MAX) what = "metadata", fault = "is longer than 256 bytes";
  if (fault == NULL) return LK_OK;
  return lk_fail(error, LK_EINVAL, "%s: row %" PRIu64 ": its %s %s", e->vectors->name, row, what, fault);
}

static lk_status check_match(const lk_gallery *gallery, const lk_enrollment *e, lk_error *error) {
  if (!e->unless_match) return LK_OK;
  if (isnan(e->match_threshold)) return lk_fail(error, LK_EINVAL, "the threshold of matches is not a number");
  if (gallery->contents->device != NULL) return LK_OK;
  return lk_fail(error, LK_EINVAL, "the gallery %s is not loaded on a device, which the search for matches needs",
                 gallery->manifest.name);
}

static lk_status check_enrollment(const lk_gallery *gallery, const lk_enrollment *e, lk_error *error) {
  const lk_vectors *vectors = e->vectors;
  lk_status status = lk_gallery_check_vectors(gallery, vectors, error);
  if (status != LK_OK) return status;
  if (vectors->rows == 0) return lk_fail(error, LK_EFORMAT, "%s: there are no rows", vectors->name);
  if (vectors->rows > LK_ENROLLMENT_ROWS(vectors->dim))
    return lk_fail(error, LK_EINVAL, "%s: %" PRIu64 " rows are too many for one change, which takes %" PRIu64,
                   vectors->name, vectors->rows, LK_ENROLLMENT_ROWS(vectors->dim));
  status = check_match(gallery, e, error);
  fenv_t callers = lk_enter_arithmetic();
  for (uint64_t row = 0; status == LK_OK && row < vectors->rows; row++) {
    status = check_row(gallery, e, row, error);
    if (status == LK_OK) status = check_label(e, row, error);
  }
  fesetenv(&callers);
  lk_status readable = lk_file_check_at(vectors->data, vectors->name, error);
  return readable != LK_OK ? readable : status;
}

static lk_record record_of(const lk_change *change) {
  return (lk_record){.kind = (lk_record_kind)change->kind,
                     .version = change->version,
                     .tags = change->tags,
                     .mask = change->mask,
                     .expires_ms = change->expires_ms,
                     .key = change->key,
                     .subject = change->subject};
}

static lk_status check_changes(const lk_gallery *gallery, const lk_request *request, lk_error *error) {
  for (uint32_t i = 0; i < request->count; i++) {
    lk_error fault;
    lk_change_kind kind = request->changes[i].kind;
    lk_record record = record_of(&request->changes[i]);
    if (kind < LK_CHANGE_DELETE_KEY || kind > LK_CHANGE_EXPIRE || kind != request->changes[0].kind)
      return lk_fail(error, LK_EINVAL, "change %" PRIu32 ": its kind %d is none, or another than that of the first", i,
                     (int)kind);
    if (lk_record_check(lk_gallery_shape(gallery), &record, &fault) != LK_OK)
      return lk_fail(error, LK_EINVAL, "change %" PRIu32 ": %s", i, fault.text);
  }
  return LK_OK;
}

lk_status lk_draft_check(const lk_gallery *gallery, const lk_request *request, lk_error *error) {
  if (request->enrollment != NULL) return check_enrollment(gallery, request->enrollment, error);
  if (request->count == 0) return lk_fail(error, LK_EINVAL, "there are no changes");
  return check_changes(gallery, request, error);
}

/* ---- what depends on them ---- */

static lk_status refuse_key(const lk_enrollment *e, uint64_t row, lk_text key, const char *why, lk_error *error) {
  return lk_fail(error, LK_EEXIST, "%s: row %" PRIu64 ": key '%.*s' %s", e->vectors->name, row, lk_text_shown(key),
                 key.bytes, why);
}

/* The rows that have keys of their own, sorted by them. */
typedef struct own_key {
  lk_text key;
  uint64_t row;
} own_key;

static int compare_keys(const void *a, const void *b) {
  const own_key *x = a, *y = b;
  uint32_t shorter = x->key.length < y->key.length ? x->key.length : y->key.length;
  int order = memcmp(x->key.bytes, y->key.bytes, shorter);
  if (order == 0) order = (x->key.length > y->key.length) - (x->key.length < y->key.length);
  return order != 0 ? order : (x->row > y->row) - (x->row < y->row);
}

static bool is_listed(const own_key *keys, uint32_t count, lk_text key) {
  uint32_t low = 0, high = count;
  own_key sought = {.key = key};
  while (low < high) {
    uint32_t middle = low + (high - low) / 2;
    if (compare_keys(&keys[middle], &sought) < 0)
      low = middle + 1;
    else
      high = middle;
  }
  return low < count && lk_text_equal(keys[low].key, key);
}

static lk_status list_keys(const lk_enrollment *e, own_key *keys, uint32_t *count, lk_error *error) {
  *count = 0;
  for (uint64_t row = 0; e->labels != NULL && row < e->vectors->rows; row++)
    if (e->labels[row].key.length > 0) keys[(*count)++] = (own_key){.key = e->labels[row].key, .row = row};
  qsort(keys, *count, sizeof *keys, compare_keys);
  for (uint32_t i = 1; i < *count; i++)
    if (lk_text_equal(keys[i - 1].key, keys[i].key))
      return refuse_key(e, keys[i].row, keys[i].key, "is used twice", error);
  return LK_OK;
}

/* Whether a template has this key that has not expired at this time. */
static bool has_key(const lk_group *group, lk_text key, uint64_t now_ms) {
  lk_template found;
  return lk_group_find_key(group, key, &found) && found.expires_ms > now_ms;
}

/* The template's number in decimal or, where somebody has that as a key, the next that is free beyond *next_free. */
static lk_text default_key(const lk_group *group, const own_key *keys, uint32_t keys_count, uint64_t now_ms,
                           uint64_t number, uint64_t *next_free, char digits[24]) {
  for (;; number = (*next_free)++) {
    snprintf(digits, 24, "%" PRIu64, number);
    lk_text key = lk_text_of(digits);
    if (!is_listed(keys, keys_count, key) && !has_key(group, key, now_ms)) return key;
  }
}

static lk_record enroll_record(const lk_enrollment *e, uint64_t row, uint64_t number, lk_text key) {
  lk_label label = e->labels != NULL ? e->labels[row] : (lk_label){0};
  return (lk_record){.kind = LK_RECORD_ENROLL,
                     .version = label.version,
                     .number = number,
                     .tags = label.tags,
                     .expires_ms = label.expires_ms == 0 ? LK_NEVER : label.expires_ms,
                     .key = key,
                     .subject = label.subject.length > 0 ? label.subject : key,
                     .group = label.group,
                     .metadata = label.metadata.bytes,
                     .metadata_bytes = label.metadata.length,
                     .element = LK_F32,
                     .vector = NULL};
}

/* A row with a key of its own: *is_new, or it is there in this version. */
static lk_status take_key(const lk_group *group, const lk_request *request, uint64_t row, bool *is_new,
                          lk_error *error) {
  const lk_enrollment *e = request->enrollment;
  const lk_label *label = &e->labels[row];
  lk_template found;
  *is_new = true;
  if (!lk_group_find_key(group, label->key, &found) || found.expires_ms <= request->now_ms) return LK_OK;
  if (label->version != 0 && label->version == found.version) {
    *is_new = false;
    return LK_OK;
  }
  if (!e->replace) return refuse_key(e, row, label->key, "is in the gallery already", error);
  if (label->version != 0 && label->version < found.version)
    return refuse_key(e, row, label->key, "is in the gallery in a later version", error);
  return LK_OK;
}

/* Whoever has the key gives way: it is replaced, or has expired. */
static void add_row(lk_draft *draft, const lk_group *group, const lk_enrollment *e, uint64_t row, uint64_t number,
                    lk_text key) {
  lk_template found;
  if (lk_group_find_key(group, key, &found))
    draft->records[draft->count++] = (lk_record){.kind = LK_RECORD_DELETE_KEY, .key = key};
  lk_record *record = &draft->records[draft->count++];
  *record = enroll_record(e, row, number, key);
  record->vector = draft->vectors + row * e->vectors->dim;
}

static lk_status draft_rows(lk_draft *draft, const lk_group *group, lk_request *request, uint64_t number,
                            uint64_t *next_free, const own_key *keys, uint32_t keys_count, lk_error *error) {
  const lk_enrollment *e = request->enrollment;
  if (*next_free < number + e->vectors->rows) *next_free = number + e->vectors->rows;
  for (uint64_t row = 0; row < e->vectors->rows; row++) {
    lk_text key = e->labels != NULL ? e->labels[row].key : (lk_text){0};
    bool is_new = true;
    lk_status status = key.length > 0 ? take_key(group, request, row, &is_new, error) : LK_OK;
    if (status != LK_OK) return status;
    if (!is_new) {
      request->receipt.unchanged++;
      continue;
    }
    if (key.length == 0)
      key = default_key(group, keys, keys_count, request->now_ms, number, next_free, draft->keys[row]);
    add_row(draft, group, e, row, number++, key);
  }
  return LK_OK;
}

/* The file may have been cut off since it was checked. */
static lk_status read_vectors(const lk_vectors *vectors, float *out, lk_error *error) {
  fenv_t callers = lk_enter_arithmetic();
  lk_vector_to_f32(vectors, 0, vectors->rows, out);
  fesetenv(&callers);
  return lk_file_check_at(vectors->data, vectors->name, error);
}

static lk_status draft_enrollment(lk_draft *draft, const lk_group *group, lk_request *request, uint64_t next_number,
                                  uint64_t *next_free, lk_error *error) {
  const lk_vectors *vectors = request->enrollment->vectors;
  uint64_t rows = vectors->rows;
  uint32_t keys_count;
  own_key *keys = malloc(rows * sizeof *keys);
  draft->records = malloc((1 + 2 * rows) * sizeof *draft->records);
  draft->keys = malloc(rows * sizeof *draft->keys);
  draft->vectors = malloc(rows * vectors->dim * sizeof *draft->vectors);
  lk_status status = LK_OK;
  if (keys == NULL || draft->records == NULL || draft->keys == NULL || draft->vectors == NULL)
    status = lk_fail_memory(error);
  if (status == LK_OK) status = list_keys(request->enrollment, keys, &keys_count, error);
  if (status == LK_OK) status = read_vectors(vectors, draft->vectors, error);
  if (status == LK_OK) status = draft_rows(draft, group, request, next_number, next_free, keys, keys_count, error);
  free(keys);
  return status;
}

static bool is_there(const lk_group *group, const lk_request *request, const lk_change *change) {
  lk_template found;
  if (change->kind == LK_CHANGE_DELETE_SUBJECT)
    return lk_group_count_subject(group, change->subject, request->now_ms) > 0;
  if (!lk_group_find_key(group, change->key, &found)) return false;
  return request->expired_ms != 0 ? found.expires_ms <= request->expired_ms : found.expires_ms > request->now_ms;
}

static lk_status draft_changes(lk_draft *draft, const lk_group *group, lk_request *request, lk_error *error) {
  draft->records = malloc((1 + (size_t)request->count) * sizeof *draft->records);
  if (draft->records == NULL) return lk_fail_memory(error);
  for (uint32_t i = 0; i < request->count; i++) {
    const lk_change *change = &request->changes[i];
    if (is_there(group, request, change))
      draft->records[draft->count++] = record_of(change);
    else
      request->receipt.unchanged++;
  }
  return LK_OK;
}

lk_status lk_draft_make(lk_draft *draft, const lk_group *group, lk_request *request, uint64_t next_number,
                        uint64_t *next_free, lk_error *error) {
  *draft = (lk_draft){.count = request->log != NULL};
  lk_status status = request->enrollment != NULL
                         ? draft_enrollment(draft, group, request, next_number, next_free, error)
                         : draft_changes(draft, group, request, error);
  if (status != LK_OK) lk_draft_free(draft);
  return status;
}

void lk_draft_free(lk_draft *draft) {
  free(draft->records);
  free(draft->keys);
  free(draft->vectors);
  *draft = (lk_draft){0};
}
