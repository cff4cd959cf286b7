/* One operation on its way through what its gallery is bound to: asked before any work; asked again, and written down,
 * before anything is handed out. Everything passes in a gallery that is not bound. The clock is this machine's. */
#ifndef GOVERNANCE_AUTHORISATION_H
#define GOVERNANCE_AUTHORISATION_H

#include <likeness/signing_key.h>
#include "governance/governance.h"
#include "index/gallery/gallery.h"

/* An open gallery's binding. Its rules and its log are opened when they are first asked; galleries of one process that
 * are bound alike share them, and each that joins has the rules read again. Any thread may ask. */
lk_status lk_open_binding_open(const char *folder, const lk_binding *kept, lk_open_binding **bound, lk_error *error);
void lk_open_binding_close(lk_open_binding *bound); /* NULL closes nothing */
lk_binding lk_open_binding_paths(const lk_open_binding *bound);

typedef struct lk_authorisation {
  const lk_gallery *gallery;
  lk_governance *governance; /* NULL: the gallery is not bound */
  lk_policy_request request; /* with the limits that are in effect */
  const lk_signing_key *key; /* the actor's; NULL for none */
  lk_verdict verdict;
} lk_authorisation;

/* `request` has the operation, k, threshold and probes; `claims` may be NULL and must outlive the passage. LK_EPOLICY,
 * which is in the log then.
 * LK_EINVAL: a claim's text is none. LK_EBUSY, LK_EIO: the log. LK_EFORMAT: a file is broken. */
lk_status lk_authorisation_ask(lk_authorisation *passage, const lk_gallery *gallery, const lk_policy_request *request,
                               const lk_claims *claims, lk_error *error);

/* For a search: cuts what it found down to the limits, and gives the result its decision; where it may not be released,
 * empties it. */
lk_status lk_authorisation_release_search(lk_authorisation *passage, lk_result *result, lk_error *error);

/* For all else: of `templates` templates, of the gallery as of `epoch`. */
lk_status lk_authorisation_release(lk_authorisation *passage, uint64_t templates, uint64_t epoch, lk_error *error);

/* Gives a result the decision that refused its search. */
void lk_authorisation_refuse(const lk_authorisation *passage, lk_result *result);

#endif
