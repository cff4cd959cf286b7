/* The decision that a result carries, as JSON (docs/protocol.md lists its members). */
#ifndef GOVERNANCE_DECISION_RECORD_H
#define GOVERNANCE_DECISION_RECORD_H

#include <jansson.h>

#include "governance/governance.h"

/* The caller releases the object; NULL: out of memory. `verdict` may be NULL: no rules govern the result, and
 * `governance` is not read. */
json_t *lk_decision_record(lk_governance *governance, const lk_verdict *verdict, lk_text model,
                           const lk_release *release);

/* Returns one line of text, which the caller frees; NULL when out of memory or when `record` is NULL. */
char *lk_decision_record_print(const json_t *record);

#endif
