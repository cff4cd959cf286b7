/* The decision that a result carries, as JSON (docs/protocol.md lists its members). */
#ifndef GOVERNANCE_DECISION_RECORD_H
#define GOVERNANCE_DECISION_RECORD_H

#include <jansson.h>

#include "governance/governance.h"

/* The caller releases the object; NULL: out of memory. `verdict` may be NULL: no rules govern the result, and
 * `governance` is not read. */
json_t *lk_decision_record(lk_governance *governance, const lk_verdict *verdict, lk_text model,
                           const lk_release *release);

/* Of a change that these verdicts permit, that of its own operation first; it needs them all. `count` 0: no rules
 * govern it. It has what its reply says, and what is needed once the change is made, by whichever process; limits and
 * times are those of the last verdict: of the search for matches, if there is one. NULL: out of memory. */
json_t *lk_change_record(const lk_verdict *const *verdicts, uint32_t count);
/* Reads the n-th verdict of such a record, as far as the record has it. False: it has none. */
bool lk_change_record_verdict(const json_t *record, uint32_t n, lk_verdict *verdict);

/* Returns one line of text, which the caller frees; NULL when out of memory or when `record` is NULL. */
char *lk_decision_record_print(const json_t *record);

#endif
