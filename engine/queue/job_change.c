#include "engine/queue/job_change.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/text.h"
#include "index/formats/labels/label_format.h"

/* ---- an enrollment ---- */

/* Larger ones would keep a gallery's other changes waiting. */
static lk_status check_rows(const lk_field_reader *r, const lk_vectors *rows) {
  uint64_t most = LK_ENROLLMENT_ROWS(rows->dim);
  if (rows->rows <= most) return LK_OK;
  return lk_fail(r->error, LK_EBADJOB, "field n: %llu rows of dimension %u; one job may enroll %llu",
                 (unsigned long long)rows->rows, rows->dim, (unsigned long long)most);
}

static lk_status read_csv(const lk_job *job, lk_label_file *labels, lk_error *error) {
  const lk_label_source source = {
      .name = "field labels", .data = job->change.labels, .size = job->change.labels_length};
  if (source.data == NULL) return LK_OK;
  if (source.size == 0) return lk_fail(error, LK_EBADJOB, "field labels is empty");
  return lk_label_csv_read(&source, labels, error);
}

lk_status lk_job_read_labels(const lk_job *job, lk_label_file *labels, lk_error *error) {
  uint64_t rows = job->probes.rows;
  *labels = (lk_label_file){.of_row = calloc(rows + 1, sizeof *labels->of_row), .rows = rows};
  lk_status status = labels->of_row != NULL ? read_csv(job, labels, error) : lk_fail_memory(error);
  for (uint64_t row = 0; status == LK_OK && row < rows; row++) labels->of_row[row].version = job->change.version;
  if (status != LK_OK) lk_label_file_close(labels);
  if (status == LK_ENOMEM) return LK_EINTERNAL;
  return status == LK_EFORMAT ? LK_EBADJOB : status;
}

lk_enrollment lk_job_enrollment(const lk_job *job, const lk_label_file *labels) {
  return (lk_enrollment){.vectors = &job->probes,
                         .labels = labels->of_row,
                         .replace = job->op == LK_OP_REPLACE,
                         .unless_match = job->change.unless_match,
                         .match_threshold = job->change.match_threshold};
}

static lk_status check_labels(const lk_field_reader *r, const lk_job *job) {
  lk_label_file labels;
  lk_status status = lk_job_read_labels(job, &labels, r->error);
  if (status == LK_OK) lk_label_file_close(&labels);
  return status;
}

static lk_status read_enrollment(const lk_field_reader *r, lk_job *job) {
  lk_job_change *change = &job->change;
  const lk_field *match = lk_field_find(r, "unless_match"), *labels = lk_field_find(r, "labels");
  lk_status status = check_rows(r, &job->probes);
  if (status == LK_OK) status = lk_field_read_score(r, "unless_match", &change->match_threshold);
  if (status == LK_OK && change->match_threshold == -INFINITY)
    status = lk_field_malformed(r, match, "is not a number, or too large for a float");
  change->unless_match = match != NULL;
  if (labels != NULL) change->labels = labels->value, change->labels_length = labels->length;
  return status == LK_OK ? check_labels(r, job) : status;
}

/* ---- other changes ---- */

/* Nobody sends a change of nobody on purpose. */
static lk_status read_whose(const lk_field_reader *r, const char *name, lk_text_list *list) {
  lk_status status = lk_field_read_list(r, name, list);
  if (status != LK_OK || !list->given || list->count > 0) return status;
  return lk_fail(r->error, LK_EBADJOB, "field %s is empty: the job changes nothing", name);
}

static lk_status read_lists(const lk_field_reader *r, lk_job *job) {
  lk_status status = read_whose(r, "keys", &job->keys);
  if (status == LK_OK) status = read_whose(r, "subjects", &job->subjects);
  if (status != LK_OK || job->keys.given != job->subjects.given) return status;
  if (job->keys.given) return lk_fail(r->error, LK_EBADJOB, "the job has both keys and subjects");
  return lk_fail(r->error, LK_EBADJOB, "field keys%s is missing", job->op == LK_OP_DELETE ? " (or subjects)" : "");
}

/* Both must be said: a mask that was taken from the tags could only set them. */
static lk_status read_tags(const lk_field_reader *r, lk_job *job) {
  lk_status status = lk_field_read_number(r, "tags", true, 0, UINT64_MAX, &job->tags);
  if (status == LK_OK) status = lk_field_read_number(r, "mask", true, 1, UINT64_MAX, &job->mask);
  if (status != LK_OK || (job->tags & ~job->mask) == 0) return status;
  return lk_fail(r->error, LK_EBADJOB, "field tags: 0x%llx lies outside mask",
                 (unsigned long long)(job->tags & ~job->mask));
}

static lk_status read_expiry(const lk_field_reader *r, uint64_t *expires_ms) {
  const lk_field *field = lk_field_find(r, "expires");
  *expires_ms = LK_NEVER;
  if (field != NULL && lk_text_equal(lk_field_text(field), lk_text_of("never"))) return LK_OK;
  return lk_field_read_number(r, "expires", true, 1, LK_NEVER - 1, expires_ms);
}

lk_status lk_job_change_read(const lk_field_reader *r, lk_job *job) {
  lk_status status = lk_field_read_number(r, "version", false, 1, UINT64_MAX, &job->change.version);
  if (status != LK_OK || job->op == LK_OP_ERASE) return status;
  if (lk_op_enrolls(job->op)) return read_enrollment(r, job);
  status = read_lists(r, job);
  if (status == LK_OK && job->op == LK_OP_TAG) status = read_tags(r, job);
  return status == LK_OK && job->op == LK_OP_EXPIRE ? read_expiry(r, &job->change.expires_ms) : status;
}

static lk_change change_of(const lk_job *job) {
  lk_change_kind kind = job->subjects.given ? LK_CHANGE_DELETE_SUBJECT : LK_CHANGE_DELETE_KEY;
  if (job->op == LK_OP_TAG) kind = LK_CHANGE_TAG;
  if (job->op == LK_OP_EXPIRE) kind = LK_CHANGE_EXPIRE;
  return (lk_change){.kind = kind,
                     .version = job->change.version,
                     .tags = job->tags,
                     .mask = job->mask,
                     .expires_ms = job->change.expires_ms};
}

static const lk_text *text_of(const lk_change *change) {
  return change->key.length > 0 ? &change->key : &change->subject;
}

static int compare(const void *a, const void *b) {
  const lk_text *x = text_of(a), *y = text_of(b);
  uint32_t shorter = x->length < y->length ? x->length : y->length;
  int order = memcmp(x->bytes, y->bytes, shorter);
  return order != 0 ? order : (x->length > y->length) - (x->length < y->length);
}

uint32_t lk_job_changes(const lk_job *job, const lk_text *texts, lk_change *changes) {
  lk_change like = change_of(job);
  uint32_t listed = job->keys.count + job->subjects.count, count = 0;
  for (uint32_t i = 0; i < listed; i++) {
    changes[i] = like;
    *(job->subjects.given ? &changes[i].subject : &changes[i].key) = texts[i];
  }
  qsort(changes, listed, sizeof *changes, compare);
  for (uint32_t i = 0; i < listed; i++)
    if (count == 0 || compare(&changes[count - 1], &changes[i]) != 0) changes[count++] = changes[i];
  return count;
}
