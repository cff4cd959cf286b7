/* Bindings of galleries. The manifest stores each path as absolute, or as relative to the gallery's folder. */
#ifndef GOVERNANCE_BINDING_H
#define GOVERNANCE_BINDING_H

#include <jansson.h>

#include <likeness/status.h>
#include <likeness/types.h>

/* The caller releases the object; NULL: out of memory. */
json_t *lk_binding_to_json(const lk_binding *binding);

/* Reads the binding from a manifest; `name` is for messages. The caller frees `binding`, on failure too. LK_EFORMAT:
 * also for an unknown member, since it might be a limit. */
lk_status lk_binding_from_json(const char *name, json_t *json, lk_binding *binding, lk_error *error);

/* Checks the files and converts the caller's paths into those that the manifest of `folder` stores. Errors as of
 * lk_gallery_bind. */
lk_status lk_binding_keep(const char *folder, const lk_binding *given, lk_binding *kept, lk_error *error);

/* Converts the paths that the manifest of `folder` stores into absolute ones. LK_EIO. LK_EINVAL: a path is too long. */
lk_status lk_binding_resolve(const char *folder, const lk_binding *kept, lk_binding *absolute, lk_error *error);

/* Copies the paths; lk_binding_free frees the copy. */
lk_status lk_binding_copy(const lk_binding *from, lk_binding *to, lk_error *error);

bool lk_binding_equal(const lk_binding *a, const lk_binding *b);

void lk_binding_free(lk_binding *binding); /* a binding that the functions above made */

#endif
