/* An operation on a gallery, under what the gallery is bound to: decided before any work; decided again, and logged,
 * before anything is handed out. In a gallery that is not bound everything is permitted. The clock is this machine's.
 */
#ifndef INDEX_GALLERY_AUTHORISE_H
#define INDEX_GALLERY_AUTHORISE_H

#include <likeness/signing_key.h>

#include "governance/authorisation.h"
#include "index/gallery/finding.h"
#include "index/gallery/result.h"

typedef struct lk_gallery_authorisation {
  lk_authorisation base; /* its governance is NULL where the gallery is not bound */
  const lk_gallery *gallery;
  uint64_t generation;       /* of the gallery's binding that decides */
  const lk_signing_key *key; /* the actor's; NULL for none */
} lk_gallery_authorisation;

/* Whatever it returns, the caller ends the authorisation with lk_gallery_authorise_end, which the decision needs until
 * then. `request` has the operation, k, threshold and probes; `claims` may be NULL and must outlive the authorisation,
 * whose request then has the limits that are in effect. LK_EPOLICY: refused, and the log says so. The evidence's fault,
 * whose reason is in `error`: the policy permits what cannot be done, or there is no policy; a log says so. LK_EINVAL:
 * a claim's text is malformed. LK_EBUSY, LK_EIO: the log. LK_EFORMAT: a file of the binding is broken. */
lk_status lk_gallery_authorise(lk_gallery_authorisation *authorisation, const lk_gallery *gallery,
                               const lk_policy_request *request, const lk_evidence *evidence, const lk_claims *claims,
                               lk_error *error);

/* The probes of all runs, as the policy counts them: at most UINT32_MAX. */
uint32_t lk_policy_probes(const lk_vectors *runs, uint32_t runs_count);

/* The evidence of an identification, without its probes. */
lk_evidence lk_query_evidence(const lk_query *query, lk_status fault);

/* Releases a search that ended with the status `searched`, whose reason is in `error`: cuts the answer down to the
 * limits and gives it its decision. Returns `searched`, or why nothing is released. Where it is not LK_OK, nothing of
 * an answer is left in the result, in its memory neither. */
lk_status lk_gallery_release_search(lk_gallery_authorisation *authorisation, lk_status searched, lk_result *result,
                                    lk_error *error);

/* Puts the decision into the log for good, before an operation that nobody can take back. LK_EIO: it is not there, so
 * nothing may be done. */
lk_status lk_gallery_commit_decision(const lk_gallery_authorisation *authorisation, lk_error *error);

/* Releases any other operation, of `templates` templates, which leaves the gallery at `epoch`. */
lk_status lk_gallery_release(lk_gallery_authorisation *authorisation, uint64_t templates, uint64_t epoch,
                             lk_error *error);

/* The same for an operation that was permitted and is done: only records it. LK_EIO: it is done, and the log does not
 * say so. */
lk_status lk_gallery_record(lk_gallery_authorisation *authorisation, uint64_t templates, uint64_t epoch,
                            lk_error *error);

/* LK_EPOLICY: the limits in effect are stricter than this threshold, so a check would pass over candidates. */
lk_status lk_gallery_check_threshold(const lk_gallery_authorisation *authorisation, float threshold, lk_error *error);

/* Releases what a check with this threshold has found, as lk_gallery_release_search does, and leaves of the score what
 * may be released. That nothing was found is only recorded: whatever was checked is done. `checked`: LK_OK, or why
 * there is no finding, as in `error`. Returns that, or why the finding is not released. */
lk_status lk_gallery_release_finding(lk_gallery_authorisation *authorisation, lk_status checked, float threshold,
                                     lk_finding *finding, lk_error *error);

/* Ends the authorisation; a second call does nothing. */
void lk_gallery_authorise_end(lk_gallery_authorisation *authorisation);

/* Gives a result the decision that refused its search, if there is one, and erases all else. */
void lk_gallery_refuse_search(const lk_gallery_authorisation *authorisation, lk_result *result);

#endif
