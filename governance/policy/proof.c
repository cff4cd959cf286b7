#include "governance/policy/proof.h"

#include <sodium.h>

#include "base/fail.h"
#include "base/text.h"
#include "governance/policy/rule.h"

static bool has_signed(const lk_policy *policy, lk_text actor, const lk_proof *proof) {
  const uint8_t *key;
  for (uint32_t n = 0; (key = lk_policy_key(policy, actor, n)) != NULL; n++)
    if (crypto_sign_verify_detached(proof->signature, proof->message, proof->size, key) == 0) return true;
  return false;
}

lk_status lk_proof_check(const lk_proof *proof, const lk_policy *policy, lk_text actor, lk_error *error) {
  if (!has_signed(policy, actor, proof))
    return lk_fail(
        error, LK_EPOLICY,
        "refused: no key that the policy lists for '%.*s' made this signature, or the signed data was changed",
        (int)actor.length, actor.bytes);
  if (proof->deployment == NULL || lk_text_equal(*proof->deployment, policy->deployment)) return LK_OK;
  if (proof->deployment->length == 0)
    return lk_fail(error, LK_EPOLICY, "refused: the signed job names no deployment; this is '%.*s'",
                   (int)policy->deployment.length, policy->deployment.bytes);
  return lk_fail(error, LK_EPOLICY, "refused: the job was signed for the deployment '%.*s'; this is '%.*s'",
                 (int)proof->deployment->length, proof->deployment->bytes, (int)policy->deployment.length,
                 policy->deployment.bytes);
}
