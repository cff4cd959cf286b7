/* The authorisation of one operation: authenticate, decide, release, and record what was released. The worker and the
 * gallery both use it; they differ in what the actor signs and in whose clock counts.
 *
 * `error` must not be NULL. One thread at a time uses an authorisation; many authorisations may share a governance. */
#ifndef GOVERNANCE_AUTHORISATION_H
#define GOVERNANCE_AUTHORISATION_H

#include "governance/governance.h"

typedef struct lk_authorisation {
  lk_governance *governance;
  lk_policy_request request; /* once decided, its k and threshold are those in effect */
  lk_evidence evidence;      /* what it points to must live until the request is decided */
  lk_verdict verdict;
  bool counted; /* its finds; a release may be tried again */
} lk_authorisation;

/* Verifies the proof and sets the request's actor_signed. LK_EPOLICY: no key of the actor made this signature, or not
 * for this deployment. */
lk_status lk_authorisation_authenticate(lk_authorisation *authorisation, const lk_proof *proof, lk_error *error);

/* Decides the request and writes the decision to the log. `so_far` is LK_OK, or the status of an earlier check that
 * already refuses the request, with its reason in `error`. `once` (may be NULL) is a signed job, which is decided only
 * once. LK_EPOLICY: refused. The evidence's fault: permitted, but it cannot be done; its reason is in `error` already.
 * LK_EIO: the log cannot be written. */
lk_status lk_authorisation_decide(lk_authorisation *authorisation, lk_status so_far, const lk_once *once,
                                  uint64_t now_ms, lk_error *error);

/* Authenticates and decides again at the time of release, and tightens the request's limits if the rules have become
 * stricter. LK_EPOLICY: the result is withheld. */
lk_status lk_authorisation_release(lk_authorisation *authorisation, const lk_proof *proof, uint64_t now_ms,
                                   lk_error *error);

/* Counts the subjects that the result is about to release, once. LK_EPOLICY: too many probes found one of them, and the
 * result is withheld. */
lk_status lk_authorisation_count_finds(lk_authorisation *authorisation, const lk_finds *finds, uint64_t now_ms,
                                       lk_error *error);

/* Writes to the log what is released, or that the result is withheld; lk_governance_commit then makes the record
 * durable. Returns `status`, which is that of lk_authorisation_release, or LK_EIO if the log fails. */
lk_status lk_authorisation_log_search(lk_authorisation *authorisation, lk_status status, const lk_release *release,
                                      uint64_t now_ms, lk_error *error);

#endif
