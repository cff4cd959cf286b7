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

/* What became of a change that was handed over. */
typedef struct lk_change_end {
  lk_status status;          /* LK_OK: it was made */
  lk_receipt receipt;        /* then */
  const lk_finding *finding; /* of the search for matches, as it would be told; NULL: it was not made */
  uint64_t probes;           /* that it had */
  lk_error error;            /* out: with LK_EPOLICY, why the match that was found is not told, */
  json_t *refusal;           /* and the decision that says so, which the caller releases; else NULL */
  bool undecided;            /* out: no decision, or no valid one, came with it */
} lk_change_end;

/* Appends what was done to the log: of each operation to how many templates, and what the search for matches released,
 * or that it released nothing. Without a decision that came with the change, the records have the id "undecided". One
 * that was refused later has no record, as of lk_owner_enroll. A match is told only while its permit holds, by the same
 * rules, and is counted for its subject; else the status becomes LK_EPOLICY. The caller commits (lk_governance_commit)
 * before it answers. LK_EIO: the log failed. LK_ENOMEM. */
lk_status lk_authorise_log_change(lk_governance *governance, const lk_gallery *gallery, const lk_job *job,
                                  const json_t *decision, lk_change_end *end, uint64_t now_ms, lk_error *error);

#endif
