#include "engine/worker/log/log_change.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/fail.h"
#include "base/text.h"

/* What is the job's alone and says nothing of the change. `op`, `id` and `to` come first, by themselves. */
static const char *const kept_of_job[] = {"flags",    "model", "labels", "version", "keys",
                                          "subjects", "tags",  "mask",   "expires", "unless_match"};
enum { KEPT = sizeof kept_of_job / sizeof kept_of_job[0] };

enum { WRITTEN = 56 }; /* fields, at most: a call of Redis' functions for the log has room for so many */

static const char refused_words[] = "refused ";

static bool is_kept(lk_text name) {
  for (int i = 0; i < KEPT; i++)
    if (lk_text_equal(name, lk_text_of(kept_of_job[i]))) return true;
  return false;
}

static const char *element_name(lk_element element) { return element == LK_F16 ? "f16" : "f32"; }

static void digest_of(const void *vectors, size_t bytes, char hex[LK_LOG_DIGEST_HEX]) {
  unsigned char digest[(LK_LOG_DIGEST_HEX - 1) / 2];
  crypto_generichash(digest, sizeof digest, vectors, bytes, NULL, 0);
  sodium_bin2hex(hex, LK_LOG_DIGEST_HEX, digest, sizeof digest);
}

static size_t bytes_of(const lk_vectors *vectors) {
  return vectors->rows * vectors->dim * (vectors->element == LK_F16 ? sizeof(uint16_t) : sizeof(float));
}

static bool write_fields(const lk_job *job, const lk_field *given, size_t count, lk_log_fields *fields) {
  bool fits = lk_log_fields_add_text(fields, "op", lk_op_name(job->op)) &&
              lk_log_fields_add(fields, lk_text_of("id"), job->id.bytes, job->id.length) &&
              lk_log_fields_add(fields, lk_text_of("to"), job->to.bytes, job->to.length);
  for (size_t i = 0; fits && i < count; i++)
    if (is_kept(given[i].name)) fits = lk_log_fields_add(fields, given[i].name, given[i].value, given[i].length);
  return fits;
}

lk_status lk_log_change_write(const lk_job *job, const lk_field *given, size_t count, const char *decision,
                              bool tells_scores, lk_log_numbers *numbers, lk_log_fields *fields, lk_error *error) {
  fields->count = 0;
  bool fits = write_fields(job, given, count, fields);
  if (fits && job->probes.rows > 0) {
    digest_of(job->probes.data, bytes_of(&job->probes), numbers->digest);
    snprintf(numbers->dim, sizeof numbers->dim, "%u", job->probes.dim);
    fits = lk_log_fields_add_text(fields, "element", element_name(job->probes.element)) &&
           lk_log_fields_add_text(fields, "dim", numbers->dim) &&
           lk_log_fields_add_text(fields, "digest", numbers->digest);
  }
  if (fits && decision[0] != '\0') fits = lk_log_fields_add_text(fields, "decision", decision);
  if (fits && tells_scores) fits = lk_log_fields_add_text(fields, "scores", "told");
  size_t bytes = 0;
  for (size_t i = 0; i < fields->count; i++) bytes += fields->all[i].name.length + fields->all[i].length + 8;
  if (fits && fields->count <= WRITTEN && bytes <= LK_LOG_FIELDS_BYTES) return LK_OK;
  if (!fits || fields->count > WRITTEN) return lk_fail(error, LK_EBADJOB, "the job has too many fields");
  return lk_fail(error, LK_EBADJOB, "the job's fields without its vectors have %zu bytes; at most %u are allowed",
                 bytes, LK_LOG_FIELDS_BYTES);
}

void lk_log_change_refused(lk_bytes *vectors, lk_status status, const char *text) {
  char number[16];
  int length = snprintf(number, sizeof number, "%d ", (int)status);
  lk_bytes_append(vectors, refused_words, sizeof refused_words - 1);
  lk_bytes_append(vectors, number, (size_t)length);
  lk_bytes_append(vectors, text, strlen(text));
}

static lk_status fail(const lk_log_record *record, const char *why, lk_error *error) {
  return lk_fail(error, LK_EFORMAT, "entry %llu of the log: %s", (unsigned long long)record->mark.seq, why);
}

/* What can become of an entry for good, besides that it is applied. */
static bool is_refusal(unsigned number) {
  static const lk_status refusals[] = {LK_EEXIST, LK_EDIM, LK_EBADPROBE, LK_EINVAL, LK_EFORMAT, LK_EINTERNAL};
  size_t i = 0, count = sizeof refusals / sizeof refusals[0];
  while (i < count && number != (unsigned)refusals[i]) i++;
  return i < count;
}

/* The status and the words of an entry that was no change where it was appended from. */
static bool read_refused(const char *vectors, size_t length, lk_log_entry *entry) {
  size_t words = sizeof refused_words - 1;
  if (length <= words || memcmp(vectors, refused_words, words) != 0) return false;
  unsigned number = 0;
  size_t at = words;
  for (; at < length && vectors[at] >= '0' && vectors[at] <= '9' && number < 1000; at++)
    number = 10 * number + (unsigned)(vectors[at] - '0');
  if (at == words || at == length || vectors[at] != ' ' || !is_refusal(number)) return false;
  entry->status = (lk_status)number;
  snprintf(entry->error.text, sizeof entry->error.text, "%.*s", (int)(length - at - 1), vectors + at + 1);
  return true;
}

/* The vectors are those of which the digest is in the log, or words in their place. */
static lk_status check_vectors(const lk_log_record *record, const char *vectors, size_t length, lk_log_entry *entry,
                               lk_error *error) {
  char hex[LK_LOG_DIGEST_HEX];
  const lk_field *digest = lk_log_fields_find(&record->fields, "digest");
  if (record->rows == 0) return LK_OK;
  if (length == 0)
    return fail(record, "redis has its vectors no more; start again from an export of the gallery", error);
  digest_of(vectors, length, hex);
  if (digest != NULL && digest->length == sizeof hex - 1 && memcmp(digest->value, hex, digest->length) == 0)
    return LK_OK;
  return read_refused(vectors, length, entry) ? LK_OK
                                              : fail(record, "its vectors are not those that were logged", error);
}

static bool has_dim(const lk_log_record *record, const lk_job *job) {
  char number[12];
  const lk_field *dim = lk_log_fields_find(&record->fields, "dim");
  if (record->rows == 0) return true;
  snprintf(number, sizeof number, "%u", job->probes.dim);
  return dim != NULL && lk_text_equal(lk_field_text(dim), lk_text_of(number));
}

/* The job that it was, so that whoever reads jobs reads it. */
static lk_status read_job(const lk_log_record *record, const char *gallery, const char *vectors, size_t length,
                          lk_job *job, lk_error *error) {
  lk_error why;
  char rows[24];
  lk_log_fields fields = {0};
  const lk_field *element = lk_log_fields_find(&record->fields, "element");
  bool fits = lk_log_fields_add_text(&fields, "v", "1") && lk_log_fields_add_text(&fields, "gallery", gallery);
  for (size_t i = 0; fits && i < record->fields.count; i++) {
    const lk_field *field = &record->fields.all[i];
    if (i < 3 || is_kept(field->name)) fits = lk_log_fields_add(&fields, field->name, field->value, field->length);
  }
  if (fits && record->rows > 0 && element != NULL) {
    snprintf(rows, sizeof rows, "%llu", (unsigned long long)record->rows);
    lk_text name = {.bytes = element->value, .length = (uint32_t)element->length};
    fits = lk_log_fields_add_text(&fields, "n", rows) && lk_log_fields_add(&fields, name, vectors, length);
  }
  if (!fits) return fail(record, "it has too many fields", error);
  if (lk_job_parse(fields.all, fields.count, job, &why) != LK_OK) return fail(record, why.text, error);
  if (lk_op_kind_of(job->op) != LK_OP_CHANGES) return fail(record, "it is no change", error);
  return has_dim(record, job) ? LK_OK : fail(record, "its vectors have another dimension than it says", error);
}

static lk_status open_enrollment(lk_log_change *change, lk_log_entry *entry, lk_error *error) {
  lk_status status = lk_job_read_labels(&change->job, &change->labels, error);
  if (status != LK_OK) return status == LK_EINTERNAL ? LK_ENOMEM : LK_EFORMAT;
  change->has_labels = true;
  change->enrollment = lk_job_enrollment(&change->job, &change->labels);
  entry->enrollment = &change->enrollment;
  return LK_OK;
}

static lk_status open_changes(lk_log_change *change, lk_log_entry *entry, lk_error *error) {
  const lk_text_list *keys = &change->job.keys, *subjects = &change->job.subjects;
  size_t listed = (size_t)keys->count + subjects->count;
  change->texts = malloc((listed + 1) * sizeof *change->texts);
  change->changes = malloc((listed + 1) * sizeof *change->changes);
  if (change->texts == NULL || change->changes == NULL) return lk_fail_memory(error);
  lk_text_list_split(keys->given ? keys : subjects, change->texts);
  entry->count = lk_job_changes(&change->job, change->texts, change->changes);
  entry->changes = change->changes;
  return LK_OK;
}

/* The number of rows comes first: it is needed to append the entry again. */
static void pack(const lk_log_record *record, lk_bytes *packed) {
  char rows[24];
  lk_log_fields first = {0};
  snprintf(rows, sizeof rows, "%llu", (unsigned long long)record->rows);
  lk_log_fields_add_text(&first, "rows", rows);
  lk_log_fields_pack(&first, packed);
  lk_log_fields_pack(&record->fields, packed);
}

lk_status lk_log_change_open(const lk_log_record *record, const char *gallery, const char *vectors, size_t length,
                             lk_log_change *change, lk_log_entry *entry, lk_error *error) {
  *change = (lk_log_change){0};
  *entry = (lk_log_entry){.mark = record->mark,
                          .number = record->number,
                          .tells_scores = lk_log_fields_find(&record->fields, "scores") != NULL};
  memcpy(entry->prev, record->prev, sizeof entry->prev);
  pack(record, &change->packed);
  if (change->packed.failed) return lk_fail_memory(error);
  entry->fields = change->packed.data;
  entry->fields_bytes = change->packed.length;
  lk_status status = check_vectors(record, vectors, length, entry, error);
  if (status != LK_OK || entry->status != LK_OK) return status;
  status = read_job(record, gallery, vectors, length, &change->job, error);
  entry->erases = status == LK_OK && change->job.op == LK_OP_ERASE;
  if (status != LK_OK || entry->erases) return status;
  return lk_op_enrolls(change->job.op) ? open_enrollment(change, entry, error) : open_changes(change, entry, error);
}

void lk_log_change_close(lk_log_change *change) {
  if (change->has_labels) lk_label_file_close(&change->labels);
  lk_bytes_free(&change->packed);
  free(change->texts);
  free(change->changes);
}
