#include "engine/worker/log/answering.h"

#include <stdio.h>

#include "base/fail.h"
#include "base/printable.h"
#include "base/text.h"
#include "engine/worker/authorise_change.h"
#include "index/gallery/unchecked.h"

#define WAIT_MS "1000"

/* One round of answers. */
typedef struct answers {
  lk_answering *answering;
  lk_redis *redis;
  lk_ownership *own;
  bool replicated;
} answers;

void lk_answering_open(lk_answering *a, lk_worker *worker, uint32_t number, const char *nonce, lk_reader_place *place) {
  *a = (lk_answering){.worker = worker, .number = number, .nonce = nonce, .place = place};
  a->call.keys = &worker->keys[number];
}

void lk_answering_close(lk_answering *a) { lk_acknowledger_free(&a->call); }

/* Whether as many replicas of Redis as were asked for have all that this connection wrote, and so all that was logged
 * before. */
static lk_status wait_for_replicas(answers *r, uint64_t applied, lk_error *error) {
  char count[12];
  uint32_t wanted = r->answering->worker->options->replicas;
  r->replicated = false;
  if (wanted == 0) return LK_OK;
  snprintf(count, sizeof count, "%u", wanted);
  const char *const words[] = {"WAIT", count, WAIT_MS};
  lk_redis_reply *reply = NULL;
  lk_status status = lk_reader_place_tell(r->answering->place, r->redis, applied, error);
  if (status == LK_OK) status = lk_redis_call_words(r->redis, &reply, error, 3, words);
  if (status != LK_OK) return status;
  r->replicated = lk_redis_reply_integer(reply) >= wanted;
  lk_redis_reply_free(reply);
  return LK_OK;
}

static lk_status commit(const lk_worker *worker, lk_error *error) {
  lk_governance *governance = worker->options->governance;
  return governance != NULL ? lk_governance_commit(governance, error) : LK_OK;
}

static lk_status send(answers *r, lk_error *error) {
  lk_answering *a = r->answering;
  bool lost = false;
  lk_status status = commit(a->worker, error);
  if (status == LK_OK)
    status = lk_acknowledger_send(&a->call, r->redis, a->nonce, r->own->term, &r->own->acked, &lost,
                                  a->worker->options->log, error);
  if (lost) *r->own = (lk_ownership){0};
  return status;
}

/* As much of the job as tells which operations it needed. */
static bool read_job(const lk_log_fields *fields, lk_job *job) {
  const lk_field *op = lk_log_fields_find(fields, "op"), *id = lk_log_fields_find(fields, "id");
  if (op == NULL || id == NULL) return false;
  *job = (lk_job){.op = lk_op_find(lk_field_text(op)),
                  .id = lk_field_text(id),
                  .change.unless_match = lk_log_fields_find(fields, "unless_match") != NULL};
  return job->op != LK_OPS;
}

static void tell_undecided(const lk_answering *a, const lk_job *job, const lk_log_mark *mark) {
  lk_printable_line(a->worker->options->log,
                    "likeness: log: gallery %s: entry %llu, the %s '%.*s', came without a valid decision of a policy",
                    a->worker->keys[a->number].gallery, (unsigned long long)mark->seq, lk_op_name(job->op),
                    lk_text_shown(job->id), job->id.bytes);
}

/* What this worker's audit log says was done, and whether a match may be told. */
static lk_status audit(const lk_answering *a, const lk_outcome *o, lk_change_end *end, lk_error *error) {
  const lk_worker_options *options = a->worker->options;
  lk_log_fields fields;
  lk_job job;
  if (options->governance == NULL) return LK_OK;
  if (!lk_log_fields_unpack(o->fields, o->fields_bytes, &fields) || !read_job(&fields, &job)) return LK_OK;
  const lk_field *decision = lk_log_fields_find(&fields, "decision");
  json_t *record = decision != NULL ? json_loadb(decision->value, decision->length, 0, NULL) : NULL;
  lk_status status = lk_authorise_log_change(options->governance, options->galleries[a->number], &job, record, end,
                                             lk_worker_redis_ms(a->worker), error);
  if (end->undecided) tell_undecided(a, &job, o->mark);
  json_decref(record);
  return status;
}

static lk_status add(answers *r, lk_outcome *o, lk_error *error) {
  lk_change_end end = {.status = o->status, .receipt = *o->receipt, .finding = o->finding, .probes = o->rows};
  o->replicated = r->replicated;
  o->in_segments = r->answering->in_segments;
  lk_status status = audit(r->answering, o, &end, error);
  if (end.refusal != NULL) {
    o->status = end.status;
    o->text = end.error.text;
    o->refusal = end.refusal;
  }
  if (status == LK_OK && !lk_acknowledger_add(&r->answering->call, o)) {
    status = send(r, error);
    if (status == LK_OK) lk_acknowledger_add(&r->answering->call, o);
  }
  json_decref(end.refusal);
  return status;
}

static lk_status begin(answers *r, uint64_t applied, lk_error *error) {
  lk_gallery_stat stat;
  lk_gallery_stat_get(r->answering->worker->options->galleries[r->answering->number], &stat);
  r->answering->in_segments = stat.deleted_in_segments > 0;
  return wait_for_replicas(r, applied, error);
}

lk_status lk_answering_take(lk_answering *a, lk_redis *redis, const lk_log_reading *reading, uint32_t count,
                            lk_ownership *own, lk_error *error) {
  answers r = {.answering = a, .redis = redis, .own = own};
  if (count == 0) return LK_OK;
  lk_status status = begin(&r, reading->entries[count - 1].mark.seq, error);
  for (uint32_t i = 0; status == LK_OK && i < count; i++) {
    const lk_log_entry *entry = &reading->entries[i];
    lk_outcome outcome = {.mark = &entry->mark,
                          .fields = entry->fields,
                          .fields_bytes = entry->fields_bytes,
                          .status = entry->status,
                          .text = entry->error.text,
                          .receipt = &entry->receipt,
                          .finding = entry->matched ? &entry->finding : NULL,
                          .rows = entry->enrollment != NULL ? entry->enrollment->vectors->rows : 0};
    status = add(&r, &outcome, error);
  }
  return status == LK_OK ? send(&r, error) : status;
}

/* Once the log was lost, nothing more is answered. */
static lk_status visit(void *context, const lk_log_kept *kept, lk_error *error) {
  answers *r = context;
  if (r->own->standing != LK_STANDING_OWNER) return LK_OK;
  lk_outcome outcome = {.mark = &kept->mark,
                        .fields = kept->fields,
                        .fields_bytes = kept->fields_bytes,
                        .status = kept->status,
                        .text = kept->error.text,
                        .receipt = &kept->receipt,
                        .finding = kept->matched ? &kept->finding : NULL,
                        .rows = kept->rows};
  return add(r, &outcome, error);
}

lk_status lk_answering_visit(lk_answering *a, lk_redis *redis, lk_owner *owner, lk_ownership *own, lk_error *error) {
  answers r = {.answering = a, .redis = redis, .own = own};
  lk_status status = begin(&r, lk_owner_log_mark(owner).seq, error);
  if (status == LK_OK) status = lk_owner_log_visit(owner, own->acked, visit, &r, error);
  return status == LK_OK ? send(&r, error) : status;
}
