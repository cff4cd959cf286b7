/* The audit log records requests, decisions and releases, so that any later change of a record can be detected.
 * docs/audit.md describes its format, what it proves and what it does not.
 *
 * A log is a folder of files that one writer appends to; each record carries the hash of the record before it. A record
 * has only the members below: it never holds a template, a candidate's score, a key or a subject.
 * A record counts once it is committed: append any number, commit once, then release results. After a write error every
 * call returns LK_EIO until the log is opened again.
 * Threads: any thread may call; calls take turns. */
#ifndef LIKENESS_AUDIT_H
#define LIKENESS_AUDIT_H

#include <likeness/api.h>
#include <likeness/status.h>
#include <likeness/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The types and their names in the file. Only the log itself writes the last four. */
#define LK_AUDIT_TYPE_MAP(X)                                              \
  X(POLICY_LOADED, "policy_loaded")   /* file, policy */                  \
  X(POLICY_REFUSED, "policy_refused") /* file, line: an invalid policy */ \
  X(DECISION, "decision")             /* before an operation */           \
  X(RESULT, "result")                 /* of a search: counts only */      \
  X(ENROLL, "enroll")                 /* these: a completed operation */  \
  X(DELETE, "delete")                                                     \
  X(TAG, "tag")                                                           \
  X(EXPIRE, "expire")                                                     \
  X(ERASE, "erase")                                                       \
  X(EXPORT, "export")                                                     \
  X(EVALUATE, "evaluate")                                                 \
  X(BOUND, "bound")     /* a gallery joins, or is bound anew */           \
  X(UNBOUND, "unbound") /* a gallery leaves this log */                   \
  X(LOST, "lost")       /* what a gallery saw is not there */             \
  X(OPENED, "opened")                                                     \
  X(HEAD, "head")                                                         \
  X(ROTATED, "rotated")                                                   \
  X(CLOSED, "closed")

typedef enum lk_audit_type {
#define LK_AUDIT_TYPE_ENUM(name, text) LK_AUDIT_##name,
  LK_AUDIT_TYPE_MAP(LK_AUDIT_TYPE_ENUM)
#undef LK_AUDIT_TYPE_ENUM
      LK_AUDIT_TYPES
} lk_audit_type;

/* "decision", ...: static. */
LK_API const char *lk_audit_type_name(lk_audit_type type);

enum { LK_AUDIT_RULES_MAX = 32 };

/* The content of a record. Each type has the members that docs/audit.md lists; the others must be empty. Texts are
 * UTF-8 of up to LK_TEXT_MAX bytes without control characters. */
typedef struct lk_audit_record {
  lk_audit_type type;
  uint64_t time_ms; /* Unix time; 0: now, by this machine's clock */
  lk_text id;       /* of the decision; records that follow from it carry the same id */
  lk_text operation, purpose, actor, jurisdiction, case_id, authorisation;
  lk_text gallery, model;
  lk_text policy;      /* its hash */
  lk_text file;        /* the policy's */
  lk_text other;       /* the id of another log: the one left, joined or lost */
  lk_text signed_hash; /* SHA-256 of what the actor signed, in hex, if it counts only once */
  lk_text entry;       /* the entry of the queue that brought it */
  lk_text narrowing;   /* what a search was confined by: "none", "subject", "tags", "keys+tags", ... */
  lk_text probes_hash, filter_hash, reply_hash; /* in hex; docs/audit.md says of what */
  lk_text reason;                               /* why it was refused or withheld: the name of a status */
  lk_text rules[LK_AUDIT_RULES_MAX];
  uint32_t rules_count;
  bool authenticated; /* the actor was authenticated; else only asserted */
  bool permitted;
  bool released;   /* else withheld */
  float threshold; /* -INFINITY for none */
  uint64_t cap, epoch, searched, total, probes, candidates, templates, line;
  uint64_t seen; /* the last record of a lost log that a gallery has seen */
} lk_audit_record;

typedef struct lk_audit lk_audit;

typedef struct lk_audit_options {
  const char *key_file;      /* the secret key that signs heads; NULL: none. A log never changes its key */
  uint64_t file_bytes;       /* a new file begins once a file has this size; 0: 64 MiB */
  uint64_t head_interval_ms; /* a commit this long after the last head makes a new one; 0: only lk_audit_head does */
} lk_audit_options;

/* Opens the log in `folder` and appends `opened`; creates the folder if it does not exist (its parent must). A new
 * folder has the mode 0700; its files have 0600, or 0640 where the folder's group may read. Verifies the log from the
 * beginning of its last file. Cuts off an incomplete last record and writes the number of cut bytes into `opened`.
 * LK_EBUSY: the log has a writer. LK_ECORRUPT names anything else that does not verify. LK_EINVAL: the key is not the
 * log's key, or other users have access to the key file. LK_EFORMAT: not a key file, or not a regular file. LK_EIO. */
LK_API lk_status lk_audit_open(const char *folder, const lk_audit_options *options, lk_audit **audit, lk_error *error);

/* How many bytes lk_audit_open cut off. */
LK_API uint64_t lk_audit_cut_bytes(const lk_audit *audit);

/* `sequence` (may be NULL) receives the record's number, from 1. LK_EINVAL: the type does not have a member, or a
 * member is invalid; the log is unchanged. LK_EIO. */
LK_API lk_status lk_audit_append(lk_audit *audit, const lk_audit_record *record, uint64_t *sequence, lk_error *error);

/* On LK_OK every appended record survives a power cut, in the file that the path given to lk_audit_open leads to: a
 * relative path must still mean the same. LK_EIO: it failed, or the file was deleted, replaced, cut, or written to by
 * another. */
LK_API lk_status lk_audit_commit(lk_audit *audit, lk_error *error);

enum { LK_AUDIT_HEAD_MAX = 512 };

/* Commits, and writes a head over all records so far into `head`: one line of JSON, terminated. If the head is kept
 * where the log's owner cannot change it, it proves later that these records are complete. If the log has a key, the
 * head is signed and committed as a record too. LK_EIO. */
LK_API lk_status lk_audit_head(lk_audit *audit, char head[LK_AUDIT_HEAD_MAX], lk_error *error);

/* Writes the last head that lk_audit_head or a commit made and returns the number of the last record that it covers; 0:
 * there is no head yet. */
LK_API uint64_t lk_audit_latest_head(lk_audit *audit, char head[LK_AUDIT_HEAD_MAX]);

/* Appends `closed` and, with a key, a head; commits; closes the log, on failure too. LK_EIO: these records may be
 * missing. NULL is allowed. */
LK_API lk_status lk_audit_close(lk_audit *audit, lk_error *error);

typedef struct lk_audit_report {
  char log[33];         /* the log's id */
  char key[65];         /* its public key; "": none */
  char hash[65];        /* of the last record */
  uint64_t first, last; /* numbers of the first and the last record */
  uint64_t last_time_ms;
  uint32_t files;
  uint64_t heads, signed_to; /* the number of signed heads; the last record that one of them covers */
  uint64_t cuts;             /* how often an open cut off an incomplete record */
  bool closed;               /* the last writer closed the log */
} lk_audit_report;

/* Verifies the log in the folder `path`, or the single file `path`. `head` (may be NULL) is the text of a head that the
 * log must contain. `key_file` (may be NULL) holds the public key that must have signed the log's heads and `head`.
 * LK_ECORRUPT names file, line, offset and fault; or the key did not sign the head, or the head belongs to another log
 * or covers records that are missing. LK_EFORMAT: `head` is not a head, or `key_file` not a key. LK_ENOTFOUND: there is
 * no log, or the head covers only records before this file. LK_EIO. */
LK_API lk_status lk_audit_verify(const char *path, const char *head, const char *key_file, lk_audit_report *report,
                                 lk_error *error);

/* Verifies the log and writes a head over all of it, signed if `key_file` (may be NULL) gives the secret key. Errors as
 * above; LK_EINVAL: other users have access to the key. */
LK_API lk_status lk_audit_head_of(const char *path, const char *key_file, char head[LK_AUDIT_HEAD_MAX],
                                  lk_error *error);

#ifdef __cplusplus
}
#endif

#endif
