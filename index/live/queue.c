#include "index/live/queue.h"

#include <inttypes.h>
#include <math.h>

#include "base/clock.h"
#include "base/fail.h"
#include "index/catalog/apply.h"
#include "index/live/batch.h"
#include "index/live/fold.h"
#include "index/live/match.h"

#define RECORD_BYTES UINT64_C(256)       /* about, without its vector */
#define GROUP_BYTES (UINT64_C(32) << 20) /* of the requests that go together; one may have more */

static uint64_t next_number(const lk_owner *owner, const lk_group *group) {
  uint64_t next = owner->gallery->contents->next_number;
  return group->next_number > next ? group->next_number : next;
}

static lk_status check_room(const lk_owner *owner, const lk_group *group, const lk_request *r, lk_error *error) {
  uint64_t rows = r->enrollment != NULL ? r->enrollment->vectors->rows : 0;
  if (owner->gallery->contents->catalog->rows + group->rows_count + rows < UINT32_MAX) return LK_OK;
  return lk_fail(error, LK_EINVAL, "the gallery would have more than %u templates", UINT32_MAX);
}

static void accept(lk_owner *owner, lk_group *group, lk_request *r, uint64_t *sequence) {
  lk_draft draft = {0};
  r->receipt.numbered_from = next_number(owner, group);
  r->receipt.epoch = group->epoch;
  if (r->enrollment != NULL) r->now_ms = lk_clock_unix_ms();
  r->status = lk_owner_check(owner, &r->error);
  if (r->status == LK_OK && r->expired_ms == 0) r->status = lk_fold_check(owner, &r->error);
  if (r->status == LK_OK) r->status = check_room(owner, group, r, &r->error);
  if (r->status == LK_OK)
    r->status = lk_draft_make(&draft, group, r, r->receipt.numbered_from, &owner->next_free, &r->error);
  if (r->status == LK_OK) r->status = lk_match_check(owner, group, &draft, r, &r->error);
  if (r->status == LK_OK && draft.count > 0) r->status = lk_batch_add(owner, group, &draft, r, sequence, &r->error);
  /* Also what is no change, or what matches a template: it may be so because of others in the group. */
  r->accepted = r->status == LK_OK || r->finding.found;
  lk_draft_free(&draft);
}

static lk_status check_number(const lk_owner *owner, const lk_group *group, const lk_log_entry *entry,
                              lk_error *error) {
  uint64_t next = next_number(owner, group);
  if (entry->enrollment == NULL || entry->number >= next) return LK_OK;
  return lk_fail(error, LK_EINTERNAL,
                 "the log gives template number %" PRIu64 ", and the next one of this gallery is %" PRIu64
                 ": it was changed otherwise than through its log",
                 entry->number, next);
}

/* Whether the entry can have its outcome now. */
static lk_status check_entry(lk_owner *owner, const lk_group *group, lk_request *r, lk_error *error) {
  const lk_log_entry *entry = r->log;
  if (*r->stopped) return lk_fail(error, LK_ECANCELLED, "an entry of the log before it was not applied");
  lk_status status = lk_owner_check(owner, error);
  if (status == LK_OK && !lk_log_mark_follows(&group->log, &entry->mark, entry->prev))
    status = lk_fail(error, LK_EINVAL, "entry %" PRIu64 " of the log does not follow entry %" PRIu64, entry->mark.seq,
                     group->log.seq);
  if (status == LK_OK) status = lk_fold_check(owner, error);
  if (status != LK_OK || entry->status != LK_OK) return status;
  return check_room(owner, group, r, error) == LK_OK ? LK_OK : LK_EBUSY; /* a compaction makes room */
}

/* Whatever becomes of it is noted. */
static void note_entry(lk_owner *owner, lk_group *group, lk_request *r, uint64_t *sequence) {
  const lk_log_entry *entry = r->log;
  lk_draft draft = {0};
  uint64_t next_free = 0; /* what entries before it have found depends on when the process began */
  r->receipt.numbered_from = entry->enrollment != NULL ? entry->number : 0;
  r->status = entry->status;
  r->error = entry->error;
  if (r->status == LK_OK) r->status = check_number(owner, group, entry, &r->error);
  if (r->status == LK_OK) r->status = lk_draft_make(&draft, group, r, entry->number, &next_free, &r->error);
  if (r->status == LK_OK) r->status = lk_match_check(owner, group, &draft, r, &r->error);
  if (r->finding.found && !entry->tells_scores) r->finding.score = NAN;
  if (r->finding.found) r->status = lk_match_tell(r, &r->error);
  if (!lk_log_is_passing(r->status)) r->accepted = lk_batch_note(owner, group, &draft, r, sequence);
  lk_draft_free(&draft);
}

/* An entry of the log. Where one cannot have its outcome, those behind it in its run cannot either. */
static void accept_entry(lk_owner *owner, lk_group *group, lk_request *r, uint64_t *sequence) {
  r->status = check_entry(owner, group, r, &r->error);
  if (r->status == LK_OK) note_entry(owner, group, r, sequence);
  *r->stopped = !r->accepted;
}

/* What is on the disk must be in memory: if that fails, nobody may search. */
static lk_status apply(lk_owner *owner, const lk_group *group, lk_error *error) {
  lk_contents *contents = owner->gallery->contents;
  lk_error why;
  if (lk_apply(contents, group, owner->pool, &why) == LK_OK) return LK_OK;
  pthread_rwlock_wrlock(&contents->lock);
  contents->failure = why;
  pthread_rwlock_unlock(&contents->lock);
  return lk_fail(error, LK_EIO, "the change is on the disk, but not in memory: %s", why.text);
}

/* Makes the changes of these requests: on the disk, then in memory. */
static void make_changes(lk_owner *owner, lk_request *first) {
  lk_contents *contents = owner->gallery->contents;
  lk_group group;
  lk_error error;
  uint64_t sequence = 0;
  lk_group_begin(&group, contents->shape, contents->catalog);
  group.epoch = contents->epoch;
  group.log = contents->log;
  for (lk_request *r = first; r != NULL; r = r->next)
    (r->log != NULL ? accept_entry : accept)(owner, &group, r, &sequence);
  lk_status status = lk_owner_check(owner, &error);
  if (status == LK_OK && sequence > 0) status = lk_journal_commit(owner->journal, sequence, &error);
  if (status == LK_OK && sequence > 0) status = apply(owner, &group, &error);
  if (status != LK_OK && sequence > 0) lk_owner_fail(owner, &error);
  for (lk_request *r = first; status != LK_OK && r != NULL; r = r->next) {
    if (!r->accepted && r->status != LK_EEXIST) continue; /* a key may be taken by what failed */
    r->accepted = false;
    r->status = status;
    r->error = error;
  }
  lk_group_free(&group);
}

static uint64_t bytes_of(const lk_request *r) {
  const lk_enrollment *e = r->enrollment;
  if (r->log != NULL && r->log->status != LK_OK) return RECORD_BYTES + r->log->fields_bytes;
  return e != NULL ? e->vectors->rows * (sizeof(float) * e->vectors->dim + RECORD_BYTES) : r->count * RECORD_BYTES;
}

/* The requests that waited longest, as many as go together. */
static lk_request *take_group(lk_owner *owner) {
  lk_request *first = owner->first, *last = first;
  uint64_t bytes = bytes_of(last);
  while (last->next != NULL && bytes + bytes_of(last->next) <= GROUP_BYTES) bytes += bytes_of(last = last->next);
  owner->first = last->next;
  if (last->next == NULL) owner->last = NULL;
  last->next = NULL;
  return first;
}

/* Whoever finds that nobody has the turn takes it, for all who wait. Its own request may have to wait for another. */
static void lead(lk_owner *owner) {
  lk_request *group = take_group(owner);
  owner->busy = true;
  pthread_mutex_unlock(&owner->mutex);
  make_changes(owner, group);
  pthread_mutex_lock(&owner->mutex);
  for (lk_request *at = group, *next; at != NULL; at = next) {
    next = at->next;
    at->done = true; /* whose it is may go on, and it is gone */
  }
  owner->busy = false;
  pthread_cond_broadcast(&owner->turned);
}

void lk_queue_pass_run(lk_owner *owner, lk_request *first, lk_request *last) {
  pthread_mutex_lock(&owner->mutex);
  if (owner->last != NULL)
    owner->last->next = first;
  else
    owner->first = first;
  owner->last = last;
  while (!last->done) {
    if (owner->busy)
      pthread_cond_wait(&owner->turned, &owner->mutex);
    else
      lead(owner);
  }
  pthread_mutex_unlock(&owner->mutex);
}

void lk_queue_pass(lk_owner *owner, lk_request *request) { lk_queue_pass_run(owner, request, request); }
