/* Policy, calibration and audit log together. The policy decides each request before any work and again at release, and
 * the audit log records decisions and releases. Without a policy every request is permitted, under the policy "none";
 * without a log nothing is recorded.
 *
 * Changed files reach every decision within a second. If a reload finds a broken file, every request is refused until a
 * later reload succeeds. If the log cannot be written, every operation fails. Any thread may call; calls take turns. */
#ifndef GOVERNANCE_GOVERNANCE_H
#define GOVERNANCE_GOVERNANCE_H

#include <likeness/audit.h>
#include <likeness/policy.h>
#include "governance/evidence.h"
#include "governance/found.h"
#include "governance/policy/proof.h"
#include "governance/verdict.h"

/* Paths; NULL: none. They must outlive the governance. */
typedef struct lk_governance_options {
  const char *policy;
  const char *calibration; /* for rules with max_fmr */
  const char *audit;       /* the log's folder */
  const char *audit_key;   /* the secret key that signs its heads */
  /* Folders of the galleries that keep what they have seen of the log (governance/kept_log.h); needed only to open. */
  const char *const *keepers;
  uint32_t keepers_count;
  bool lost_log; /* a person says that the log which they have seen is lost */
} lk_governance_options;

typedef struct lk_governance lk_governance;

/* Errors as of lk_policy_open, lk_calibration_open and lk_kept_log_open. */
lk_status lk_governance_open(const lk_governance_options *options, lk_governance **governance, lk_error *error);
/* A further gallery is governed: it keeps what it has seen of the log. Errors as of lk_kept_log_join. */
lk_status lk_governance_join(lk_governance *governance, const char *keeper, lk_error *error);
lk_status lk_governance_close(lk_governance *governance, lk_error *error);

/* Reads policy and calibration again and replaces both in one step. Returns LK_OK even if a file is broken: every
 * request is then refused, and `error` (not NULL) gives the reason and the line; its text is empty if the files are
 * valid. LK_EIO: the log failed. */
lk_status lk_governance_reload(lk_governance *governance, lk_error *error);

/* Reloads if a file has changed since it was read; looks often enough for every decision to be by files that were
 * current a second ago. Deciding, authenticating and releasing do this by themselves. */
void lk_governance_follow(lk_governance *governance);

/* Writes which policy is in force: its file and hash, or "none". Returns false and writes why every request is refused,
 * if a file is broken. */
bool lk_governance_tell(lk_governance *governance, char *text, size_t size);

/* The number of reloads. A decision that was made under another number must be made again. */
uint64_t lk_governance_generation(const lk_governance *governance);

/* Checks whether one of the keys that the policy lists for the actor made the signature, and whether for this policy's
 * deployment. LK_EPOLICY: no. Without a valid policy: LK_OK and not authenticated. */
lk_status lk_governance_authenticate(lk_governance *governance, lk_text actor, const lk_proof *proof,
                                     bool *authenticated, lk_error *error);

/* How old the signature of a job may be, by the policy. */
uint64_t lk_governance_signature_ms(lk_governance *governance);

/* Records a refusal that no rule made. The caller has written the reason into `error`. Returns LK_EPOLICY and leaves
 * `error` unchanged, or LK_EIO if the log fails. */
lk_status lk_governance_refuse(lk_governance *governance, const lk_policy_request *request, const lk_evidence *evidence,
                               uint64_t now_ms, lk_verdict *verdict, lk_error *error);

/* Decides a request and records the decision. The verdict's threshold and k are the request's or stricter. `once`:
 * NULL, or refuses what this governance, or an earlier one with the same log, has decided (lk_seen_refuses).
 * LK_EPOLICY: refused; the error gives the reason. The evidence's fault, whose reason the caller has written into
 * `error`: the policy permits a request that cannot be done; it is refused, and does not count for its case. LK_EIO:
 * the log failed. Any error means refused. */
lk_status lk_governance_decide(lk_governance *governance, const lk_policy_request *request, const lk_evidence *evidence,
                               const lk_once *once, uint64_t now_ms, lk_verdict *verdict, lk_error *error);

/* Decides again at the time of release, and tightens the verdict's limits if they have become stricter. LK_EPOLICY: the
 * result must be withheld. */
lk_status lk_governance_release(lk_governance *governance, const lk_policy_request *request, uint64_t now_ms,
                                lk_verdict *verdict, lk_error *error);

/* Whether what was permitted before, maybe by another process, holds here and now, as far as that is known without the
 * request: the rules are the same, and it is their time. LK_EPOLICY: the result must be withheld. */
lk_status lk_governance_confirm(lk_governance *governance, const lk_verdict *verdict, uint64_t now_ms, lk_error *error);

/* Counts the subjects of a result that is about to be released. LK_EPOLICY: more probes found one of them within an
 * hour than the verdict permits, so the result is withheld; these probes count, too. */
lk_status lk_governance_count_finds(lk_governance *governance, const lk_policy_request *request, uint64_t now_ms,
                                    lk_verdict *verdict, const lk_finds *finds, lk_error *error);

/* Whether there is a log: without one, nobody needs an answer's hash. */
bool lk_governance_has_log(const lk_governance *governance);

/* A result that is about to be released, or withheld. */
typedef struct lk_release {
  uint64_t epoch;
  uint64_t searched;           /* templates that each probe was compared with */
  uint64_t total;              /* templates in the gallery */
  uint64_t candidates;         /* within the verdict's limits */
  char reply[LK_EVIDENCE_HEX]; /* the answer's hash; "": there is none */
} lk_release;

/* Appends to the log what the verdict releases, or that the result is withheld. lk_governance_commit makes the record
 * durable. LK_EIO. */
lk_status lk_governance_log_search(lk_governance *governance, const lk_policy_request *request, uint64_t now_ms,
                                   const lk_verdict *verdict, const lk_release *release, lk_error *error);

/* The same for an operation that is not a search and is about to be done: on `templates` templates, in the gallery's
 * `epoch`. */
lk_status lk_governance_log_done(lk_governance *governance, const lk_policy_request *request, uint64_t now_ms,
                                 const lk_verdict *verdict, uint64_t epoch, uint64_t templates, lk_error *error);

/* Makes all records durable. Only after LK_OK may results be released. LK_EIO. */
lk_status lk_governance_commit(lk_governance *governance, lk_error *error);

/* Writes the newest head of the log into `head` and the number of the last record that it covers into `sequence`; 0:
 * there is no head. Makes a new head if the last one is a minute old, or at once if `now` is set. LK_EIO. */
lk_status lk_governance_head(lk_governance *governance, bool now, char head[LK_AUDIT_HEAD_MAX], uint64_t *sequence,
                             lk_error *error);

/* Writes how many candidates of other subjects a search of `searched` templates is expected to find by chance at the
 * verdict's threshold. Returns false if there is no calibration of this model. */
bool lk_governance_expected_false(lk_governance *governance, const lk_verdict *verdict, lk_text model,
                                  uint64_t searched, double *expected);

#endif
