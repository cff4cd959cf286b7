#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "engine/queue/job_change.h"
#include "index/formats/vector.h"

enum { FIELDS = 24 };

static const char *const names[] = {
    "v",          "op",           "id",       "to",     "gallery",       "k",       "n",         "threshold",
    "by",         "f32",          "f16",      "flags",  "ttl",           "model",   "subject",   "mask",
    "fuse",       "tags",         "purpose",  "actor",  "pending_since", "case",    "signed_ms", LK_SIGNATURE_FIELD,
    "deployment", "keys",         "subjects", "x-own",  "Threshold",     "granted", "after",     "version",
    "labels",     "unless_match", "expires",  "cursor", "count"};
enum { NAMES = sizeof names / sizeof names[0] };

/* Fields: a byte for the name, two for the length of the value, the value. */
static size_t cut(const uint8_t *data, size_t size, lk_field fields[FIELDS]) {
  size_t count = 0;
  while (size >= 3 && count < FIELDS) {
    size_t length = data[1] | (size_t)data[2] << 8;
    if (length > size - 3) length = size - 3;
    fields[count++] =
        (lk_field){.name = lk_text_of(names[data[0] % NAMES]), .value = (const char *)data + 3, .length = length};
    data += 3 + length;
    size -= 3 + length;
  }
  return count;
}

static void check_rows(const lk_vectors *rows) {
  static float row[LK_DIM_MAX];
  if (rows->rows < 1 || rows->rows > LK_JOB_PROBES_MAX || rows->dim < 1 || rows->dim > LK_DIM_MAX) abort();
  for (uint64_t r = 0; r < rows->rows; r++) lk_vector_prepare(LK_COSINE, rows, r, row);
}

/* There is a label for each row. */
static void check_enrollment(const lk_job *job) {
  lk_label_file labels;
  check_rows(&job->probes);
  if (job->probes.rows > LK_ENROLLMENT_ROWS(job->probes.dim)) abort();
  if (lk_job_read_labels(job, &labels, NULL) != LK_OK) return;
  lk_enrollment enrollment = lk_job_enrollment(job, &labels);
  for (uint64_t i = 0; i < job->probes.rows; i++)
    if (lk_text_fault(enrollment.labels[i].key) != NULL || enrollment.labels[i].metadata.length > LK_METADATA_MAX)
      abort();
  if (enrollment.unless_match && !isfinite(enrollment.match_threshold)) abort();
  lk_label_file_close(&labels);
}

static void check_changes(const lk_job *job) {
  static lk_text texts[LK_TEXT_LIST_MOST];
  static lk_change changes[LK_TEXT_LIST_MOST];
  lk_text_list_split(job->keys.given ? &job->keys : &job->subjects, texts);
  uint32_t count = lk_job_changes(job, texts, changes);
  if (count < 1 || count > job->keys.count + job->subjects.count) abort();
  for (uint32_t i = 0; i < count; i++) {
    if (changes[i].kind != changes[0].kind || (changes[i].key.length > 0) == (changes[i].subject.length > 0)) abort();
    if (changes[i].kind == LK_CHANGE_TAG && (changes[i].tags & ~changes[i].mask) != 0) abort();
    if (changes[i].kind == LK_CHANGE_EXPIRE && changes[i].expires_ms == 0) abort();
  }
}

static void check_good(const lk_job *job) {
  const lk_vectors *probes = &job->probes;
  if (job->id.length < 1 || job->id.length > LK_JOB_ID_MAX || job->to.length < 1 || job->gallery.length < 1) abort();
  if (job->k < 1 || job->k > LK_K_MAX || isnan(job->threshold)) abort();
  if (job->page.count > LK_JOB_PAGE_MAX || (job->op == LK_OP_LIST && job->page.count < 1)) abort();
  if (lk_op_kind_of(job->op) == LK_OP_SEARCHES) check_rows(probes);
  if (lk_op_enrolls(job->op)) check_enrollment(job);
  if (job->op == LK_OP_DELETE || job->op == LK_OP_TAG || job->op == LK_OP_EXPIRE) check_changes(job);
  if (job->op == LK_OP_IDENTIFY && probes->rows * job->k > LK_JOB_CANDIDATES_MAX) abort();
  if (job->deployment.length > LK_JOB_DEPLOYMENT_MAX) abort();
  static lk_text texts[LK_TEXT_LIST_MOST];
  lk_text_list_split(&job->keys, texts);
  for (uint32_t i = 0; i < job->keys.count; i++)
    if (texts[i].length < 1 || lk_text_fault(texts[i]) != NULL) abort();
  lk_text_list_split(&job->subjects, texts);
}

/* What is signed does not depend on the order, and every field is in it once. */
static void check_signed(const lk_job *job, const lk_field *fields, size_t count) {
  lk_field turned[FIELDS];
  unsigned char message[LK_SIGNED_SIZE];
  for (size_t i = 0; i < count; i++) turned[i] = fields[count - 1 - i];
  if (lk_signature_message(turned, count, message, NULL) != LK_OK) abort();
  if (memcmp(message, job->signed_message, sizeof message) != 0 || job->claims.actor.length < 1) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  lk_field fields[FIELDS];
  lk_job job;
  lk_error error;
  size_t count = cut(data, size, fields);
  lk_status status = lk_job_parse(fields, count, &job, &error);
  if (status == LK_OK) check_good(&job);
  if (status == LK_OK && job.is_signed) check_signed(&job, fields, count);
  /* With or without an error these go back to the client. */
  if (lk_text_fault(job.id) != NULL || lk_text_fault(job.to) != NULL) abort();
  return 0;
}
