/* A record of the audit log as a line of its file, and back. The line is canonical: one record has one form. */
#ifndef GOVERNANCE_AUDIT_RECORD_H
#define GOVERNANCE_AUDIT_RECORD_H

#include <stddef.h>

#include <likeness/audit.h>

enum {
  LK_AUDIT_VERSION = 1,
  LK_AUDIT_LINE_MAX = 36 << 10, /* no record's line, without its end, is longer */
  LK_AUDIT_HEX = 65,            /* a hash or a key */
  LK_AUDIT_LOG_HEX = 33,
};

/* A record with what the log itself puts into it. */
typedef struct lk_audit_entry {
  lk_audit_record record;
  uint64_t sequence;
  lk_text previous; /* hash of the record before it */
  lk_text log, key, signature;
  uint64_t version, cut;
  void *memory; /* of an entry that was decoded: where its texts are */
} lk_audit_entry;

/* Hash of the record whose line is `line`, after the record with the hash `previous`. The line's own hash is no part
 * of it. The line has a hash's length at least. */
void lk_audit_hash(const char *previous, const char *line, size_t length, char hash[LK_AUDIT_HEX]);

/* Writes the entry's line, of LK_AUDIT_LINE_MAX bytes at most, and its hash. LK_EINVAL names the member that is wrong
 * or does not belong there. */
lk_status lk_audit_encode(const lk_audit_entry *entry, char *line, size_t *length, char hash[LK_AUDIT_HEX],
                          lk_error *error);

/* Reads a line. It may still be another than the one that lk_audit_encode makes of the entry. LK_EFORMAT. */
lk_status lk_audit_decode(const char *line, size_t length, lk_audit_entry *entry, lk_error *error);
void lk_audit_entry_free(lk_audit_entry *entry);

/* The hash that the line says it has. NULL: it does not begin as a record does. */
const char *lk_audit_line_hash(const char *line, size_t length);

#endif
