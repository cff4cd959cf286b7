/* What the tests of the audit log share. Whatever cannot be done here fails the test. */
#ifndef TESTS_SUPPORT_AUDIT_LOG_H
#define TESTS_SUPPORT_AUDIT_LOG_H

#include <likeness/audit.h>

/* One of some kinds of records, by its number: all members of each in use. */
lk_audit_record audit_log_record(uint32_t number);

/* Appends it; returns its sequence number. */
uint64_t audit_log_append(lk_audit *audit, uint32_t number);

/* The test's log and keys, in files_root. */
const char *audit_log_folder(void);
const char *audit_log_key(void);
const char *audit_log_public_key(void);
void audit_log_make_key(void);

lk_audit *audit_log_open(const lk_audit_options *options);
void audit_log_commit(lk_audit *audit);
void audit_log_close(lk_audit *audit);

/* Verifies the log. */
lk_audit_report audit_log_verified(const char *head, const char *key);
/* Verifying `path`, or opening `folder`, fails with this status and these words. */
void audit_log_expect_broken(const char *path, const char *head, const char *key, lk_status status, const char *words);
void audit_log_expect_closed(const char *folder, const lk_audit_options *options, lk_status status, const char *words);

#endif
