/* The files of an audit log: audit-000001.log, audit-000002.log, ... in one folder. */
#ifndef GOVERNANCE_AUDIT_FILES_H
#define GOVERNANCE_AUDIT_FILES_H

#include <limits.h>

#include "governance/audit/chain.h"

/* Path of the file `number` into PATH_MAX bytes. */
lk_status lk_audit_file_path(const char *folder, uint32_t number, char *path, lk_error *error);

/* The largest number among the folder's files; 0: it has none. */
lk_status lk_audit_files_last(const char *folder, uint32_t *last, lk_error *error);

/* Reads one file as the next of the chain: its size, and how many bytes of it are whole records that follow. */
lk_status lk_audit_file_read(const char *path, lk_audit_chain *chain, size_t *size, size_t *whole,
                             lk_audit_visit *visit, void *context, lk_error *error);

#endif
