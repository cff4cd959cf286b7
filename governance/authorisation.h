/* One operation under the rules, from the request to the record of what was released. The worker and the gallery both
 * go this way; they differ in what proves the actor and in whose clock counts.
 *
 * Every step needs an lk_error to write to. One thread at a time uses an authorisation; many may share a governance. */
#ifndef GOVERNANCE_AUTHORISATION_H
#define GOVERNANCE_AUTHORISATION_H

#include "governance/governance.h"

/* An Ed25519 signature that the actor made. */
typedef struct lk_proof {
  const void *message;
  size_t size;
  const uint8_t *signature; /* NULL: the actor is only asserted */
} lk_proof;

typedef struct lk_authorisation {
  lk_governance *governance;
  lk_policy_request request; /* its k and threshold are those in effect, once it is decided */
  lk_verdict verdict;
} lk_authorisation;

/* Sets the request's actor_signed. LK_EPOLICY: no key of the actor made this signature. */
lk_status lk_authorisation_authenticate(lk_authorisation *authorisation, const lk_proof *proof, lk_error *error);

/* Decides the request and writes the decision to the log. `so_far`: LK_OK, or why the request is refused before any
 * rule is asked; `error` says so then. LK_EPOLICY: refused. LK_EIO: the log cannot be written. */
lk_status lk_authorisation_decide(lk_authorisation *authorisation, lk_status so_far, uint64_t now_ms, lk_error *error);

/* Authenticates and decides again, and tightens the request's limits where the rules have become stricter. LK_EPOLICY:
 * the result is withheld. */
lk_status lk_authorisation_release(lk_authorisation *authorisation, const lk_proof *proof, uint64_t now_ms,
                                   lk_error *error);

/* Writes to the log what is released, or that it is withheld; lk_governance_commit makes it count. Returns `status`,
 * which lk_authorisation_release gave, or why the log failed. */
lk_status lk_authorisation_log_search(lk_authorisation *authorisation, lk_status status, const lk_release *release,
                                      uint64_t now_ms, lk_error *error);

#endif
