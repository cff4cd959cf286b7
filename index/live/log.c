#include "index/live/log.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "index/gallery/unchecked.h"
#include "index/live/draft.h"
#include "index/live/fold.h"
#include "index/live/queue.h"

/* Whether the entry could be noted, whatever becomes of it. */
static lk_status check_noted(const lk_log_entry *entry, lk_error *error) {
  if (entry->fields_bytes > LK_LOG_FIELDS_BYTES)
    return lk_fail(error, LK_EINVAL, "an entry of the log has %zu bytes of fields; at most %u can be kept",
                   entry->fields_bytes, LK_LOG_FIELDS_BYTES);
  lk_error fault;
  lk_log_note note = {.mark = entry->mark, .number = entry->number, .status = entry->status};
  memcpy(note.prev, entry->prev, sizeof note.prev);
  if (lk_log_note_check(&note, &fault) == LK_OK) return LK_OK;
  return lk_fail(error, LK_EINVAL, "an entry of the log cannot be kept: %s", fault.text);
}

/* What does not depend on the gallery's templates: LK_OK also where it is refused, which the entry has then. */
static lk_status check_entry(const lk_owner *owner, lk_log_entry *entry, lk_request *request, lk_error *error) {
  *request = (lk_request){.enrollment = entry->enrollment,
                          .changes = entry->changes,
                          .count = entry->count,
                          .now_ms = entry->mark.ms,
                          .log = entry};
  lk_status status = check_noted(entry, error);
  bool changes = entry->enrollment != NULL || entry->count > 0;
  if (status != LK_OK || entry->status != LK_OK || !changes) return status;
  if (entry->enrollment != NULL && entry->enrollment->unless_match && owner->gallery->contents->device == NULL)
    return lk_fail(error, LK_EBUSY, "the gallery %s is not loaded on a device yet, which the search for matches needs",
                   owner->gallery->manifest.name);
  entry->status = lk_draft_check(owner->gallery, request, &entry->error);
  if (!lk_log_is_passing(entry->status)) return LK_OK;
  status = entry->status;
  entry->status = LK_OK;
  return lk_fail(error, status, "%s", entry->error.text);
}

static lk_status take_outcome(const lk_request *request, lk_error *error) {
  lk_log_entry *entry = request->log;
  if (!request->accepted) return lk_fail(error, request->status, "%s", request->error.text);
  entry->status = request->status;
  if (request->status != LK_OK) entry->error = request->error;
  entry->receipt = request->receipt;
  entry->matched = lk_request_has_matched(request);
  if (entry->matched) entry->finding = request->finding;
  entry->finding.epoch = request->receipt.epoch;
  return LK_OK;
}

static lk_status apply(lk_owner *owner, lk_log_entry *entries, uint32_t count, lk_request *requests, lk_error *error) {
  bool stopped = false;
  lk_status status = LK_OK;
  for (uint32_t i = 0; status == LK_OK && i < count; i++) {
    status = check_entry(owner, &entries[i], &requests[i], error);
    requests[i].stopped = &stopped;
    if (i > 0) requests[i - 1].next = &requests[i];
  }
  if (status != LK_OK) return status;
  lk_queue_pass_run(owner, &requests[0], &requests[count - 1]);
  for (uint32_t i = 0; status == LK_OK && i < count; i++) status = take_outcome(&requests[i], error);
  /* Such as of a device, or of a fold; the owner goes on. */
  if (status == LK_EIO && lk_owner_check(owner, NULL) == LK_OK) status = LK_EBUSY;
  lk_fold_if_due(owner);
  return status;
}

lk_status lk_owner_log_apply(lk_owner *owner, lk_log_entry *entries, uint32_t count, lk_error *error) {
  if (count == 0) return LK_OK;
  lk_request *requests = calloc(count, sizeof *requests);
  if (requests == NULL) return lk_fail_memory(error);
  lk_status status = apply(owner, entries, count, requests, error);
  free(requests);
  return status;
}

lk_log_mark lk_owner_log_mark(lk_owner *owner) { return lk_gallery_log_mark(owner->gallery); }

uint64_t lk_owner_log_erases(lk_owner *owner) {
  pthread_mutex_lock(&owner->mutex);
  uint64_t seq = owner->erases;
  pthread_mutex_unlock(&owner->mutex);
  return seq;
}

void lk_owner_log_acknowledged(lk_owner *owner, uint64_t seq) {
  pthread_mutex_lock(&owner->mutex);
  owner->acknowledges = true;
  if (seq > owner->acknowledged) owner->acknowledged = seq;
  pthread_cond_broadcast(&owner->turned);
  pthread_mutex_unlock(&owner->mutex);
  lk_fold_if_due(owner);
}

lk_log_mark lk_owner_log_folded(lk_owner *owner) {
  lk_owner_take_turn(owner);
  lk_log_mark mark = owner->gallery->manifest.log.mark;
  lk_owner_end_turn(owner);
  return mark;
}
