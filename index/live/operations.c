/* What the public functions of an owner do, under the gallery's policy. */
#include <math.h>
#include <stdlib.h>

#include "base/fail.h"
#include "index/gallery/authorise.h"
#include "index/live/draft.h"
#include "index/live/expired.h"
#include "index/live/fold.h"
#include "index/live/log.h"
#include "index/live/match.h"
#include "index/live/queue.h"

static lk_operation operation_of(const lk_request *r) {
  if (r->enrollment != NULL) return LK_OPERATION_ENROLL;
  lk_change_kind kind = r->count > 0 ? r->changes[0].kind : LK_CHANGE_DELETE_KEY;
  if (kind == LK_CHANGE_TAG) return LK_OPERATION_TAG;
  return kind == LK_CHANGE_EXPIRE ? LK_OPERATION_EXPIRE : LK_OPERATION_DELETE;
}

/* What a request needs: an enrollment that may replace templates may delete them, too, and one that is refused for a
 * match tells whom a row is like. */
typedef struct permission {
  lk_gallery_authorisation request, replacing, matching;
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
static bool may_match(const lk_request *r) { return r->enrollment != NULL && r->enrollment->unless_match; }

/* Under a stricter limit the check would pass over matches, so it is not made. */
static lk_status take_limits(permission *p, lk_request *r, lk_error *error) {
  float threshold = r->enrollment->match_threshold;
  lk_status status = lk_gallery_check_threshold(&p->matching, threshold, error);
  if (status == LK_OK) return lk_gallery_commit_decision(&p->matching, error);
  return lk_gallery_release_finding(&p->matching, status, threshold, &r->finding, error);
}

/* Each row is a probe. */
static lk_status ask_to_match(permission *p, lk_owner *owner, lk_request *r, const lk_claims *claims, lk_error *error) {
  const lk_vectors *rows = r->enrollment->vectors;
  size_t floats = (size_t)rows->rows * rows->dim;
  float *probes = malloc(floats * sizeof *probes);
  if (probes == NULL) return lk_fail_memory(error);
  lk_policy_request asked = {.operation = LK_OPERATION_IDENTIFY,
                             .k = 1,
                             .threshold = r->enrollment->match_threshold,
                             .probes = lk_policy_probes(rows, 1)};
  lk_evidence evidence = {.searches = true, .probes = probes, .floats = floats};
  evidence.fault = lk_gallery_prepare(owner->gallery, rows, (lk_text){0}, probes, error);
  lk_status status = lk_gallery_authorise(&p->matching, owner->gallery, &asked, &evidence, claims, error);
  free(probes);
  return status == LK_OK ? take_limits(p, r, error) : status;
}

static lk_status ask_for(permission *p, lk_owner *owner, lk_request *r, const lk_claims *claims, lk_error *error) {
  *p = (permission){0};
  lk_status fault = lk_draft_check(owner->gallery, r, error);
  lk_status status = ask(owner, operation_of(r), fault, claims, &p->request, error);
  if (status == LK_OK && may_replace(r)) status = ask(owner, LK_OPERATION_DELETE, LK_OK, claims, &p->replacing, error);
  if (status == LK_OK && may_match(r)) status = ask_to_match(p, owner, r, claims, error);
  return status;
}

static lk_status record_done(permission *p, const lk_request *r, lk_error *error) {
  const lk_receipt *done = &r->receipt;
  lk_status status = lk_gallery_record(&p->request, done->templates, done->epoch, error);
  if (status == LK_OK && may_replace(r)) status = lk_gallery_record(&p->replacing, done->replaced, done->epoch, error);
  return status;
}

/* What is done and not in the log cannot be taken back: nothing more is done. */
static lk_status record(lk_owner *owner, permission *p, const lk_request *r, lk_error *error) {
  lk_error why;
  lk_status status = record_done(p, r, &why);
  if (status == LK_OK) return LK_OK;
  lk_owner_fail(owner, &why);
  return lk_fail(error, status, "%s", why.text);
}

/* A match is told once it is released. The log also has that there was none, or why the check was not made. */
static lk_status release_match(permission *p, lk_request *r, lk_status status, lk_error *error) {
  bool matches = status == LK_EEXIST && r->finding.found;
  status = lk_gallery_release_finding(&p->matching, matches ? LK_OK : status, r->enrollment->match_threshold,
                                      &r->finding, error);
  return matches && status == LK_OK ? lk_match_tell(r, error) : status;
}

/* The policy decides before anything of the gallery is told. */
static lk_status request(lk_owner *owner, lk_request *r, const lk_claims *claims, lk_receipt *receipt,
                         lk_error *error) {
  permission permitted;
  lk_status status = ask_for(&permitted, owner, r, claims, error);
  if (status == LK_OK) {
    lk_queue_pass(owner, r);
    status = r->status;
    if (status != LK_OK && error != NULL) *error = r->error;
    if (may_match(r)) status = release_match(&permitted, r, status, error);
    if (status == LK_OK) status = record(owner, &permitted, r, error);
  }
  lk_gallery_authorise_end(&permitted.matching);
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
  lk_contents_enter(owner->gallery->contents, &sight);
  lk_deleted deleted = lk_contents_deleted(owner->gallery->contents);
  lk_contents_leave(owner->gallery->contents);
  lk_sight_free(&sight);
  return deleted.in_segments + deleted.in_journals;
}

static void note_erased(lk_owner *owner, uint64_t seq) {
  pthread_mutex_lock(&owner->mutex);
  if (owner->erases == seq) owner->erases = 0;
  pthread_mutex_unlock(&owner->mutex);
}

static lk_status compact(lk_owner *owner, uint64_t *erased, lk_error *error) {
  uint64_t asked = lk_owner_log_erases(owner);
  lk_status status = lk_expired_delete(owner, error);
  uint64_t deleted = count_deleted(owner);
  if (status == LK_OK) status = lk_fold(owner, LK_FOLD_ALL, error);
  if (status != LK_OK) return status;
  note_erased(owner, asked);
  lk_gallery_show(owner->gallery);
  *erased = deleted;
  return LK_OK;
}

lk_status lk_owner_log_erase(lk_owner *owner, uint64_t *erased, lk_error *error) {
  return compact(owner, erased, error);
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

lk_status lk_owner_change(lk_owner *owner, const lk_change *changes, uint32_t count, const lk_claims *claims,
                          lk_receipt *receipt, lk_error *error) {
  lk_request r = {.changes = changes, .count = count};
  return request(owner, &r, claims, receipt, error);
}
