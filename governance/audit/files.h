/* The files of an audit log: audit-000001.log, audit-000002.log, ... in one folder. */
#ifndef GOVERNANCE_AUDIT_FILES_H
#define GOVERNANCE_AUDIT_FILES_H

#include "base/folder.h"
#include "governance/audit/chain.h"

enum { LK_AUDIT_FILE_NAME = 32 };

void lk_audit_file_name(uint32_t number, char name[LK_AUDIT_FILE_NAME]);
/* Writes the path of file `number` into `path` of PATH_MAX bytes. LK_EINVAL: it is too long. */
lk_status lk_audit_file_path(const lk_folder *folder, uint32_t number, char *path, lk_error *error);

/* The largest number among the folder's log files; 0: there are none. LK_EIO. */
lk_status lk_audit_files_last(const lk_folder *folder, uint32_t *last, lk_error *error);

/* Reads one file as the chain's next. `folder`: the file's; NULL: the path is used as it is, and may be a symbolic
 * link. `size` receives its size; the rest is as in lk_audit_chain_read. LK_EIO. */
lk_status lk_audit_file_read(const lk_folder *folder, const char *path, lk_audit_chain *chain, size_t *size,
                             size_t *whole, lk_audit_visit *visit, void *context, lk_error *error);

#endif
