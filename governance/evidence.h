/* What the audit log keeps of a search besides names and counts: hashes of its probes, of its filter and of its answer.
 * Whoever has one of them can show later that it is the one that was searched for, or that was released; the hashes
 * alone give neither a template nor a name. They are BLAKE2b of 32 bytes with the decision's id as the key: equal
 * probes of two decisions have different hashes. The id is in the log, so whoever reads the log can still guess a short
 * filter, such as one subject's name, and compare.
 *
 * Numbers are little-endian. Any thread may call. */
#ifndef GOVERNANCE_EVIDENCE_H
#define GOVERNANCE_EVIDENCE_H

#include <sodium.h>
#include <stdbool.h>

#include <likeness/status.h>
#include <likeness/types.h>

enum { LK_EVIDENCE_HEX = 65, LK_EVIDENCE_KIND = 32 };

/* The templates that a search is confined to. {0}: all. */
typedef struct lk_narrowing {
  uint64_t tags, mask;            /* as in lk_query */
  const lk_text *keys, *subjects; /* NULL: not by these */
  uint32_t keys_count, subjects_count;
  bool verifies; /* the only subject is that of a verification */
} lk_narrowing;

/* Which a verification is confined to; the subject must outlive it. */
static inline lk_narrowing lk_narrowing_to_subject(const lk_text *subject) {
  return (lk_narrowing){.subjects = subject, .subjects_count = 1, .verifies = true};
}

/* What a request is about. {0}: nothing that the log would keep. */
typedef struct lk_evidence {
  lk_status fault;     /* why it cannot be done, even if the policy permits it: LK_EDIM, ...; LK_OK: it can */
  const float *probes; /* as they are searched for; NULL: there are none */
  size_t floats;       /* of all probes */
  bool searches;       /* `narrowing` says in what */
  lk_narrowing narrowing;
} lk_evidence;

/* The same, as it is written down. A text is empty where there is nothing to say. */
typedef struct lk_evidence_text {
  char probes[LK_EVIDENCE_HEX], filter[LK_EVIDENCE_HEX];
  char narrowing[LK_EVIDENCE_KIND]; /* "none", "subject", "tags", "keys+tags", ... */
} lk_evidence_text;

void lk_evidence_write(const lk_evidence *evidence, const char *id, lk_evidence_text *text);

/* The hash of an answer: for each list its number of candidates, then of each its number and score. */
typedef struct lk_answer_hash {
  crypto_generichash_state state;
} lk_answer_hash;

void lk_answer_hash_start(lk_answer_hash *hash, const char *id);
void lk_answer_hash_list(lk_answer_hash *hash, uint32_t candidates);
void lk_answer_hash_candidate(lk_answer_hash *hash, uint64_t number, float score);
void lk_answer_hash_end(lk_answer_hash *hash, char hex[LK_EVIDENCE_HEX]);

#endif
