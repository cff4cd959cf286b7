/* The parts of a policy, shared by the files that parse, decide and explain it. */
#ifndef GOVERNANCE_POLICY_RULE_H
#define GOVERNANCE_POLICY_RULE_H

#include <likeness/policy.h>
#include "base/yaml.h"
#include "governance/policy/word.h"

/* The claims of a request by which a rule may select. */
typedef enum lk_claim { LK_CLAIM_PURPOSE, LK_CLAIM_ACTOR, LK_CLAIM_JURISDICTION, LK_CLAIM_GALLERY, LK_CLAIMS } lk_claim;

typedef struct lk_patterns {
  lk_text *of;
  uint32_t count; /* 0: any value matches */
} lk_patterns;

typedef struct lk_scope {
  uint32_t operations; /* bits 1 << lk_operation; 0: any */
  lk_patterns claims[LK_CLAIMS];
} lk_scope;

enum lk_require {
  LK_REQUIRE_PURPOSE = 1,
  LK_REQUIRE_ACTOR = 2,
  LK_REQUIRE_SIGNATURE = 4,
  LK_REQUIRE_JURISDICTION = 8,
  LK_REQUIRE_CASE = 16,
  LK_REQUIRE_AUTHORISATION = 32
};

typedef struct lk_rule {
  lk_policy_rule shown;
  lk_scope scope;
  lk_scope except;
  bool has_except;
  int64_t from_ms, until_ms; /* INT64_MIN, INT64_MAX: no limit */
  bool says_until;           /* also of a rule that says it has none */
  uint32_t require;          /* bits of lk_require */
  uint32_t grace_hours;
  float min_score; /* -INFINITY: none */
  double max_fmr;  /* 0: none */
  lk_score_detail detail;
  uint32_t subject_probes_per_hour;                          /* LK_POLICY_NO_LIMIT: none */
  uint32_t max_candidates, probes_per_case, retention_hours; /* LK_POLICY_NO_LIMIT: none */
} lk_rule;

typedef struct lk_policy_actor_key {
  lk_text actor;
  uint8_t key[LK_POLICY_KEY_SIZE];
} lk_policy_actor_key;

/* The bytes of a normalised word. */
typedef struct lk_kept_word {
  struct lk_kept_word *older;
  char bytes[];
} lk_kept_word;

struct lk_policy {
  lk_yaml tree;        /* owns the bytes of all texts, */
  lk_kept_word *words; /* and these those of the words that requests are compared with */
  lk_text name;
  lk_text deployment; /* "": none, and then no keys */
  uint32_t signature_minutes;
  uint8_t hash[LK_POLICY_HASH_SIZE];
  lk_rule *rules;
  lk_policy_actor_key *keys;
  lk_patterns known[LK_CLAIMS]; /* the words that a request may use; none: any */
  uint32_t rules_count, keys_count;
  uint32_t refused_line; /* at which reading failed; 0: at none */
};

/* As lk_policy_open. `line` receives the number of the faulty line, from 1; 0 on success or when no line is at fault.
 */
lk_status lk_policy_open_at(const char *path, lk_policy **policy, uint32_t *line, lk_error *error);

/* Reads policy->tree into the policy. The caller closes the policy, on failure too. */
lk_status lk_policy_read(const char *name, lk_policy *policy, lk_error *error);

/* Why a rule applies to a request at a given time, or does not. */
typedef enum lk_match_kind {
  LK_MATCH_ALL,     /* applies: every selector matches */
  LK_MATCH_UNSAID,  /* the request does not give `claim`: a forbid applies, a permit does not */
  LK_MATCH_NOT_YET, /* from here on: does not apply */
  LK_MATCH_OVER,
  LK_MATCH_OPERATION,
  LK_MATCH_CLAIM, /* `claim` matches no pattern */
  LK_MATCH_EXCEPTED,
  LK_MATCH_MAYBE_EXCEPTED /* a permit with an exception by `claim`, which the request does not give */
} lk_match_kind;

typedef struct lk_match {
  bool applies;
  lk_match_kind kind;
  lk_claim claim;
} lk_match;

lk_match lk_rule_match(const lk_rule *rule, const lk_policy_request *request, int64_t now_ms);
lk_text lk_request_claim(const lk_policy_request *request, lk_claim claim);
const char *lk_claim_name(lk_claim claim);

/* Whether the text matches the pattern, in which * stands for any bytes or none. */
bool lk_pattern_matches(lk_text pattern, lk_text text);

/* The span [*since_ms, *until_ms) around `now_ms` in which no rule begins or ends. A decision that is made in it holds
 * throughout it, unless a grace ends. */
void lk_policy_span(const lk_policy *policy, uint64_t now_ms, uint64_t *since_ms, uint64_t *until_ms);

/* A request with its words as they are compared; it points into itself. */
typedef struct lk_worded {
  lk_policy_request request;
  lk_word words[LK_CLAIMS + 2];
  const char *fault; /* what is wrong with the word of `name`; NULL: nothing is */
  const char *name;
} lk_worded;

void lk_policy_word(const lk_policy_request *request, lk_worded *worded);

/* Whether the request may use its words; if not, `claim` receives the first that the policy does not list. */
bool lk_policy_knows(const lk_policy *policy, const lk_policy_request *request, lk_claim *claim);

/* Return LK_EPOLICY and write the reason for a refusal. `decision`: of a rule, or because there is none; then also what
 * the request does not say and rules select by. `request`: with its words as they are compared. */
lk_status lk_policy_refuse(const lk_policy *policy, const lk_policy_request *request, int64_t now_ms,
                           const lk_policy_decision *decision, lk_error *error);
lk_status lk_policy_refuse_word(const lk_policy *policy, const lk_policy_request *request, lk_claim claim,
                                lk_error *error);

#endif
