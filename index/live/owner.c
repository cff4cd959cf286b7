#include "index/live/owner.h"

#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "index/catalog/apply.h"
#include "index/gallery/authorise.h"
#include "index/gallery/recovery.h"
#include "index/live/draft.h"
#include "index/live/expired.h"
#include "index/live/fold.h"
#include "index/storage/leftovers.h"

enum { GROUP_ROWS = 65536 }; /* of the requests that go together; one may have more */

/* ---- opening and closing ---- */

/* Gives a gallery its first journal, which makes it one of version 3. */
static lk_status make_journal(lk_owner *owner, lk_error *error) {
  lk_gallery *gallery = owner->gallery;
  lk_manifest *manifest = &gallery->manifest;
  if (manifest->journals_count > 0) return LK_OK;
  lk_status status = lk_manifest_give_identity(manifest, error);
  if (status != LK_OK) return status;
  manifest->journals[0] =
      (lk_manifest_journal){.id = manifest->next_file++, .epoch = manifest->epoch, .sequence = manifest->sequence};
  manifest->journals_count = 1;
  lk_journal_header header = lk_manifest_journal_header(manifest, 0);
  status = lk_journal_create(&gallery->folder, &header, error);
  return status == LK_OK ? lk_manifest_write(&gallery->folder, manifest, error) : status;
}

static lk_status start(lk_owner *owner, const lk_disk *disk, const char *folder, lk_error *error) {
  lk_recovery found;
  lk_status status = lk_gallery_lock_take(folder, &owner->lock, error);
  if (status != LK_OK) return status;
  owner->lock.folder.disk = disk;
  status = lk_gallery_open_files(&owner->lock.folder, &owner->gallery, error);
  if (status == LK_OK) status = lk_pool_open(0, &owner->pool, error);
  if (status == LK_OK) status = make_journal(owner, error);
  if (status == LK_OK) status = lk_recovery_own(owner->gallery, owner->pool, &found, error);
  if (status != LK_OK) return status;
  owner->journal = found.journal;
  owner->cut_bytes = found.report.tail_bytes;
  owner->recorded = found.report.whole_bytes;
  owner->boundary = found.boundary;
  lk_gallery_show(owner->gallery);
  status = lk_leftovers_remove(&owner->lock.folder, &owner->gallery->manifest, error);
  if (status == LK_OK && found.report.sealed) status = lk_fold_begin_journal(owner, found.next_journal, error);
  return status;
}

lk_status lk_owner_open_on(const lk_disk *disk, const char *folder, lk_owner **owner, lk_error *error) {
  lk_owner *opened = calloc(1, sizeof *opened);
  if (opened == NULL) return lk_fail_memory(error);
  opened->lock.fd = -1;
  pthread_mutex_init(&opened->mutex, NULL);
  pthread_cond_init(&opened->turned, NULL);
  lk_status status = start(opened, disk, folder, error);
  if (status == LK_OK)
    *owner = opened;
  else
    lk_owner_close(opened);
  return status;
}

lk_status lk_owner_open(const char *folder, lk_owner **owner, lk_error *error) {
  return lk_owner_open_on(&lk_disk_system, folder, owner, error);
}

void lk_owner_close(lk_owner *owner) {
  if (owner == NULL) return;
  pthread_mutex_lock(&owner->mutex);
  while (owner->folding) pthread_cond_wait(&owner->turned, &owner->mutex);
  pthread_mutex_unlock(&owner->mutex);
  lk_journal_close(owner->journal);
  lk_gallery_close(owner->gallery);
  if (owner->pool != NULL) lk_pool_close(owner->pool);
  if (owner->lock.fd >= 0) lk_gallery_lock_release(&owner->lock);
  pthread_cond_destroy(&owner->turned);
  pthread_mutex_destroy(&owner->mutex);
  free(owner);
}

lk_gallery *lk_owner_gallery(const lk_owner *owner) { return owner->gallery; }

uint64_t lk_owner_cut_bytes(const lk_owner *owner) { return owner->cut_bytes; }

/* ---- turns ---- */

void lk_owner_take_turn(lk_owner *owner) {
  pthread_mutex_lock(&owner->mutex);
  while (owner->busy) pthread_cond_wait(&owner->turned, &owner->mutex);
  owner->busy = true;
  pthread_mutex_unlock(&owner->mutex);
}

void lk_owner_end_turn(lk_owner *owner) {
  pthread_mutex_lock(&owner->mutex);
  owner->busy = false;
  pthread_cond_broadcast(&owner->turned);
  pthread_mutex_unlock(&owner->mutex);
}

void lk_owner_fail(lk_owner *owner, const lk_error *why) {
  pthread_mutex_lock(&owner->mutex);
  if (owner->failure.text[0] == '\0') owner->failure = *why;
  pthread_mutex_unlock(&owner->mutex);
}

lk_status lk_owner_check(lk_owner *owner, lk_error *error) {
  pthread_mutex_lock(&owner->mutex);
  lk_error failure = owner->failure;
  pthread_mutex_unlock(&owner->mutex);
  if (failure.text[0] == '\0') return LK_OK;
  return lk_fail(error, LK_EIO, "the gallery %s takes no changes until it is opened again: %s",
                 owner->gallery->manifest.name, failure.text);
}

/* ---- a group of changes ---- */

static uint64_t vector_bytes(const lk_draft *draft, uint32_t dim) {
  uint64_t bytes = 0;
  for (uint32_t i = 0; i < draft->count; i++)
    bytes += sizeof(lk_record) + (draft->records[i].kind == LK_RECORD_ENROLL ? (uint64_t)dim * 4 : 0);
  return bytes;
}

static lk_status add_draft(lk_owner *owner, lk_group *group, const lk_draft *draft, lk_request *r, uint64_t *sequence,
                           lk_error *error) {
  uint64_t epoch;
  lk_status status = lk_journal_add(owner->journal, draft->records, draft->count, sequence, &epoch, error);
  if (status != LK_OK) return status;
  bool enrolls = r->enrollment != NULL;
  for (uint32_t i = 0; status == LK_OK && i < draft->count; i++) {
    uint64_t touched;
    status = lk_group_add(group, epoch, &draft->records[i], &touched, error);
    bool replaces = enrolls && draft->records[i].kind == LK_RECORD_DELETE_KEY;
    *(replaces ? &r->receipt.replaced : &r->receipt.templates) += touched;
    if (!enrolls && touched == 0) r->receipt.unchanged++; /* an earlier one of its changes has done it */
  }
  r->receipt.epoch = epoch;
  if (status != LK_OK) lk_owner_fail(owner, error); /* the journal has it, and memory cannot */
  pthread_mutex_lock(&owner->mutex);
  owner->recorded += vector_bytes(draft, owner->gallery->manifest.dim);
  pthread_mutex_unlock(&owner->mutex);
  return status;
}

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
  r->status = lk_owner_check(owner, &r->error);
  if (r->status == LK_OK) r->status = lk_fold_check(owner, &r->error);
  if (r->status == LK_OK) r->status = check_room(owner, group, r, &r->error);
  if (r->status == LK_OK)
    r->status = lk_draft_make(&draft, group, r, r->receipt.numbered_from, &owner->next_free, &r->error);
  if (r->status == LK_OK && draft.count > 0) r->status = add_draft(owner, group, &draft, r, sequence, &r->error);
  r->accepted = r->status == LK_OK; /* also what is no change: it may be one already because of others in the group */
  lk_draft_free(&draft);
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
  for (lk_request *r = first; r != NULL; r = r->next) accept(owner, &group, r, &sequence);
  lk_status status = lk_owner_check(owner, &error);
  if (status == LK_OK && sequence > 0) status = lk_journal_commit(owner->journal, sequence, &error);
  if (status == LK_OK && sequence > 0) status = apply(owner, &group, &error);
  if (status != LK_OK && sequence > 0) lk_owner_fail(owner, &error);
  for (lk_request *r = first; status != LK_OK && r != NULL; r = r->next) {
    if (!r->accepted) continue;
    r->status = status;
    r->error = error;
  }
  lk_group_free(&group);
}

static uint32_t rows_of(const lk_request *r) {
  return r->enrollment != NULL ? (uint32_t)r->enrollment->vectors->rows : r->count;
}

/* The requests that waited longest, as many as go together. */
static lk_request *take_group(lk_owner *owner) {
  lk_request *first = owner->first, *last = first;
  uint64_t rows = rows_of(last);
  while (last->next != NULL && rows + rows_of(last->next) <= GROUP_ROWS) rows += rows_of(last = last->next);
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

void lk_owner_pass(lk_owner *owner, lk_request *r) {
  pthread_mutex_lock(&owner->mutex);
  if (owner->last != NULL)
    owner->last->next = r;
  else
    owner->first = r;
  owner->last = r;
  while (!r->done) {
    if (owner->busy)
      pthread_cond_wait(&owner->turned, &owner->mutex);
    else
      lead(owner);
  }
  pthread_mutex_unlock(&owner->mutex);
}

static lk_operation operation_of(const lk_request *r) {
  if (r->enrollment != NULL) return LK_OPERATION_ENROLL;
  lk_change_kind kind = r->count > 0 ? r->changes[0].kind : LK_CHANGE_DELETE_KEY;
  if (kind == LK_CHANGE_TAG) return LK_OPERATION_TAG;
  return kind == LK_CHANGE_EXPIRE ? LK_OPERATION_EXPIRE : LK_OPERATION_DELETE;
}

/* What a request needs: an enrollment that may replace templates may delete them, too. */
typedef struct permission {
  lk_gallery_authorisation request, replacing;
} permission;

/* What is permitted is in the log for good before it is done. */
static lk_status ask(lk_owner *owner, lk_operation operation, lk_status fault, const lk_claims *claims,
                     lk_gallery_authorisation *authorisation, lk_error *error) {
  lk_policy_request asked = {.operation = operation, .k = 1, .threshold = -INFINITY};
  lk_evidence evidence = {.fault = fault};
  lk_status status = lk_gallery_authorise(authorisation, owner->gallery, &asked, &evidence, claims, error);
  return status == LK_OK ? lk_gallery_commit_decision(authorisation, error) : status;
}

static bool may_replace(const lk_request *r) { return r->enrollment != NULL && r->enrollment->replace; }

static lk_status ask_for(permission *p, lk_owner *owner, const lk_request *r, const lk_claims *claims,
                         lk_error *error) {
  *p = (permission){0};
  lk_status fault = lk_draft_check(owner->gallery, r, error);
  lk_status status = ask(owner, operation_of(r), fault, claims, &p->request, error);
  if (status == LK_OK && may_replace(r)) status = ask(owner, LK_OPERATION_DELETE, LK_OK, claims, &p->replacing, error);
  return status;
}

static lk_status record_done(permission *p, const lk_request *r, lk_error *error) {
  const lk_receipt *done = &r->receipt;
  lk_status status = lk_gallery_record(&p->request, done->templates, done->epoch, error);
  if (status == LK_OK && may_replace(r)) status = lk_gallery_record(&p->replacing, done->replaced, done->epoch, error);
  return status;
}

/* The policy decides before anything of the gallery is told. */
static lk_status request(lk_owner *owner, lk_request *r, const lk_claims *claims, lk_receipt *receipt,
                         lk_error *error) {
  permission permitted;
  lk_status status = ask_for(&permitted, owner, r, claims, error);
  if (status == LK_OK) {
    lk_owner_pass(owner, r);
    status = r->status;
    if (status != LK_OK && error != NULL) *error = r->error;
    if (status == LK_OK) status = record_done(&permitted, r, error);
  }
  lk_gallery_authorise_end(&permitted.replacing);
  lk_gallery_authorise_end(&permitted.request);
  if (status == LK_OK && receipt != NULL) *receipt = r->receipt;
  if (status == LK_OK) lk_fold_if_due(owner);
  return status;
}

lk_status lk_owner_enroll(lk_owner *owner, const lk_enrollment *enrollment, const lk_claims *claims,
                          lk_receipt *receipt, lk_error *error) {
  lk_request r = {.enrollment = enrollment};
  return request(owner, &r, claims, receipt, error);
}

/* Templates that were deleted while files still have their bytes. */
static uint64_t count_deleted(const lk_owner *owner) {
  lk_sight sight = {0};
  lk_gallery_enter(owner->gallery, &sight);
  lk_deleted deleted = lk_contents_deleted(owner->gallery->contents);
  lk_gallery_leave(owner->gallery);
  lk_sight_free(&sight);
  return deleted.in_segments + deleted.in_journals;
}

static lk_status compact(lk_owner *owner, uint64_t *erased, lk_error *error) {
  lk_status status = lk_expired_delete(owner, error);
  uint64_t deleted = count_deleted(owner);
  if (status == LK_OK) status = lk_fold(owner, LK_FOLD_ALL, error);
  if (status != LK_OK) return status;
  lk_gallery_show(owner->gallery);
  *erased = deleted;
  return LK_OK;
}

/* What failed after templates had expired and were deleted is recorded too. */
lk_status lk_owner_compact(lk_owner *owner, const lk_claims *claims, uint64_t *erased, lk_error *error) {
  lk_gallery_authorisation authorisation;
  lk_gallery_stat stat;
  lk_error unrecorded;
  uint64_t count = 0;
  lk_status status = ask(owner, LK_OPERATION_ERASE, LK_OK, claims, &authorisation, error);
  if (status == LK_OK) {
    status = compact(owner, &count, error);
    lk_gallery_stat_get(owner->gallery, &stat);
    lk_status recorded = lk_gallery_record(&authorisation, count, stat.epoch, &unrecorded);
    if (status == LK_OK && recorded != LK_OK) status = lk_fail(error, recorded, "%s", unrecorded.text);
  }
  lk_gallery_authorise_end(&authorisation);
  if (status == LK_OK && erased != NULL) *erased = count;
  return status;
}

lk_status lk_owner_load(lk_owner *owner, lk_device *device, lk_error *error) {
  lk_owner_take_turn(owner);
  lk_status status = lk_gallery_load(owner->gallery, device, error);
  lk_owner_end_turn(owner);
  return status;
}

lk_status lk_owner_change(lk_owner *owner, const lk_change *changes, uint32_t count, const lk_claims *claims,
                          lk_receipt *receipt, lk_error *error) {
  lk_request r = {.changes = changes, .count = count};
  return request(owner, &r, claims, receipt, error);
}
