/* Policies: which operations are permitted, to whom, for what, where and when, and within which limits. The file and
 * the decision procedure are described in docs/policy.md.
 *
 * A policy never changes once it is open: any thread may decide with it. A decision is a pure function of the policy,
 * the request, the time and the calibration, so the same request decided again at release gives what holds then. */
#ifndef LIKENESS_POLICY_H
#define LIKENESS_POLICY_H

#include <stddef.h>

#include <likeness/api.h>
#include <likeness/status.h>
#include <likeness/types.h>

#ifdef __cplusplus
extern "C" {
#endif

#define LK_POLICY_RULES_MAX 256
#define LK_POLICY_HASH_SIZE 32 /* SHA-256 of the file's bytes */
#define LK_POLICY_KEY_SIZE 32  /* an Ed25519 public key */
#define LK_POLICY_NO_LIMIT UINT32_MAX

/* identify, verify, enroll, delete, export, evaluate */
typedef enum lk_operation {
  LK_OPERATION_IDENTIFY,
  LK_OPERATION_VERIFY,
  LK_OPERATION_ENROLL,
  LK_OPERATION_DELETE,
  LK_OPERATION_EXPORT,
  LK_OPERATION_EVALUATE,
  LK_OPERATIONS
} lk_operation;

/* "identify", ...; they live for ever. LK_EINVAL: the name is none of them. */
LK_API const char *lk_operation_name(lk_operation operation);
LK_API lk_status lk_operation_parse(lk_text name, lk_operation *operation, lk_error *error);

typedef enum lk_effect { LK_PERMIT, LK_FORBID } lk_effect;

typedef struct lk_policy lk_policy;

/* LK_EFORMAT names file, line, rule and field. LK_EIO. */
LK_API lk_status lk_policy_open(const char *path, lk_policy **policy, lk_error *error);
/* The same from memory, which need not outlive the call; `name` is for messages. */
LK_API lk_status lk_policy_parse(const char *name, const void *data, size_t size, lk_policy **policy, lk_error *error);
LK_API void lk_policy_close(lk_policy *policy); /* NULL closes nothing */

/* Texts live until the policy is closed. */
typedef struct lk_policy_stat {
  lk_text name;
  uint8_t hash[LK_POLICY_HASH_SIZE];
  uint32_t rules, keys;
} lk_policy_stat;
LK_API void lk_policy_stat_get(const lk_policy *policy, lk_policy_stat *stat);

typedef struct lk_policy_rule {
  lk_text id;
  lk_text text; /* why, for people */
  lk_effect effect;
} lk_policy_rule;

/* Rules are counted from 0, in the order of the file. */
LK_API lk_policy_rule lk_policy_rule_get(const lk_policy *policy, uint32_t rule);

/* The n-th (from 0) public key that the policy lists for this actor; NULL where there are no more. */
LK_API const uint8_t *lk_policy_key(const lk_policy *policy, lk_text actor, uint32_t n);

/* What is asked for. A text that the caller did not give is empty. */
typedef struct lk_policy_request {
  lk_operation operation;
  lk_text purpose, actor, jurisdiction, gallery, model;
  bool actor_signed; /* the request bears a good signature under a key of this actor; else the actor is only asserted */
  lk_text case_id;
  lk_text authorisation;      /* its id */
  bool authorisation_pending; /* applied for, not granted yet, */
  int64_t pending_since_ms;   /* since then */
  uint32_t k;                 /* candidates; may be LK_K_ALL */
  float threshold;            /* -INFINITY for none; not NaN */
  uint32_t probes;            /* in this request */
  uint64_t case_probes;       /* of earlier requests with this case */
} lk_policy_request;

/* The least score at which `model` has a false match rate of at most `max_fmr`, from a measured calibration; false
 * where it cannot say. Must be pure. */
typedef struct lk_policy_calibration {
  bool (*threshold)(const void *context, lk_text model, double max_fmr, float *threshold);
  const void *context;
} lk_policy_calibration;

/* Why a request is refused. */
typedef enum lk_policy_cause {
  LK_CAUSE_NONE, /* it is permitted */
  LK_CAUSE_FORBIDDEN,
  LK_CAUSE_NO_RULE,
  LK_CAUSE_PURPOSE, /* from here on: a requirement of a permit that is not met */
  LK_CAUSE_ACTOR,
  LK_CAUSE_SIGNATURE,
  LK_CAUSE_JURISDICTION,
  LK_CAUSE_CASE,
  LK_CAUSE_AUTHORISATION,
  LK_CAUSE_PENDING,       /* the authorisation is pending, and there is no grace */
  LK_CAUSE_PENDING_LATER, /* ... since a time that is yet to come */
  LK_CAUSE_GRACE_OVER,
  LK_CAUSE_CASE_PROBES,
  LK_CAUSE_CALIBRATION,
  LK_CAUSES
} lk_policy_cause;

typedef struct lk_policy_decision {
  bool permitted;
  lk_policy_cause cause;
  float threshold;          /* in effect: the caller's or a stricter one. Where it is refused, INFINITY */
  uint32_t k;               /* in effect: the caller's or fewer. Where it is refused, 0 */
  uint32_t retention_hours; /* how long results may be kept; or LK_POLICY_NO_LIMIT */
  int64_t grace_until_ms;   /* permitted under an authorisation that is pending: until then; else INT64_MAX */
  bool purge_on_refusal;    /* ... and if that is refused, the results are to be purged */
  int32_t refused_by;       /* the rule; -1 where there is none */
  uint32_t rules_count;     /* the rules that decided: the forbids that apply, or else the permits that do */
  uint16_t rules[LK_POLICY_RULES_MAX];
  uint8_t policy_hash[LK_POLICY_HASH_SIZE];
} lk_policy_decision;

/* LK_EPOLICY: refused; the error has the rule's id and its text. No other failure. `calibration` may be NULL: none. */
LK_API lk_status lk_policy_decide(const lk_policy *policy, const lk_policy_request *request, int64_t now_ms,
                                  const lk_policy_calibration *calibration, lk_policy_decision *decision,
                                  lk_error *error);

/* Whether this rule applies to the request; into `why` of `size` bytes, the reason in words. */
LK_API bool lk_policy_explain(const lk_policy *policy, uint32_t rule, const lk_policy_request *request, int64_t now_ms,
                              char *why, size_t size);

#ifdef __cplusplus
}
#endif

#endif
