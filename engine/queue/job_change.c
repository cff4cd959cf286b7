#include "engine/queue/job_change.h"

#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/text.h"
#include "index/formats/labels/label_format.h"

/* ---- an enrollment ---- */

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

/* ---- other changes ---- */

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
