/* What every operation passes where rules are configured: the policy decides before any work and again at release,
 * and the audit log keeps what was decided and what was released. Without a policy everything is permitted and said to
 * be under none; without a log nothing is kept.
 *
 * A policy file that is broken when it is read again refuses everything until it is mended. A log that cannot be
 * written lets nothing through. Any thread may call; they take turns. */
#ifndef GOVERNANCE_GOVERNANCE_H
#define GOVERNANCE_GOVERNANCE_H

#include <likeness/audit.h>
#include <likeness/policy.h>

/* Paths; NULL for none. They outlive the governance. */
typedef struct lk_governance_options {
  const char *policy;
  const char *calibration; /* for rules with max_fmr */
  const char *audit;       /* the log's folder */
  const char *audit_key;   /* the secret key that signs its heads */
} lk_governance_options;

typedef struct lk_governance lk_governance;

/* Errors as of lk_policy_open, lk_calibration_open and lk_audit_open. */
lk_status lk_governance_open(const lk_governance_options *options, lk_governance **governance, lk_error *error);
lk_status lk_governance_close(lk_governance *governance, lk_error *error);

/* Reads policy and calibration again, and takes them over in one step. LK_OK also where they are broken: then
 * everything is refused, and `error` says why and on which line; its text is empty where they are good. LK_EIO: the
 * log. */
lk_status lk_governance_reload(lk_governance *governance, lk_error *error);

/* How many times the rules were read again. What was decided under another number is to be decided again. */
uint64_t lk_governance_generation(const lk_governance *governance);

enum { LK_VERDICT_ID = 33, LK_VERDICT_POLICY = 65, LK_VERDICT_RULES = 32, LK_VERDICT_RULE = 65 };

/* A decision, as it goes with its operation. */
typedef struct lk_verdict {
  bool permitted;
  float threshold; /* in effect */
  uint32_t k;
  uint64_t since_ms, until_ms; /* it holds from the one time to before the other */
  uint64_t sequence;           /* of its record in the audit log; 0: none */
  uint64_t case_probes;        /* that its case had had before it */
  uint32_t retention_hours;    /* LK_POLICY_NO_LIMIT: no limit */
  bool purge_on_refusal;
  char id[LK_VERDICT_ID];
  char policy[LK_VERDICT_POLICY]; /* its hash; "none", or "broken" */
  char rules[LK_VERDICT_RULES][LK_VERDICT_RULE];
  uint32_t rules_count;
} lk_verdict;

/* Whether a policy's key of the actor made this Ed25519 signature. LK_EPOLICY: none did. Without a good policy nobody
 * can tell: LK_OK, and not authenticated. */
lk_status lk_governance_authenticate(lk_governance *governance, lk_text actor, const void *message, size_t size,
                                     const uint8_t signature[64], bool *authenticated, lk_error *error);

/* Has the log keep that a request was refused for what no rule says; `error` has the reason, and keeps it but where the
 * log fails: LK_EPOLICY, or LK_EIO. */
lk_status lk_governance_refuse(lk_governance *governance, const lk_policy_request *request, uint64_t now_ms,
                               lk_verdict *verdict, lk_error *error);

/* Decides a request. LK_EPOLICY: refused, and why. LK_EIO: the log. Threshold and k of the verdict are the request's or
 * stricter. Any error is a refusal. */
lk_status lk_governance_decide(lk_governance *governance, const lk_policy_request *request, uint64_t now_ms,
                               lk_verdict *verdict, lk_error *error);

/* Decides again at the time of release, and tightens the verdict's limits where they have become stricter. LK_EPOLICY:
 * withheld. */
lk_status lk_governance_release(lk_governance *governance, const lk_policy_request *request, uint64_t now_ms,
                                lk_verdict *verdict, lk_error *error);

/* What is about to be released: counts. */
typedef struct lk_release {
  uint64_t epoch, searched, total;
  uint64_t candidates; /* within the verdict's limits */
} lk_release;

/* Has the log keep what the verdict releases, or that it is withheld. It is in the log once lk_governance_commit has
 * returned. */
lk_status lk_governance_log_search(lk_governance *governance, const lk_policy_request *request, uint64_t now_ms,
                                   const lk_verdict *verdict, const lk_release *release, lk_error *error);

/* The same for what is about to be done and is no search: of `templates` templates, of the gallery as of `epoch`. */
lk_status lk_governance_log_done(lk_governance *governance, const lk_policy_request *request, uint64_t now_ms,
                                 const lk_verdict *verdict, uint64_t epoch, uint64_t templates, lk_error *error);

/* After it returns LK_OK, results may leave. */
lk_status lk_governance_commit(lk_governance *governance, lk_error *error);

/* The newest head of the log into `head`, and the number of the last record that it covers; 0: there is none. A minute
 * after the last one a new one is made, or at once with `now`. LK_EIO. */
lk_status lk_governance_head(lk_governance *governance, bool now, char head[LK_AUDIT_HEAD_MAX], uint64_t *sequence,
                             lk_error *error);

/* How many candidates of other subjects a search of `searched` templates is expected to find by chance at the verdict's
 * threshold; false where no calibration of this model says. */
bool lk_governance_expected_false(lk_governance *governance, const lk_verdict *verdict, lk_text model,
                                  uint64_t searched, double *expected);

#endif
