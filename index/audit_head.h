/* Heads: what a log was at a moment, signed; and the keys that sign them. */
#ifndef INDEX_AUDIT_HEAD_H
#define INDEX_AUDIT_HEAD_H

#include "index/audit_record.h"

/* What a head says. */
typedef struct lk_audit_mark {
  char log[LK_AUDIT_LOG_HEX];
  uint64_t sequence; /* of the last record that it covers */
  char hash[LK_AUDIT_HEX];
  uint64_t time_ms;
  char key[LK_AUDIT_HEX]; /* "" where it is not signed */
  char signature[129];
} lk_audit_mark;

typedef struct lk_audit_key {
  char public_hex[LK_AUDIT_HEX]; /* "": none */
  unsigned char secret[64];      /* zeros where only the public part was read */
} lk_audit_key;

/* Reads the secret key of a file that only its owner may read, or the public one. LK_EFORMAT, LK_EINVAL, LK_EIO. */
lk_status lk_audit_key_read_secret(const char *path, lk_audit_key *key, lk_error *error);
lk_status lk_audit_key_read_public(const char *path, lk_audit_key *key, lk_error *error);
void lk_audit_key_forget(lk_audit_key *key);

void lk_audit_mark_sign(lk_audit_mark *mark, const lk_audit_key *key);
bool lk_audit_mark_is_signed(const lk_audit_mark *mark);

/* A head's text; and back, where it is one. LK_EFORMAT. */
void lk_audit_mark_write(const lk_audit_mark *mark, char head[LK_AUDIT_HEAD_MAX]);
lk_status lk_audit_mark_parse(const char *head, lk_audit_mark *mark, lk_error *error);

#endif
