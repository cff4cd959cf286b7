/* How many probes each case has had. */
#ifndef GOVERNANCE_CASES_H
#define GOVERNANCE_CASES_H

#include <stddef.h>

#include <likeness/status.h>
#include <likeness/types.h>

/* An open-addressing table by the case's hash of 128 bits, which stands for it; zeros: empty. */
typedef struct lk_case {
  uint64_t hash[2];
  uint64_t probes;
} lk_case;

typedef struct lk_cases {
  lk_case *slots;
  size_t room, count;
} lk_cases;

/* 0 for a case that is not known, and for none (""). */
uint64_t lk_cases_probes(const lk_cases *cases, lk_text id);

/* False when out of memory. */
bool lk_cases_add(lk_cases *cases, lk_text id, uint64_t probes);

/* Adds the probes of all decisions in an audit log that permitted something. Errors as of lk_audit_verify. */
lk_status lk_cases_read(lk_cases *cases, const char *audit, lk_error *error);

void lk_cases_free(lk_cases *cases);

#endif
