/* Heads: signed statements of a log's last record at a time (docs/audit.md). */
#ifndef GOVERNANCE_AUDIT_HEAD_H
#define GOVERNANCE_AUDIT_HEAD_H

#include <likeness/signing_key.h>
#include "governance/audit/record.h"

/* The content of a head. */
typedef struct lk_audit_mark {
  char log[LK_AUDIT_LOG_HEX];
  uint64_t sequence; /* of the last record that it covers */
  char hash[LK_AUDIT_HEX];
  uint64_t time_ms;
  char key[LK_AUDIT_HEX]; /* "": not signed */
  char signature[129];
} lk_audit_mark;

/* Sets the mark's key and signature. */
void lk_audit_mark_sign(lk_audit_mark *mark, const lk_signing_key *key);
/* Whether the signature is a valid one of the mark's own key. */
bool lk_audit_mark_is_signed(const lk_audit_mark *mark);

/* Writes a mark as the text of a head, and parses such a text. LK_EFORMAT: it is not a head. */
void lk_audit_mark_write(const lk_audit_mark *mark, char head[LK_AUDIT_HEAD_MAX]);
lk_status lk_audit_mark_parse(const char *head, lk_audit_mark *mark, lk_error *error);

#endif
