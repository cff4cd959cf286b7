/* Records for the tests of the audit log. */
#ifndef TESTS_AUDIT_LOG_H
#define TESTS_AUDIT_LOG_H

#include "index/audit.h"

/* One of some kinds of records, by its number: all members of each in use. */
lk_audit_record audit_log_record(uint32_t number);

/* Appends it or fails the test; returns its sequence number. */
uint64_t audit_log_append(lk_audit *audit, uint32_t number);

#endif
