/* What the log offers to governance beside likeness/audit.h: anchors. */
#ifndef GOVERNANCE_AUDIT_LOG_H
#define GOVERNANCE_AUDIT_LOG_H

#include <likeness/audit.h>
#include "governance/audit/anchor.h"

/* As lk_audit_open. Before anything is made or written, the log's end is checked against `seen` (may be NULL), as of
 * lk_anchor_check_end: a log that was seen is not begun anew. */
lk_status lk_audit_open_seen(const char *folder, const lk_audit_options *options, const lk_anchor *seen,
                             lk_audit **audit, lk_error *error);

/* Closes a log that was refused, without a record and without a head that would vouch for it. NULL is allowed. */
void lk_audit_abandon(lk_audit *audit);

/* The log's id. */
const char *lk_audit_log_id(const lk_audit *audit);

/* Reads the log, if need be, and checks that it has what `anchor` has seen. LK_ECORRUPT. LK_EIO. */
lk_status lk_audit_meet(lk_audit *audit, lk_anchor *anchor, lk_error *error);

/* Commits, and has the anchors of this list hold the log's end, from now on after each commit, until the log is closed;
 * a list replaces anchors with the same paths. Takes the list over, on failure too. LK_EIO. */
lk_status lk_audit_keep(lk_audit *audit, lk_anchor *list, lk_error *error);

#endif
