/* The texts of the claims as a table, so that jobs, options and messages share their names. */
#ifndef GOVERNANCE_POLICY_CLAIMS_H
#define GOVERNANCE_POLICY_CLAIMS_H

#include <likeness/policy.h>

enum { LK_CLAIMS_TEXTS = 5 };

/* "purpose", "actor", "jurisdiction", "case", "authorisation": static. `claim` is below LK_CLAIMS_TEXTS. */
const char *lk_claims_name(int claim);
lk_text lk_claims_text(const lk_claims *claims, int claim);
void lk_claims_set_text(lk_claims *claims, int claim, lk_text text);

/* Copies the claims into the request. `claims` may be NULL: no claims. */
void lk_claims_to_request(const lk_claims *claims, lk_policy_request *request);

#endif
