#include "index/live/batch.h"

#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/text.h"

static void count_bytes(lk_owner *owner, const lk_record *records, uint32_t count) {
  uint64_t bytes = 0;
  for (uint32_t i = 0; i < count; i++)
    bytes += sizeof(lk_record) + records[i].note_bytes +
             (records[i].kind == LK_RECORD_ENROLL ? (uint64_t)owner->gallery->manifest.dim * 4 : 0);
  pthread_mutex_lock(&owner->mutex);
  owner->recorded += bytes;
  pthread_mutex_unlock(&owner->mutex);
}

/* How many templates a record adds, deletes or changes, of those that are there. */
static uint64_t count_touched(const lk_group *group, const lk_record *record, uint64_t now_ms) {
  lk_template found;
  if (record->kind == LK_RECORD_LOG) return 0;
  if (record->kind == LK_RECORD_ENROLL) return 1;
  if (record->kind == LK_RECORD_DELETE_SUBJECT) return lk_group_count_subject(group, record->subject, now_ms);
  return lk_group_find_key(group, record->key, &found) && found.expires_ms > now_ms;
}

static lk_status add_to_group(lk_group *group, uint64_t epoch, const lk_record *records, uint32_t count, lk_request *r,
                              lk_error *error) {
  lk_status status = LK_OK;
  r->receipt.epoch = epoch;
  for (uint32_t i = 0; status == LK_OK && i < count; i++) {
    bool replaces = r->enrollment != NULL && records[i].kind == LK_RECORD_DELETE_KEY;
    *(replaces ? &r->receipt.replaced : &r->receipt.templates) += count_touched(group, &records[i], r->now_ms);
    status = lk_group_add(group, epoch, &records[i], error);
  }
  return status;
}

lk_status lk_batch_add(lk_owner *owner, lk_group *group, const lk_draft *draft, lk_request *request, uint64_t *sequence,
                       lk_error *error) {
  uint64_t epoch;
  lk_status status = lk_journal_add(owner->journal, draft->records, draft->count, sequence, &epoch, error);
  if (status != LK_OK) return status;
  status = add_to_group(group, epoch, draft->records, draft->count, request, error);
  if (status != LK_OK) lk_owner_fail(owner, error); /* the journal has it, and memory cannot */
  count_bytes(owner, draft->records, draft->count);
  return status;
}

/* ---- entries of the log ---- */

static lk_log_finding finding_of(const lk_request *r) {
  const lk_finding *f = &r->finding;
  lk_log_finding finding = {.made = lk_request_has_matched(r)};
  if (!finding.made) return finding;
  finding.searched = f->searched;
  finding.total = f->total;
  if (!f->found) return finding;
  finding.found = true;
  finding.number = f->number;
  finding.probe = f->probe;
  finding.score = f->score;
  finding.key = lk_text_of(f->key);
  finding.subject = lk_text_of(f->subject);
  return finding;
}

static lk_log_note note_of(const lk_request *r) {
  const lk_log_entry *entry = r->log;
  lk_log_note note = {.mark = entry->mark,
                      .number = entry->number,
                      .rows = entry->enrollment != NULL ? entry->enrollment->vectors->rows : 0,
                      .numbered_from = r->receipt.numbered_from,
                      .templates = r->receipt.templates,
                      .replaced = r->receipt.replaced,
                      .unchanged = r->receipt.unchanged,
                      .status = r->status,
                      .fields = entry->fields,
                      .fields_bytes = (uint32_t)entry->fields_bytes,
                      .finding = finding_of(r),
                      .erases = entry->erases && r->status == LK_OK};
  memcpy(note.prev, entry->prev, sizeof note.prev);
  if (r->status == LK_OK) return note;
  note.text = r->error.text;
  note.text_bytes = (uint32_t)strnlen(r->error.text, sizeof r->error.text - 1);
  return note;
}

/* The record of the note, which is written into `room`. */
static lk_record record_note(const lk_request *r, void *room) {
  lk_log_note note = note_of(r);
  lk_log_note_encode(&note, room);
  return (lk_record){.kind = LK_RECORD_LOG, .note = room, .note_bytes = lk_log_note_bytes(&note)};
}

static void note_erasure(lk_owner *owner, uint64_t seq) {
  pthread_mutex_lock(&owner->mutex);
  owner->erases = seq;
  pthread_mutex_unlock(&owner->mutex);
}

/* The group comes first: the note has what it counts. */
static lk_status add_noted(lk_owner *owner, lk_group *group, lk_record *records, uint32_t count, lk_request *r,
                           uint64_t *sequence, lk_error *error) {
  uint64_t epoch;
  lk_status status = add_to_group(group, group->epoch + 1, records, count, r, error);
  records[0] = record_note(r, (void *)records[0].note);
  if (status == LK_OK) status = lk_journal_add(owner->journal, records, count, sequence, &epoch, error);
  if (status == LK_OK && epoch != group->epoch) status = lk_fail(error, LK_EINTERNAL, "the journal has another epoch");
  if (status != LK_OK) lk_owner_fail(owner, error); /* the group has it */
  if (status == LK_OK) count_bytes(owner, records, count);
  if (status == LK_OK && r->log->erases && r->status == LK_OK) note_erasure(owner, r->log->mark.seq);
  return status;
}

static void refuse(lk_request *r, lk_status status, const lk_error *why) {
  r->status = status;
  r->error = *why;
  r->receipt = (lk_receipt){0};
}

/* Notes it, with its changes where it has any and they fit. `room` takes the note. */
static lk_status note(lk_owner *owner, lk_group *group, const lk_draft *draft, lk_request *r, void *room,
                      uint64_t *sequence, lk_error *error) {
  lk_error why = r->error;
  lk_status status = r->status;
  if (status == LK_OK) {
    draft->records[0] = record_note(r, room);
    status = lk_journal_check(owner->journal, draft->records, draft->count, &why);
  }
  if (status == LK_OK) return add_noted(owner, group, draft->records, draft->count, r, sequence, error);
  refuse(r, status, &why);
  lk_record alone = record_note(r, room);
  return add_noted(owner, group, &alone, 1, r, sequence, error);
}

bool lk_batch_note(lk_owner *owner, lk_group *group, const lk_draft *draft, lk_request *request, uint64_t *sequence) {
  lk_error why;
  void *room = malloc(sizeof(lk_log_note) + sizeof(lk_error) + sizeof(lk_finding) + request->log->fields_bytes);
  lk_status status = room != NULL ? note(owner, group, draft, request, room, sequence, &why) : lk_fail_memory(&why);
  if (status != LK_OK) refuse(request, status, &why);
  free(room);
  return status == LK_OK;
}
