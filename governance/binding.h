/* What a gallery is bound to, as its manifest keeps it: a path is absolute, or begins at the gallery's folder. */
#ifndef GOVERNANCE_BINDING_H
#define GOVERNANCE_BINDING_H

#include <jansson.h>

#include <likeness/status.h>
#include <likeness/types.h>

/* NULL: out of memory. */
json_t *lk_binding_to_json(const lk_binding *binding);

/* LK_EFORMAT: `name` is for messages. What is not known is refused: it might have been a limit. */
lk_status lk_binding_from_json(const char *name, json_t *json, lk_binding *binding, lk_error *error);

/* Checks the files and makes of the caller's paths those that the manifest of `folder` keeps. Errors as of
 * lk_gallery_bind. */
lk_status lk_binding_keep(const char *folder, const lk_binding *given, lk_binding *kept, lk_error *error);

/* Makes absolute paths of those that the manifest of `folder` keeps. LK_EIO, LK_EINVAL. */
lk_status lk_binding_resolve(const char *folder, const lk_binding *kept, lk_binding *absolute, lk_error *error);

/* A copy that frees itself. */
lk_status lk_binding_copy(const lk_binding *from, lk_binding *to, lk_error *error);

bool lk_binding_equal(const lk_binding *a, const lk_binding *b);

void lk_binding_free(lk_binding *binding); /* of what the functions above made */

#endif
