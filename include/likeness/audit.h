/* The audit log: what was asked, decided and released, in records that cannot be edited unseen. docs/audit.md has its
 * form, what it proves and what it does not.
 *
 * A log is a folder of files that one writer appends to; each record carries the hash of the one before it. The writer
 * takes the fields below and nothing else: no template, score, key or subject has a place in it.
 * Records count once they are committed: append any number, commit once, then let results leave. A log that fails to
 * be written refuses everything until it is opened again: LK_EIO.
 * Threads: any may call; they take turns. */
#ifndef LIKENESS_AUDIT_H
#define LIKENESS_AUDIT_H

#include <likeness/api.h>
#include <likeness/status.h>
#include <likeness/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Names in the file. The log itself writes the last four. */
#define LK_AUDIT_TYPE_MAP(X)                                                \
  X(POLICY_LOADED, "policy_loaded")   /* file, policy */                    \
  X(POLICY_REFUSED, "policy_refused") /* file, line: it is broken */        \
  X(DECISION, "decision")             /* before an operation */             \
  X(RESULT, "result")                 /* of a search: counts only */        \
  X(ENROLL, "enroll")                 /* these five: done, by `decision` */ \
  X(DELETE, "delete")                                                       \
  X(ERASE, "erase")                                                         \
  X(EXPORT, "export")                                                       \
  X(EVALUATE, "evaluate")                                                   \
  X(OPENED, "opened")                                                       \
  X(HEAD, "head")                                                           \
  X(ROTATED, "rotated")                                                     \
  X(CLOSED, "closed")

typedef enum lk_audit_type {
#define LK_AUDIT_TYPE_ENUM(name, text) LK_AUDIT_##name,
  LK_AUDIT_TYPE_MAP(LK_AUDIT_TYPE_ENUM)
#undef LK_AUDIT_TYPE_ENUM
      LK_AUDIT_TYPES
} lk_audit_type;

/* "decision", ...; lives for ever. */
LK_API const char *lk_audit_type_name(lk_audit_type type);

enum { LK_AUDIT_RULES_MAX = 32 };

/* What a record can say. Each type has the members that docs/audit.md lists; the others are left empty. Texts are as
 * keys are: UTF-8, up to LK_TEXT_MAX bytes, no control characters. */
typedef struct lk_audit_record {
  lk_audit_type type;
  uint64_t time_ms; /* Unix time; 0: now, by this machine's clock */
  lk_text id;       /* the decision's; what follows from it carries the same */
  lk_text operation, purpose, actor, jurisdiction, case_id, authorisation;
  lk_text gallery, model;
  lk_text policy; /* its hash */
  lk_text file;   /* the policy's */
  lk_text rules[LK_AUDIT_RULES_MAX];
  uint32_t rules_count;
  bool authenticated; /* the actor; else only asserted */
  bool permitted;
  bool released;   /* else withheld */
  float threshold; /* -INFINITY for none */
  uint64_t cap, epoch, searched, total, probes, candidates, templates, line;
} lk_audit_record;

typedef struct lk_audit lk_audit;

typedef struct lk_audit_options {
  const char *key_file;      /* the secret key that signs heads; NULL for none. A log has one key, or none, for ever */
  uint64_t file_bytes;       /* a file that has grown to this is the last but one; 0: 64 MiB */
  uint64_t head_interval_ms; /* a commit after this long signs a head; 0: only lk_audit_head does */
} lk_audit_options;

/* Opens the log in `folder`, which is made where there is none (its parent must exist), and appends `opened`. What is
 * there is verified from the beginning of its last file. A record that was torn in the middle of being written is cut
 * off, and `opened` says how many bytes. LK_EBUSY: it has a writer. LK_ECORRUPT names what else does not verify.
 * LK_EINVAL: another key than the log's, or a key file that others may read. LK_EFORMAT: no key. LK_EIO. */
LK_API lk_status lk_audit_open(const char *folder, const lk_audit_options *options, lk_audit **audit, lk_error *error);

/* Bytes that opening cut off. */
LK_API uint64_t lk_audit_cut_bytes(const lk_audit *audit);

/* LK_EINVAL: a member that the type does not have, or a text that is none; the log is as before. LK_EIO. `sequence`
 * (may be NULL) receives the record's number, from 1. */
LK_API lk_status lk_audit_append(lk_audit *audit, const lk_audit_record *record, uint64_t *sequence, lk_error *error);

/* On LK_OK all that was appended would survive a power cut. LK_EIO. */
LK_API lk_status lk_audit_commit(lk_audit *audit, lk_error *error);

enum { LK_AUDIT_HEAD_MAX = 512 };

/* Commits, and writes a head over all records so far into `head`: one line of JSON, terminated. Kept where the log's
 * owner cannot reach it, it proves later that they are all there. A record of it is committed too where the log has a
 * key; without one the head is not signed. LK_EIO. */
LK_API lk_status lk_audit_head(lk_audit *audit, char head[LK_AUDIT_HEAD_MAX], lk_error *error);

/* The last head that lk_audit_head or a commit made, and the number of the last record that it covers; 0: none yet. */
LK_API uint64_t lk_audit_latest_head(lk_audit *audit, char head[LK_AUDIT_HEAD_MAX]);

/* Appends `closed` and, with a key, a head; commits; closes whatever comes of it. LK_EIO: they may be missing. */
LK_API lk_status lk_audit_close(lk_audit *audit, lk_error *error);

typedef struct lk_audit_report {
  char log[33];         /* the log's id */
  char key[65];         /* its public key; "" for none */
  char hash[65];        /* of the last record */
  uint64_t first, last; /* the numbers of the first and last record */
  uint64_t last_time_ms;
  uint32_t files;
  uint64_t heads, signed_to; /* signed heads in it, and the last record that one of them covers */
  uint64_t cuts;             /* how often opening it cut a torn record off */
  bool closed;
} lk_audit_report;

/* Verifies the log in the folder `path`, or the one file. `head` (may be NULL): a head's text, which it must contain.
 * `key_file` (may be NULL): the public key that must have signed its heads, and `head`. LK_ECORRUPT names file, line,
 * offset and what is wrong; or the head is not signed by the key, is of another log, or of records that are gone.
 * LK_EFORMAT: no head, no key. LK_ENOTFOUND: no log there, or the head is of records before this file. LK_EIO. */
LK_API lk_status lk_audit_verify(const char *path, const char *head, const char *key_file, lk_audit_report *report,
                                 lk_error *error);

/* Verifies, and writes a head over all of it; signed where the secret key is given. Errors as above. */
LK_API lk_status lk_audit_head_of(const char *path, const char *key_file, char head[LK_AUDIT_HEAD_MAX],
                                  lk_error *error);

#ifdef __cplusplus
}
#endif

#endif
