#include "engine/queue/client/job_writer.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/fail.h"
#include "base/file.h"
#include "base/text.h"
#include "engine/queue/functions.h"
#include "governance/policy/claims.h"
#include "index/formats/vector.h"

static lk_status check_probes(const lk_job_writer *writer, lk_error *error) {
  const lk_vectors *probes = writer->job->probes;
  for (uint64_t row = 0; row < probes->rows; row++) {
    const char *fault = lk_vector_prepare(LK_IP, probes, row, writer->probes);
    if (fault != NULL) return lk_fail(error, LK_EBADPROBE, "%s: probe %" PRIu64 " %s", probes->name, row, fault);
  }
  return lk_file_check_at(probes->data, probes->name, error);
}

lk_status lk_job_writer_make(lk_job_writer *writer, const lk_client_job *job, const char *stream, const char *to,
                             lk_error *error) {
  *writer = (lk_job_writer){.job = job, .stream = stream, .to = to};
  writer->probes = malloc((size_t)job->job_probes * job->probes->dim * sizeof *writer->probes);
  return writer->probes != NULL ? check_probes(writer, error) : lk_fail_memory(error);
}

void lk_job_writer_free(lk_job_writer *writer) {
  lk_command_free(&writer->command);
  free(writer->probes);
}

static void add_bytes(lk_job_writer *w, const char *name, const void *value, size_t length) {
  lk_command_add_string(&w->command, name);
  lk_command_add(&w->command, value, length);
  w->fields[w->fields_count++] = (lk_field){.name = lk_text_of(name), .value = value, .length = length};
}

static void add_field(lk_job_writer *w, const char *name, const char *value) {
  add_bytes(w, name, value, strlen(value));
}

static void add_list(lk_job_writer *w, const char *name, const lk_text_list *list) {
  if (list->given) add_bytes(w, name, list->bytes, list->length);
}

static void add_claims(lk_job_writer *w, const lk_claims *claims) {
  for (int i = 0; i < LK_CLAIMS_TEXTS; i++) {
    lk_text text = lk_claims_text(claims, i);
    if (text.length > 0) add_bytes(w, lk_claims_name(i), text.bytes, text.length);
  }
  snprintf(w->since, sizeof w->since, "%" PRId64, claims->pending_since_ms);
  if (claims->granted) add_field(w, "granted", "yes");
  if (claims->pending_since_ms > 0) add_field(w, "pending_since", w->since);
}

/* What is searched for, and among which templates. */
static void add_search(lk_job_writer *w, uint64_t number) {
  const lk_client_job *job = w->job;
  snprintf(w->k, sizeof w->k, "%u", job->k);
  snprintf(w->n, sizeof w->n, "%" PRIu64, lk_client_job_probes(job, number));
  snprintf(w->threshold, sizeof w->threshold, "%.9g", (double)job->threshold);
  snprintf(w->tags, sizeof w->tags, "%" PRIu64, job->tags);
  snprintf(w->mask, sizeof w->mask, "%" PRIu64, job->mask);
  add_field(w, "k", w->k);
  add_field(w, "n", w->n);
  if (job->threshold != -INFINITY) add_field(w, "threshold", w->threshold);
  if (job->by_subject) add_field(w, "by", "subject");
  if (job->fusion != LK_FUSE_NONE) add_field(w, "fuse", lk_fusion_name(job->fusion));
  if (job->mask != 0) {
    add_field(w, "tags", w->tags);
    add_field(w, "mask", w->mask);
  }
  add_list(w, "keys", &job->keys);
  add_list(w, "subjects", &job->subjects);
}

/* Signs all fields that were added before. */
static lk_status add_signature(lk_job_writer *w, lk_error *error) {
  unsigned char message[LK_SIGNED_SIZE];
  snprintf(w->signed_ms, sizeof w->signed_ms, "%" PRIu64, lk_clock_unix_ms());
  add_field(w, "signed_ms", w->signed_ms);
  if (w->job->deployment != NULL) add_field(w, "deployment", w->job->deployment);
  lk_status status = lk_signature_message(w->fields, w->fields_count, message, error);
  if (status != LK_OK) return status;
  lk_signature_sign(message, w->job->claims.key, w->signature);
  add_field(w, LK_SIGNATURE_FIELD, w->signature);
  return LK_OK;
}

lk_status lk_job_writer_write(lk_job_writer *w, uint64_t number, lk_error *error) {
  const lk_client_job *job = w->job;
  uint64_t probes = lk_client_job_probes(job, number);
  lk_vector_to_f32(job->probes, lk_client_job_first(job, number), probes, w->probes);
  lk_status readable = lk_file_check_at(job->probes->data, job->probes->name, error);
  if (readable != LK_OK) return readable;
  snprintf(w->id, sizeof w->id, "%" PRIu64, number);
  snprintf(w->ttl, sizeof w->ttl, "%" PRIu64, job->ttl_ms);
  lk_functions_begin(&w->command, LK_SUBMIT, "1");
  lk_command_add_string(&w->command, w->stream);
  w->fields_count = 0;
  add_field(w, "v", "1");
  add_field(w, "op", "identify");
  add_field(w, "id", w->id);
  add_field(w, "to", w->to);
  add_field(w, "gallery", job->gallery);
  add_search(w, number);
  if (job->model != NULL) add_field(w, "model", job->model);
  add_claims(w, &job->claims);
  if (job->ttl_ms > 0) add_field(w, "ttl", w->ttl);
  add_bytes(w, "f32", w->probes, probes * job->probes->dim * sizeof *w->probes);
  return job->claims.key != NULL ? add_signature(w, error) : LK_OK;
}
