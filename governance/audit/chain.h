/* Where a log stands after a record, and whether the next one follows. */
#ifndef GOVERNANCE_AUDIT_CHAIN_H
#define GOVERNANCE_AUDIT_CHAIN_H

#include "governance/audit/record.h"

typedef struct lk_audit_chain {
  uint64_t sequence;       /* of the last record; 0: none yet */
  char hash[LK_AUDIT_HEX]; /* its hash; zeros before the first */
  char log[LK_AUDIT_LOG_HEX], key[LK_AUDIT_HEX];
  bool at_start;    /* the next record is the first of its file */
  bool anchored;    /* false: the next record's number and `previous` are believed */
  uint64_t time_ms; /* of the last record */
  lk_audit_type type;
  bool is_closed; /* nothing but heads came after `closed` */
  uint64_t heads, signed_to, cuts;
} lk_audit_chain;

/* Before the first record of a log, or of a file whose log is not known yet. */
lk_audit_chain lk_audit_chain_start(bool anchored);

/* Called with each record that follows. */
typedef lk_status lk_audit_visit(void *context, const lk_audit_chain *chain, const char *line, size_t length,
                                 lk_error *error);

/* Takes the next record, where it follows. LK_ECORRUPT: it does not, and the chain is as it was. */
lk_status lk_audit_chain_take(lk_audit_chain *chain, const char *line, size_t length, lk_error *error);

/* Takes the records of one file's bytes. `whole` receives how many bytes are whole lines; what comes after them was
 * not taken. `visit` may be NULL. LK_ECORRUPT names line and offset. */
lk_status lk_audit_chain_read(lk_audit_chain *chain, const char *name, const char *data, size_t size, size_t *whole,
                              lk_audit_visit *visit, void *context, lk_error *error);

/* Moves on over a record that was written by lk_audit_encode with this hash. */
void lk_audit_chain_move(lk_audit_chain *chain, const lk_audit_entry *entry, const char *hash);

#endif
