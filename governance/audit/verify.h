/* Reads and verifies a whole log as one chain. */
#ifndef GOVERNANCE_AUDIT_VERIFY_H
#define GOVERNANCE_AUDIT_VERIFY_H

#include "governance/audit/chain.h"

/* As lk_audit_verify; also calls `visit` (may be NULL) with each record after its check. */
lk_status lk_audit_read(const char *path, const char *head, const char *key_file, lk_audit_visit *visit, void *context,
                        lk_audit_report *report, lk_error *error);

#endif
