/* The state of a log after a record, and the check that the next record follows it. */
#ifndef GOVERNANCE_AUDIT_CHAIN_H
#define GOVERNANCE_AUDIT_CHAIN_H

#include "governance/audit/record.h"

typedef struct lk_audit_chain {
  uint64_t sequence;       /* of the last record; 0: no record yet */
  char hash[LK_AUDIT_HEX]; /* its hash; zeros before the first */
  char log[LK_AUDIT_LOG_HEX], key[LK_AUDIT_HEX];
  bool at_start;    /* the next record is the first of its file */
  bool anchored;    /* false: the next record's number and `previous` are taken on trust */
  uint64_t time_ms; /* of the last record */
  lk_audit_type type;
  bool is_closed;                  /* only heads follow the last `closed` */
  uint64_t heads, signed_to, cuts; /* as in lk_audit_report */
} lk_audit_chain;

/* The state before the first record. `anchored`: of a log; false: of a file that is read alone. */
lk_audit_chain lk_audit_chain_start(bool anchored);

/* Called after each record that follows; `chain` includes the record. An error ends the read and is returned. */
typedef lk_status lk_audit_visit(void *context, const lk_audit_chain *chain, const char *line, size_t length,
                                 lk_error *error);

/* Checks the next record and moves on over it. LK_ECORRUPT: it does not follow; the chain is unchanged. */
lk_status lk_audit_chain_take(lk_audit_chain *chain, const char *line, size_t length, lk_error *error);

/* Takes the records of one file's bytes. `whole` receives the number of bytes in whole lines that were taken; an
 * incomplete last line is not taken and is no error. `visit` may be NULL. LK_ECORRUPT names line and offset. */
lk_status lk_audit_chain_read(lk_audit_chain *chain, const char *name, const char *data, size_t size, size_t *whole,
                              lk_audit_visit *visit, void *context, lk_error *error);

/* Moves on over a record that lk_audit_encode wrote with this hash, without checks. */
void lk_audit_chain_move(lk_audit_chain *chain, const lk_audit_entry *entry, const char *hash);

#endif
