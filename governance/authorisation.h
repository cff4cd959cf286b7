/* One operation on its way through what its gallery is bound to: asked before any work; asked again, and written down,
 * before anything is handed out. Everything passes in a gallery that is not bound. The clock is this machine's. */
#ifndef GOVERNANCE_AUTHORISATION_H
#define GOVERNANCE_AUTHORISATION_H

#include <likeness/signing_key.h>
#include "governance/governance.h"
#include "index/gallery/gallery.h"

/* An open gallery's binding. Its rules and its log are opened when they are first asked; galleries of one process that
 * are bound alike share them, and each that joins has the rules read again. Any thread may ask. */
lk_status lk_bound_open(const char *folder, const lk_binding *kept, lk_bound **bound, lk_error *error);
void lk_bound_close(lk_bound *bound); /* NULL closes nothing */
lk_binding lk_bound_paths(const lk_bound *bound);

typedef struct lk_passage {
  const lk_gallery *gallery;
  lk_governance *governance; /* NULL: the gallery is not bound */
  lk_policy_request request; /* with the limits that are in effect */
  const lk_key *key;         /* the actor's; NULL for none */
  lk_verdict verdict;
} lk_passage;

/* `request` has the operation, k, threshold and probes; `claims` may be NULL and must outlive the passage. LK_EPOLICY,
 * which is in the log then.
 * LK_EINVAL: a claim's text is none. LK_EBUSY, LK_EIO: the log. LK_EFORMAT: a file is broken. */
lk_status lk_passage_ask(lk_passage *passage, const lk_gallery *gallery, const lk_policy_request *request,
                         const lk_claims *claims, lk_error *error);

/* For a search: cuts what it found down to the limits, and gives the result its decision; where it may not be released,
 * empties it. */
lk_status lk_passage_release_search(lk_passage *passage, lk_result *result, lk_error *error);

/* For all else: of `templates` templates, of the gallery as of `epoch`. */
lk_status lk_passage_release(lk_passage *passage, uint64_t templates, uint64_t epoch, lk_error *error);

/* Gives a result the decision that refused its search. */
void lk_passage_refuse(const lk_passage *passage, lk_result *result);

#endif
