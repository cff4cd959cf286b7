/* The claims of a request as a table, so that each place that reads or sends them has the same names. */
#ifndef GOVERNANCE_CLAIMS_H
#define GOVERNANCE_CLAIMS_H

#include <likeness/policy.h>

enum { LK_CLAIMS_TEXTS = 5 };

/* "purpose", "actor", "jurisdiction", "case", "authorisation": as jobs, options and messages name them. */
const char *lk_claims_name(int claim);
lk_text lk_claims_text(const lk_claims *claims, int claim);
void lk_claims_set_text(lk_claims *claims, int claim, lk_text text);

/* Copies the claims into the request. `claims` NULL: none. */
void lk_claims_to_request(const lk_claims *claims, lk_policy_request *request);

#endif
