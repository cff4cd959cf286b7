/* The binding of an open gallery, which may be none, and may become another one while the gallery is open. Its rules
 * and its log are opened when they are first needed. Galleries of one process with equal bindings share them, since a
 * log has one writer; each gallery that joins reloads the rules. Any thread may call. */
#ifndef GOVERNANCE_OPEN_BINDING_H
#define GOVERNANCE_OPEN_BINDING_H

#include "base/stamp.h"
#include "governance/governance.h"

typedef struct lk_open_binding lk_open_binding;

/* `kept` is the binding as the manifest of `folder` stores it, and `stamp` that of the manifest's file. LK_EIO.
 * LK_EINVAL: a path is too long. */
lk_status lk_open_binding_open(const char *folder, const lk_binding *kept, lk_stamp stamp, lk_open_binding **binding,
                               lk_error *error);
void lk_open_binding_close(lk_open_binding *binding); /* NULL is allowed */

/* Whether it is time to look at the manifest, a file of the folder, and it is not the one that was read last. `stamp`
 * receives that of the file now. */
bool lk_open_binding_is_stale(lk_open_binding *binding, const lk_folder *folder, const char *manifest, lk_stamp *stamp);

/* Takes what the manifest stores now. Where that is another binding, operations that began under the old one keep it
 * until they end, and lk_open_binding_generation rises. Errors as of lk_open_binding_open. */
lk_status lk_open_binding_follow(lk_open_binding *binding, const lk_binding *kept, lk_stamp stamp, lk_error *error);

/* How often the gallery was bound anew since it was opened. */
uint64_t lk_open_binding_generation(const lk_open_binding *binding);

/* Absolute paths, which live until the binding is closed; all NULL: the gallery is not bound. */
lk_binding lk_open_binding_paths(const lk_open_binding *binding);

/* Returns the rules and the log, which live until lk_open_binding_leave; NULL: the gallery is not bound. LK_ECORRUPT:
 * the log is not the one that the gallery has seen, or not all of it. LK_EFORMAT: a file is broken. LK_EBUSY: another
 * process writes the log, or an operation that began under another binding. LK_EIO. */
lk_status lk_open_binding_enter(lk_open_binding *binding, lk_governance **governance, lk_error *error);
void lk_open_binding_leave(lk_governance *governance); /* NULL is allowed */

#endif
