/* Policies: which operations are permitted, to whom, for what purpose, where and when, and within which limits.
 * docs/policy.md describes the file and the decision procedure.
 *
 * An open policy never changes, so any threads may decide with it. A decision is a pure function of the policy, the
 * request, the time and the calibration; the caller decides the same request again at the time of release. */
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

/* `delete` ends that templates are found, `erase` that files have their bytes. */
typedef enum lk_operation {
  LK_OPERATION_IDENTIFY,
  LK_OPERATION_VERIFY,
  LK_OPERATION_ENROLL,
  LK_OPERATION_DELETE,
  LK_OPERATION_EXPORT,
  LK_OPERATION_EVALUATE,
  LK_OPERATION_TAG,
  LK_OPERATION_EXPIRE,
  LK_OPERATION_ERASE,
  LK_OPERATIONS
} lk_operation;

/* "identify", ..., or "?" for any other number: static. LK_EINVAL: unknown name. */
LK_API const char *lk_operation_name(lk_operation operation);
LK_API lk_status lk_operation_parse(lk_text name, lk_operation *operation, lk_error *error);

typedef enum lk_effect { LK_PERMIT, LK_FORBID } lk_effect;

typedef struct lk_policy lk_policy;

/* LK_EFORMAT names file, line, rule and field. LK_EIO. */
LK_API lk_status lk_policy_open(const char *path, lk_policy **policy, lk_error *error);
/* The same from `data`, which need not outlive the call; `name` is for messages. */
LK_API lk_status lk_policy_parse(const char *name, const void *data, size_t size, lk_policy **policy, lk_error *error);
LK_API void lk_policy_close(lk_policy *policy); /* NULL is allowed */

/* Texts live until the policy is closed. */
typedef struct lk_policy_stat {
  lk_text name;
  uint8_t hash[LK_POLICY_HASH_SIZE];
  uint32_t rules, keys;
  lk_text deployment;         /* which signed jobs must name; "": none, and then there are no keys */
  uint32_t signature_minutes; /* how old the signature of a job may be */
} lk_policy_stat;
LK_API void lk_policy_stat_get(const lk_policy *policy, lk_policy_stat *stat);

typedef struct lk_policy_rule {
  lk_text id;
  lk_text text; /* the reason for the rule, for people */
  lk_effect effect;
} lk_policy_rule;

/* `rule` counts from 0, in the order of the file. Its texts live until the policy is closed. Beyond the last rule: a
 * forbid without texts. */
LK_API lk_policy_rule lk_policy_rule_get(const lk_policy *policy, uint32_t rule);

/* The n-th (from 0) public key that the policy lists for this actor, of LK_POLICY_KEY_SIZE bytes; NULL: there are no
 * more. It lives until the policy is closed. */
LK_API const uint8_t *lk_policy_key(const lk_policy *policy, lk_text actor, uint32_t n);

/* A request. A text that the caller does not give is empty. */
typedef struct lk_policy_request {
  lk_operation operation; /* no rule covers an unknown one, so it is refused */
  lk_text purpose, actor, jurisdiction, gallery, model;
  bool actor_signed; /* a key of this actor made a valid signature of the request; else the actor is only asserted */
  lk_text case_id;
  lk_text authorisation;      /* its id */
  bool authorisation_granted; /* else it is pending: applied for and not granted yet */
  int64_t pending_since_ms;   /* Unix time of the application; 0: not said. An authorisation that has it is pending */
  lk_metric metric;           /* the gallery's: scores have a scale, except under ip */
  uint32_t k;                 /* candidates; may be LK_K_ALL */
  float threshold;            /* -INFINITY for none; not NaN */
  uint32_t probes;            /* in this request */
  uint64_t case_probes;       /* in earlier requests with this case */
} lk_policy_request;

/* Writes the least score at which `model` has a false match rate of at most `max_fmr`, from a measured calibration.
 * Returns false if the calibration does not give it. Must be pure. */
typedef struct lk_policy_calibration {
  bool (*threshold)(const void *context, lk_text model, double max_fmr, float *threshold);
  const void *context;
} lk_policy_calibration;

/* Why a request is refused. */
typedef enum lk_policy_cause {
  LK_CAUSE_NONE, /* it is permitted */
  LK_CAUSE_FORBIDDEN,
  LK_CAUSE_NO_RULE,
  LK_CAUSE_PURPOSE, /* from here on: a permit's requirement that is not met */
  LK_CAUSE_ACTOR,
  LK_CAUSE_SIGNATURE,
  LK_CAUSE_JURISDICTION,
  LK_CAUSE_CASE,
  LK_CAUSE_AUTHORISATION,
  LK_CAUSE_PENDING,        /* the authorisation is pending, and the rule allows no grace period */
  LK_CAUSE_PENDING_UNSAID, /* the request does not say when it was applied for */
  LK_CAUSE_PENDING_LATER,  /* its application lies in the future */
  LK_CAUSE_GRACE_OVER,
  LK_CAUSE_CASE_PROBES,
  LK_CAUSE_CALIBRATION,
  LK_CAUSE_METRIC,         /* a limit on scores, under a metric that gives them no scale */
  LK_CAUSE_THRESHOLD,      /* the caller's own, where only the decision is released: it would find the score */
  LK_CAUSE_WORD_MALFORMED, /* from here on: no rule refuses it. A word is not UTF-8, or too long */
  LK_CAUSE_WORD_UNKNOWN,   /* the policy lists its words, and not this one */
  LK_CAUSES
} lk_policy_cause;

/* In how much detail scores are released. The candidates, their order and the threshold are those of exact scores. */
typedef struct lk_score_detail {
  bool hidden;       /* not at all: a result has NaN instead */
  bool rounded;      /* rounded down to `decimals` */
  uint32_t decimals; /* 0 to 6 */
} lk_score_detail;

typedef struct lk_policy_decision {
  bool permitted;
  lk_policy_cause cause;
  float threshold; /* in effect: the caller's or a stricter one; INFINITY if refused */
  uint32_t k;      /* in effect: the caller's or fewer; 0 if refused */
  lk_score_detail detail;
  uint32_t subject_probes_per_hour; /* that may find one subject; the caller counts. LK_POLICY_NO_LIMIT: no limit */
  uint32_t retention_hours;         /* how long results may be kept; LK_POLICY_NO_LIMIT: no limit */
  int64_t grace_until_ms;           /* the end of the grace period of a pending authorisation; else INT64_MAX */
  int32_t refused_by;               /* index of the rule; -1: no rule */
  uint32_t rules_count;             /* the rules that decided: the forbids that apply, or else the permits that do */
  uint16_t rules[LK_POLICY_RULES_MAX];
  uint8_t policy_hash[LK_POLICY_HASH_SIZE];
} lk_policy_decision;

/* LK_EPOLICY: refused; the error quotes the rule's id and text. There is no other error. `calibration` may be NULL. */
LK_API lk_status lk_policy_decide(const lk_policy *policy, const lk_policy_request *request, int64_t now_ms,
                                  const lk_policy_calibration *calibration, lk_policy_decision *decision,
                                  lk_error *error);

/* Returns whether the rule applies to the request, and writes the reason in words into `why` of `size` bytes. */
LK_API bool lk_policy_explain(const lk_policy *policy, uint32_t rule, const lk_policy_request *request, int64_t now_ms,
                              char *why, size_t size);

/* Returns whether the rule is a permit that leaves fields open, and writes what it therefore permits into `text` of
 * `size` bytes (1 or more): "any purpose, any gallery, without an end". */
LK_API bool lk_policy_open_fields(const lk_policy *policy, uint32_t rule, char *text, size_t size);

#ifdef __cplusplus
}
#endif

#endif
