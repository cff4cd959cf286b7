/* The files of an audit log: audit-000001.log, audit-000002.log, ... in one folder. */
#ifndef GOVERNANCE_AUDIT_FILES_H
#define GOVERNANCE_AUDIT_FILES_H

#include <limits.h>

#include "governance/audit/chain.h"

/* Writes the path of file `number` into `path` of PATH_MAX bytes. LK_EINVAL: it is too long. */
lk_status lk_audit_file_path(const char *folder, uint32_t number, char *path, lk_error *error);

/* The largest number among the folder's log files; 0: there are none. LK_EIO. */
lk_status lk_audit_files_last(const char *folder, uint32_t *last, lk_error *error);

/* Reads one file as the chain's next. `size` receives its size; the rest is as in lk_audit_chain_read. LK_EIO. */
lk_status lk_audit_file_read(const char *path, lk_audit_chain *chain, size_t *size, size_t *whole,
                             lk_audit_visit *visit, void *context, lk_error *error);

#endif
