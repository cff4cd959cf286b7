/* The binding of an open gallery. Its rules and its log are opened when they are first needed. Galleries of one process
 * with equal bindings share them, since a log has one writer; each gallery that joins reloads the rules. Any thread may
 * call. */
#ifndef GOVERNANCE_OPEN_BINDING_H
#define GOVERNANCE_OPEN_BINDING_H

#include "governance/governance.h"

typedef struct lk_open_binding lk_open_binding;

/* `kept` is the binding as the manifest of `folder` stores it. LK_EIO. LK_EINVAL: a path is too long. */
lk_status lk_open_binding_open(const char *folder, const lk_binding *kept, lk_open_binding **binding, lk_error *error);
void lk_open_binding_close(lk_open_binding *binding); /* NULL is allowed */

/* Absolute paths, which live until the binding is closed. */
lk_binding lk_open_binding_paths(const lk_open_binding *binding);

/* Returns the rules and the log, which live until the binding is closed. LK_ECORRUPT: the log is not the one that the
 * gallery has seen, or not all of it. LK_EFORMAT: a file is broken. LK_EBUSY:
 * another process writes the log. LK_EIO. */
lk_status lk_open_binding_enter(lk_open_binding *binding, lk_governance **governance, lk_error *error);

#endif
