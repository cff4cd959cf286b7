/* Who made a signature: an actor of the policy, or nobody that it knows. Any thread may call. */
#ifndef GOVERNANCE_POLICY_PROOF_H
#define GOVERNANCE_POLICY_PROOF_H

#include <likeness/policy.h>

/* An actor's Ed25519 signature of a message. */
typedef struct lk_proof {
  const void *message;
  size_t size;
  const uint8_t *signature;  /* of 64 bytes; NULL: the actor is only asserted */
  const lk_text *deployment; /* which the message names; NULL: the message was made here, for this request */
} lk_proof;

/* Checks whether one of the keys that the policy lists for the actor made the signature, and whether for this policy's
 * deployment. LK_EPOLICY: no. */
lk_status lk_proof_check(const lk_proof *proof, const lk_policy *policy, lk_text actor, lk_error *error);

#endif
