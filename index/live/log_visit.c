/* Reads what the journals keep of the log's entries. A batch is told by its epoch, and an entry is whole when the next
 * batch begins, or its journal ends. */
#include <string.h>

#include "base/buffer.h"
#include "base/fail.h"
#include "base/text.h"
#include "index/formats/vector.h"
#include "index/live/log.h"
#include "index/live/owner.h"

typedef struct visiting {
  uint64_t after_seq;
  lk_log_visit *visit;
  void *context;
  uint32_t dim;
  bool held; /* an entry that is not visited yet */
  lk_log_kept kept;
  lk_buffer fields, vectors; /* of it */
} visiting;

static lk_status hand_on(visiting *v, lk_error *error) {
  if (!v->held) return LK_OK;
  v->held = false;
  v->kept.fields = v->fields.data;
  v->kept.vectors = v->kept.vectors_rows > 0 ? v->vectors.data : NULL;
  return v->visit(v->context, &v->kept, error);
}

static lk_finding finding_of(const lk_log_finding *kept, uint64_t epoch) {
  lk_finding f = {.epoch = epoch,
                  .searched = kept->searched,
                  .total = kept->total,
                  .found = kept->found,
                  .probe = kept->probe,
                  .number = kept->number,
                  .score = kept->score};
  lk_text_append(f.key, sizeof f.key, 0, "%.*s", (int)kept->key.length, kept->key.bytes);
  lk_text_append(f.subject, sizeof f.subject, 0, "%.*s", (int)kept->subject.length, kept->subject.bytes);
  return f;
}

static lk_status hold(visiting *v, uint64_t epoch, const lk_record *record, lk_error *error) {
  lk_log_note note;
  lk_status status = lk_log_note_decode(record->note, record->note_bytes, &note, error);
  if (status != LK_OK || note.mark.seq <= v->after_seq) return status;
  if (lk_buffer_grow(&v->fields, (size_t)note.fields_bytes + 1, 1) == NULL) return lk_fail_memory(error);
  memcpy(v->fields.data, note.fields, note.fields_bytes);
  v->kept = (lk_log_kept){.mark = note.mark,
                          .number = note.number,
                          .fields_bytes = note.fields_bytes,
                          .status = note.status,
                          .receipt = {.epoch = epoch,
                                      .numbered_from = note.numbered_from,
                                      .templates = note.templates,
                                      .replaced = note.replaced,
                                      .unchanged = note.unchanged},
                          .matched = note.finding.made,
                          .rows = note.rows};
  if (note.finding.made) v->kept.finding = finding_of(&note.finding, epoch);
  memcpy(v->kept.prev, note.prev, sizeof note.prev);
  memcpy(v->kept.error.text, note.text, note.text_bytes);
  v->held = true;
  return LK_OK;
}

static lk_status add_vector(visiting *v, const lk_record *record, lk_error *error) {
  size_t row = v->kept.vectors_rows;
  float *vectors = lk_buffer_grow(&v->vectors, (row + 1) * v->dim, sizeof *vectors);
  if (vectors == NULL) return lk_fail_memory(error);
  lk_vectors one = {.name = "", .data = record->vector, .rows = 1, .dim = v->dim, .element = record->element};
  lk_vector_to_f32(&one, 0, 1, vectors + row * v->dim);
  v->kept.vectors_rows++;
  return LK_OK;
}

static lk_status collect(void *context, uint64_t epoch, uint64_t sequence, const lk_record *record, lk_error *error) {
  (void)sequence;
  visiting *v = context;
  lk_status status = v->held && epoch != v->kept.receipt.epoch ? hand_on(v, error) : LK_OK;
  if (status != LK_OK) return status;
  if (record->kind == LK_RECORD_LOG) return hold(v, epoch, record, error);
  return v->held && record->kind == LK_RECORD_ENROLL ? add_vector(v, record, error) : LK_OK;
}

static lk_status visit_journals(lk_owner *owner, visiting *v, lk_error *error) {
  const lk_gallery *gallery = owner->gallery;
  lk_status status = lk_owner_check(owner, error);
  for (uint32_t i = 0; status == LK_OK && i < gallery->manifest.journals_count; i++) {
    lk_journal_header header = lk_manifest_journal_header(&gallery->manifest, i);
    lk_journal_report report;
    status = lk_journal_read(&gallery->folder, &header, collect, v, &report, error);
    if (status == LK_OK) status = hand_on(v, error);
  }
  return status;
}

lk_status lk_owner_log_visit(lk_owner *owner, uint64_t after_seq, lk_log_visit *visit, void *context, lk_error *error) {
  visiting v = {.after_seq = after_seq, .visit = visit, .context = context, .dim = owner->gallery->manifest.dim};
  lk_owner_take_turn(owner);
  lk_status status = visit_journals(owner, &v, error);
  lk_owner_end_turn(owner);
  lk_buffer_free(&v.fields);
  lk_buffer_free(&v.vectors);
  return status;
}
