/* The duplicate check of an enrollment: whether a row is too like a template of another subject. It is made in the
 * owner's turn, against what the gallery will have after the requests before it, so nothing can come between.
 *
 * What the catalog has is searched on the device, without those templates that the group or the enrollment itself has
 * changed. By subject, two candidates suffice: of two subjects one is another than the row's, and the first such is the
 * best. What has changed and lives, the group's new rows and the enrollment's own are compared here. */
#ifndef INDEX_LIVE_MATCH_H
#define INDEX_LIVE_MATCH_H

#include "index/live/draft.h"
#include "index/live/owner.h"

/* Checks a request that asks for it, and fills its finding. LK_EEXIST: a row matches; lk_match_tell says which, once
 * that is released. LK_ENOMEM, and what the search returns: then nothing is found. */
lk_status lk_match_check(lk_owner *owner, const lk_group *group, const lk_draft *draft, lk_request *request,
                         lk_error *error);

/* Writes what the finding says. Returns LK_EEXIST. */
lk_status lk_match_tell(const lk_request *request, lk_error *error);

#endif
