/* Reads a log from one end to the other, as one chain. */
#ifndef GOVERNANCE_AUDIT_VERIFY_H
#define GOVERNANCE_AUDIT_VERIFY_H

#include "governance/audit/chain.h"

/* lk_audit_verify, with each record shown to `visit` (may be NULL) once it has been found to follow. */
lk_status lk_audit_read(const char *path, const char *head, const char *key_file, lk_audit_visit *visit, void *context,
                        lk_audit_report *report, lk_error *error);

#endif
