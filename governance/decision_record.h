/* The decision record that goes with a result (docs/policy.md has its members). */
#ifndef GOVERNANCE_DECISION_RECORD_H
#define GOVERNANCE_DECISION_RECORD_H

#include <jansson.h>

#include "governance/governance.h"

/* The caller releases it; NULL when out of memory. `verdict` NULL: no rules govern the result, and `governance` is not
 * read. */
json_t *lk_decision_record(lk_governance *governance, const lk_verdict *verdict, lk_text model,
                           const lk_release *release);

/* As one line of text, which the caller frees; NULL when out of memory or for no record. */
char *lk_decision_record_print(const json_t *record);

#endif
