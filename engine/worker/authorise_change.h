/* The end of a change's authorisation. The worker that decides a change hands its decision on with it, as JSON, in the
 * gallery's log. Whoever then makes the change, maybe another process, writes to its own audit log what was done under
 * these decisions. */
#ifndef ENGINE_WORKER_AUTHORISE_CHANGE_H
#define ENGINE_WORKER_AUTHORISE_CHANGE_H

#include <jansson.h>
#include <likeness/owner.h>

#include "engine/worker/task.h"
#include "index/gallery/authorise.h"

/* The decision of a task that is permitted, whose records the log has for good (lk_authorise_commit). The caller
 * releases it; NULL: out of memory. */
json_t *lk_authorise_change_decision(const lk_task *task);

/* What became of a permitted change. */
typedef struct lk_change_end {
  lk_status status;          /* LK_OK: it was made */
  lk_receipt receipt;        /* then */
  const lk_finding *finding; /* of the search for matches, as it is told; NULL: it was not made */
  uint64_t probes;           /* that it had */
} lk_change_end;

/* Appends what was done to the log: of each operation to how many templates, and what the search for matches released,
 * or that it released nothing. Nothing is done where there is no log, or no policy decided the change; one that was
 * refused later has no record, as of lk_owner_enroll. The caller commits (lk_governance_commit) before it answers.
 * LK_EIO: the log failed. LK_EFORMAT: `decision` is not what lk_authorise_change_decision has made of this job. */
lk_status lk_authorise_log_change(lk_governance *governance, const lk_gallery *gallery, const lk_job *job,
                                  const json_t *decision, const lk_change_end *end, uint64_t now_ms, lk_error *error);

#endif
