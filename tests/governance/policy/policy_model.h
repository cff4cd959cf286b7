/* Random policies and requests, as plain data, and a slow evaluator of them that was written from docs/policy.md alone:
 * it shares neither structures nor functions with index/policy*. */
#ifndef TESTS_GOVERNANCE_POLICY_POLICY_MODEL_H
#define TESTS_GOVERNANCE_POLICY_POLICY_MODEL_H

#include <stdio.h>

#include <likeness/policy.h>
#include "tests/support/random.h"

enum { MODEL_RULES = 8, MODEL_WORDS = 3, MODEL_TEXT = 32, MODEL_SELECTORS = 4 };

/* A list of words; absent where `given` is not set. */
typedef struct model_list {
  bool given;
  int count;
  char words[MODEL_WORDS][MODEL_TEXT];
} model_list;

/* By operation, and by purpose, actor, jurisdiction and gallery. */
typedef struct model_scope {
  model_list operations;
  model_list selectors[MODEL_SELECTORS];
} model_scope;

typedef struct model_instant {
  bool given, date_only;
  int year, month, day, hour, minute, second, millisecond; /* local, */
  int offset_minutes;                                      /* this far east of UTC */
} model_instant;

typedef struct model_rule {
  bool forbid, has_except, until_null;
  model_scope scope, except;
  model_instant from, until;
  bool purpose, actor, signature, jurisdiction, case_id, authorisation; /* required */
  bool authorisation_block, keeps; /* the block says on_refusal: keep, which is the default */
  int grace_hours;                 /* -1: not given; likewise below */
  int max_candidates, probes_per_case, subject_probes, retention_hours;
  bool has_min_score, has_max_fmr, decision_only;
  int decimals;
  char min_score[MODEL_TEXT], max_fmr[MODEL_TEXT];
} model_rule;

typedef struct model_policy {
  int rules_count;
  model_rule rules[MODEL_RULES];
  bool words[MODEL_SELECTORS]; /* whether it lists the words that its rules have */
} model_policy;

/* Texts with a NUL; what is empty was not said. */
typedef struct model_request {
  int operation;
  char said[MODEL_SELECTORS][MODEL_TEXT];
  char model[MODEL_TEXT], case_id[MODEL_TEXT], authorisation[MODEL_TEXT];
  bool actor_signed, granted;
  int64_t pending_since_ms; /* 0: not said */
  lk_metric metric;
  uint32_t k, probes;
  uint64_t case_probes;
  float threshold;
} model_request;

typedef struct model_decision {
  bool permitted;
  lk_policy_cause cause;
  int refused_by;            /* -1: no rule */
  bool decided[MODEL_RULES]; /* the rules that decided */
  float threshold;
  int decimals; /* -1: exact */
  bool decision_only;
  uint32_t k, subject_probes, retention_hours;
  int64_t grace_until_ms;
} model_decision;

void model_draw_policy(random_state *random, model_policy *policy);
void model_draw_request(random_state *random, model_request *request);
/* In one of the many ways of writing it. */
void model_write(random_state *random, const model_policy *policy, FILE *file);
/* Whether the policy lists the words of this selector: it has some. */
bool model_lists(const model_policy *policy, int selector);
/* By timegm. */
int64_t model_instant_ms(const model_instant *instant);

/* What models "m1" and "m2" have in these tests; others have none, "nan" one that is not a number. */
bool model_calibration(const void *context, lk_text model, double max_fmr, float *threshold);

void model_decide(const model_policy *policy, const model_request *request, int64_t now_ms, bool calibrated,
                  model_decision *decision);

#endif
