#include "governance/rebind.h"

#include <math.h>
#include <string.h>

#include "base/fail.h"
#include "base/text.h"
#include "governance/kept_log.h"

/* Both logs while the gallery changes from one to the other. */
typedef struct change {
  const lk_rebinding *asked;
  lk_audit *left, *joined;
  lk_anchor *seen; /* of the log that it leaves */
  bool is_lost;    /* that log */
  bool moved;      /* it is the one that it joins */
} change;

static lk_status open_log(const change *c, const lk_binding *binding, bool lost, lk_audit **audit, lk_error *error) {
  lk_kept_log log = {.folder = binding->audit,
                     .key = binding->audit_key,
                     .keepers = &c->asked->folder,
                     .keepers_count = 1,
                     .lost = lost};
  lk_cases cases = {0};
  lk_seen seen = {0};
  lk_status status = lk_kept_log_open(&log, 0, &cases, &seen, audit, error);
  lk_cases_free(&cases);
  lk_seen_free(&seen);
  return status;
}

static bool leaves(const lk_rebinding *r) {
  return r->from->audit != NULL && (r->to->audit == NULL || strcmp(r->from->audit, r->to->audit) != 0);
}

static lk_status join(change *c, lk_error *error) {
  const lk_rebinding *r = c->asked;
  if (r->to->audit != NULL) return open_log(c, r->to, r->lost, &c->joined, error);
  if (!r->lost) return LK_OK;
  return lk_fail(error, LK_EINVAL, "%s: that a log is lost is recorded in the next one: name an audit log", r->folder);
}

/* A log that somebody writes is not lost. */
static lk_status leave(change *c, lk_error *error) {
  const lk_rebinding *r = c->asked;
  if (!leaves(r)) return LK_OK;
  lk_status status = lk_kept_log_anchor(r->folder, r->from->audit, &c->seen, error);
  if (status != LK_OK) return status;
  c->moved = c->joined != NULL && strcmp(c->seen->seen.log, lk_audit_log_id(c->joined)) == 0;
  if (c->moved) return lk_audit_meet(c->joined, c->seen, error);
  status = open_log(c, r->from, false, &c->left, error);
  c->is_lost = r->lost && status != LK_OK && status != LK_EBUSY && status != LK_ENOMEM;
  return c->is_lost ? LK_OK : status;
}

static lk_status append(const change *c, lk_audit *audit, lk_audit_type type, const lk_audit *other, lk_error *error) {
  const lk_rebinding *r = c->asked;
  lk_audit_record record = {.type = type, .gallery = lk_text_of(r->name), .epoch = r->epoch, .threshold = -INFINITY};
  if (r->to->policy != NULL) record.file = lk_text_of(r->to->policy);
  if (other != NULL) record.other = lk_text_of(lk_audit_log_id(other));
  lk_status status = lk_audit_append(audit, &record, NULL, error);
  return status == LK_OK ? lk_audit_commit(audit, error) : status;
}

/* Commits what the gallery leaves before what it joins: a failure between them leaves no log that claims it alone. */
static lk_status record(const change *c, lk_error *error) {
  lk_status status = LK_OK;
  if (c->left != NULL) status = append(c, c->left, LK_AUDIT_UNBOUND, c->joined, error);
  if (status == LK_OK && c->is_lost) status = lk_kept_log_lose(c->joined, c->seen, error);
  if (status == LK_OK && c->joined != NULL) status = append(c, c->joined, LK_AUDIT_BOUND, c->left, error);
  return status;
}

static lk_status end(lk_audit *audit, lk_status status, lk_error *error) {
  lk_status closed = lk_audit_close(audit, status == LK_OK ? error : NULL);
  return status == LK_OK ? closed : status;
}

lk_status lk_rebind(const lk_rebinding *rebinding, lk_error *error) {
  change c = {.asked = rebinding};
  lk_status status = join(&c, error);
  if (status == LK_OK) status = leave(&c, error);
  if (status == LK_OK) status = record(&c, error);
  status = end(c.left, status, error);
  status = end(c.joined, status, error);
  lk_anchor_close(c.seen);
  return status;
}
