/* The audit log of galleries that keep what they have seen of it: each has an anchor (governance/audit/anchor.h) in its
 * folder for each place where a log of it lies. */
#ifndef GOVERNANCE_KEPT_LOG_H
#define GOVERNANCE_KEPT_LOG_H

#include "governance/audit/log.h"
#include "governance/cases.h"
#include "governance/seen.h"

typedef struct lk_kept_log {
  const char *folder;         /* of the log */
  const char *key;            /* the secret key that signs its heads; NULL: none */
  const char *const *keepers; /* folders of galleries */
  uint32_t keepers_count;
  bool lost; /* a person says so: a log that is not the one that was seen is recorded as `lost`, not refused */
} lk_kept_log;

/* Opens the log, checks it against the keepers' anchors, reads the cases and signed jobs of its past
 * (governance/recall.h) and has the anchors follow its end. LK_ECORRUPT: it is not the log that a keeper has seen, or
 * not all of it. Other errors as of lk_audit_open and lk_recall. */
lk_status lk_kept_log_open(const lk_kept_log *log, uint64_t valid_ms, lk_cases *cases, lk_seen *seen, lk_audit **audit,
                           lk_error *error);

/* One more keeper, of the log `folder` that is open. Errors as above. */
lk_status lk_kept_log_join(lk_audit *audit, const char *folder, const char *keeper, lk_error *error);

/* Reads what `keeper` has seen of the log at `folder`. */
lk_status lk_kept_log_anchor(const char *keeper, const char *folder, lk_anchor **anchor, lk_error *error);

/* Removes the anchor of a gallery that was not made after all. */
void lk_kept_log_forget(const char *keeper, const char *folder);

/* Appends that what the anchor has seen is lost. */
lk_status lk_kept_log_lose(lk_audit *audit, const lk_anchor *anchor, lk_error *error);

#endif
