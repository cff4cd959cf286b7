/* What a governance must know of the past, read from its audit log: the probes of each case, and the signed jobs. */
#ifndef GOVERNANCE_RECALL_H
#define GOVERNANCE_RECALL_H

#include <likeness/status.h>
#include "governance/audit/anchor.h"
#include "governance/cases.h"
#include "governance/seen.h"

/* Adds the probes of all permitted requests, and the signed jobs whose signatures were accepted for `valid_ms` before
 * the last record. Notes which of `anchors` (may be NULL) have seen a record of this log. Errors as of
 * lk_audit_verify. */
lk_status lk_recall(const char *audit, uint64_t valid_ms, lk_cases *cases, lk_seen *seen, lk_anchor *anchors,
                    lk_error *error);

#endif
