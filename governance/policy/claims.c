#include "governance/policy/claims.h"

#include <stddef.h>

static const struct {
  const char *name;
  size_t offset;
} texts[LK_CLAIMS_TEXTS] = {{"purpose", offsetof(lk_claims, purpose)},
                            {"actor", offsetof(lk_claims, actor)},
                            {"jurisdiction", offsetof(lk_claims, jurisdiction)},
                            {"case", offsetof(lk_claims, case_id)},
                            {"authorisation", offsetof(lk_claims, authorisation)}};

const char *lk_claims_name(int claim) { return texts[claim].name; }

lk_text lk_claims_text(const lk_claims *claims, int claim) {
  return *(const lk_text *)((const char *)claims + texts[claim].offset);
}

void lk_claims_set_text(lk_claims *claims, int claim, lk_text text) {
  *(lk_text *)((char *)claims + texts[claim].offset) = text;
}

void lk_claims_to_request(const lk_claims *claims, lk_policy_request *request) {
  static const lk_claims none;
  if (claims == NULL) claims = &none;
  request->purpose = claims->purpose;
  request->actor = claims->actor;
  request->jurisdiction = claims->jurisdiction;
  request->case_id = claims->case_id;
  request->authorisation = claims->authorisation;
  request->authorisation_granted = claims->granted;
  request->pending_since_ms = claims->pending_since_ms;
}
