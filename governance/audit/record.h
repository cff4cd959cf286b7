/* Encodes a record of the audit log as a line of its file, and decodes it. The line is canonical: a record has only
 * one. */
#ifndef GOVERNANCE_AUDIT_RECORD_H
#define GOVERNANCE_AUDIT_RECORD_H

#include <stddef.h>

#include <likeness/audit.h>

enum {
  LK_AUDIT_VERSION = 1,
  LK_AUDIT_LINE_MAX = 40 << 10, /* bytes of a record's line, without the line feed */
  LK_AUDIT_HEX = 65,            /* bytes of a hash or key in hex, terminated */
  LK_AUDIT_LOG_HEX = 33,        /* the same for a log's id */
};

/* A record with the members that the log itself adds. */
typedef struct lk_audit_entry {
  lk_audit_record record;
  uint64_t sequence;
  lk_text previous; /* hash of the record before this one */
  lk_text log, key, signature;
  uint64_t version, cut;
  void *memory; /* owns the texts of a decoded entry */
} lk_audit_entry;

/* Computes the hash of the record with this line, which follows the record with the hash `previous`. The line's own
 * `_hash` member is left out. The line must be long enough to hold that member. */
void lk_audit_hash(const char *previous, const char *line, size_t length, char hash[LK_AUDIT_HEX]);

/* Writes the entry's line without a line feed, of LK_AUDIT_LINE_MAX bytes at most, and its hash. LK_EINVAL names a
 * member that is invalid or that the type does not have. */
lk_status lk_audit_encode(const lk_audit_entry *entry, char *line, size_t *length, char hash[LK_AUDIT_HEX],
                          lk_error *error);

/* Decodes a line; the caller frees the entry on LK_OK. The line need not be canonical: only a comparison with that of
 * lk_audit_encode shows whether it is. LK_EFORMAT. */
lk_status lk_audit_decode(const char *line, size_t length, lk_audit_entry *entry, lk_error *error);
void lk_audit_entry_free(lk_audit_entry *entry);

/* The line's own `_hash`, of 64 digits, not terminated. NULL: the line does not begin like a record. */
const char *lk_audit_line_hash(const char *line, size_t length);

#endif
