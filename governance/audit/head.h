/* Heads: what a log was at a moment, signed. */
#ifndef GOVERNANCE_AUDIT_HEAD_H
#define GOVERNANCE_AUDIT_HEAD_H

#include <likeness/signing_key.h>
#include "governance/audit/record.h"

/* What a head says. */
typedef struct lk_audit_mark {
  char log[LK_AUDIT_LOG_HEX];
  uint64_t sequence; /* of the last record that it covers */
  char hash[LK_AUDIT_HEX];
  uint64_t time_ms;
  char key[LK_AUDIT_HEX]; /* "" where it is not signed */
  char signature[129];
} lk_audit_mark;

void lk_audit_mark_sign(lk_audit_mark *mark, const lk_signing_key *key);
bool lk_audit_mark_is_signed(const lk_audit_mark *mark);

/* A head's text; and back, where it is one. LK_EFORMAT. */
void lk_audit_mark_write(const lk_audit_mark *mark, char head[LK_AUDIT_HEAD_MAX]);
lk_status lk_audit_mark_parse(const char *head, lk_audit_mark *mark, lk_error *error);

#endif
