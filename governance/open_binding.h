/* The binding of an open gallery. Its rules and its log are opened when they are first needed; galleries of one process
 * that are bound alike share them, since a log has one writer, and each gallery that joins has the rules read again.
 * Any thread may call. */
#ifndef GOVERNANCE_OPEN_BINDING_H
#define GOVERNANCE_OPEN_BINDING_H

#include "governance/governance.h"

typedef struct lk_open_binding lk_open_binding;

/* `kept`: as the manifest of `folder` keeps it. LK_EIO, LK_EINVAL. */
lk_status lk_open_binding_open(const char *folder, const lk_binding *kept, lk_open_binding **binding, lk_error *error);
void lk_open_binding_close(lk_open_binding *binding); /* NULL closes nothing */

/* Absolute paths, which live until it is closed. */
lk_binding lk_open_binding_paths(const lk_open_binding *binding);

/* The rules and the log, which live until it is closed. LK_EFORMAT: a file is broken. LK_EBUSY, LK_EIO: the log. */
lk_status lk_open_binding_enter(lk_open_binding *binding, lk_governance **governance, lk_error *error);

#endif
